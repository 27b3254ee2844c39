package userfile

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/users"
)

// reported writes a report down, one refusal a line.
func reported(r Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d imported, %d present", r.Imported, r.Present)
	for _, no := range r.Refused {
		fmt.Fprintf(&b, "\n%v", no)
	}
	return b.String()
}

func (f *fixture) importAll(t *testing.T, in string, format Format, dry bool) string {
	t.Helper()
	report, err := Import(t.Context(), f.Service, Read(strings.NewReader(in), Options{Format: format}), dry)
	if err != nil {
		t.Fatal(err)
	}
	return reported(report)
}

func TestU3_ImportOfAFile(t *testing.T) {
	f := withAda(t)
	hash := strings.ReplaceAll(vectors["bcrypt 2b"], "\n", "")
	file := strings.Join([]string{
		`{"uid":"1","email":"one@example.org","username":"one","password_hash":"` + hash + `","roles":["admin"],"claims":{"tier":1}}`,
		`{"email":"Ada@Example.ORG","password_hash":"` + hash + `"}`,                  // has an account
		`{"email":"ONE@example.org","password_hash":"` + hash + `"}`,                  // line 1 again
		`{"email":"two@example.org","username":"ONE","password_hash":"` + hash + `"}`, // line 1's username
		`{"email":"two@example.org","uid":"1","password_hash":"` + hash + `"}`,        // line 1's id
		`nonsense`, //
		`{"email":"two@example.org","password_hash":"$argon2id$v=19$m=2147483648,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$eLfG50/UiKfi+PUXwa7UJUnEKxew7g/6fQMDOgY1744"}`, // lies about its cost
		`{"email":"tw\u0000o@example.org","password_hash":"` + hash + `"}`,                                                                                     //
		`{"email":"two@example.org","password_hash":"` + hash + `","claims":{"sub":"root"}}`,                                                                   //
		`{"email":"two@example.org","password_hash":"` + hash + `","claims":null,"roles":null}`,                                                                // at last
	}, "\n")
	refusals := `
line 3: email: stands on line 1 already
line 4: username: stands on line 1 already
line 5: uid: stands on line 1 already
line 6: not a JSON object with the fields uid, email`
	want := "2 imported, 1 present" + refusals
	dry := f.importAll(t, file, JSONLines, true)
	if !strings.HasPrefix(dry, want) || len(f.accounts(t)) != 1 || len(f.events.all) != 0 {
		t.Errorf("dry run: %s\n%d accounts, %d events; want\n%s\nand nothing done", dry, len(f.accounts(t)), len(f.events.all), want)
	}
	got := f.importAll(t, file, JSONLines, false)
	if got != dry {
		t.Errorf("the import went\n%s\nand its dry run\n%s", got, dry)
	}
	for n, part := range map[int]string{7: "password_hash: argon2 with 2147483648 KiB", 8: "email: ", 9: `claims: the name "sub" is reserved`} {
		if !strings.Contains(got, fmt.Sprintf("\nline %d: %s", n, part)) {
			t.Errorf("no refusal of line %d for %q in\n%s", n, part, got)
		}
	}
	if strings.Contains(got, hash) {
		t.Error("a refusal repeats a hash")
	}
	if u := f.accounts(t)["1"]; u.TokenClaims() != `{"roles":["admin"],"tier":1}` {
		t.Errorf("imported %+v", u)
	}
	before := f.accounts(t)
	if again := f.importAll(t, file, JSONLines, false); !strings.HasPrefix(again, "0 imported, 3 present"+refusals) {
		t.Errorf("repeated: %s", again)
	}
	if !reflect.DeepEqual(before, f.accounts(t)) {
		t.Error("repeating the import changed an account")
	}
}

func TestImportStopsWhenTheStoreFails(t *testing.T) {
	f := newFixture(t)
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	report, err := Import(t.Context(), f.Service, func(yield func(Line, error) bool) {
		for n := 1; n < 10_000; n++ {
			if !yield(Line{Place{Line: n}, users.ImportUser{Email: fmt.Sprintf("u%d@example.org", n), PasswordHash: vectors["scrypt"]}, nil}, nil) {
				return
			}
		}
		t.Error("every line was read, though the store is down")
	}, false)
	if err == nil || report.Imported != 0 {
		t.Errorf("%s, %v", reported(report), err)
	}
}

func TestReadKeycloak(t *testing.T) {
	file := `{
  "realm": "shop",
  "roles": {"realm": [{"name": "users"}]},
  "users": [
    {"id":"a1","username":"ada@x.org","email":"ada@x.org","firstName":"Ada","enabled":true,"createdTimestamp":1700000000123,
     "realmRoles":["admin","default-roles-shop","offline_access"],
     "credentials":[{"type":"otp"},{"type":"password","secretData":"{\"value\":\"` + b64Digest + `\",\"salt\":\"` + b64Salt + `\",\"additionalParameters\":{}}",
       "credentialData":"{\"hashIterations\":27500,\"algorithm\":\"pbkdf2-sha256\",\"additionalParameters\":{}}"}]},
    {"id":"b2","username":"bob","email":"bob@x.org","enabled":false,
     "credentials":[{"type":"password","secretData":"{\"value\":\"` + b64Digest + `\",\"salt\":\"` + b64Salt + `\"}",
       "credentialData":"{\"hashIterations\":5,\"algorithm\":\"argon2\",\"additionalParameters\":{\"hashLength\":[\"32\"],\"memory\":[\"7168\"],\"type\":[\"id\"],\"version\":[\"1.3\"],\"parallelism\":[\"1\"]}}"}]},
    {"username":"none","email":"none@x.org"},
    {"username":"service-account-x","serviceAccountClientId":"x"},
    {"username":"old","email":"old@x.org","credentials":[{"type":"password","secretData":"{}","credentialData":"{\"algorithm\":\"md5\"}"}]}
  ],
  "clients": []
}`
	got := readAll(file, Keycloak)
	want := `line 5, user 1: it has a second factor that is of no use here, or has to set one up, and would log in without it: import it so with --drop-second-factor
9: b2 bob@x.org bob|| $argon2id$v=19$m=7168,t=5,p=1$MDEyMzQ1Njc4OWFiY2RlZg$eLfG50/UiKfi+PUXwa7UJUnEKxew7g/6fQMDOgY1744 true
line 12, user 3: no password among its credentials
line 13, user 4: a service account: register it as a client
line 14, user 5: its algorithm is none of pbkdf2, pbkdf2-sha256, pbkdf2-sha512 and argon2
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for line, err := range Read(strings.NewReader(file), Options{Format: Keycloak, DropSecondFactor: true}) {
		if err == nil && line.Account.UID == "a1" && (!slices.Equal(line.Account.Roles, []string{"admin"}) || line.Account.CreatedAt.UnixMilli() != 1700000000123) {
			t.Errorf("%+v", line.Account)
		}
	}
	for in, want := range map[string]string{
		"":                            "line 1: not a file of users as Keycloak exports it, at byte 0",
		"7":                           "line 1: not a file of users",
		`{"realm":"x"}`:               `line 1: not a file of users as Keycloak exports it, at byte 12: it has no list "users"`,
		`{"users":{}}`:                `line 1: not a file of users as Keycloak exports it, at byte 10: "users" is no list`,
		"{\"users\":[\n{}\n,nonsense": "line 2, user 1: no password among its credentials\nline 3, user 2: not a file of users",
		"[7]":                         "line 1, user 1: not a Keycloak user",
		"[{},{},7]":                   "line 1, user 1: no password among its credentials\nline 1, user 2: no password among its credentials\nline 1, user 3: not",
		"[":                           "line 1: not a file of users",
		`[{"email":"` + strings.Repeat("x", maxLine) + `"}]`: "line 1, user 1: longer than",
	} {
		if got := readAll(in, Keycloak); !strings.HasPrefix(got, want) {
			t.Errorf("%.40q: got %.200q, want %q", in, got, want)
		}
	}
}

// The salt and digest of vectors["argon2id"] in standard base64.
const (
	b64Salt   = "MDEyMzQ1Njc4OWFiY2RlZg=="
	b64Digest = "eLfG50/UiKfi+PUXwa7UJUnEKxew7g/6fQMDOgY1744="
)

func FuzzReadKeycloak(f *testing.F) {
	f.Add(`{"users":[{"email":"a","credentials":[{"type":"password","secretData":"{}","credentialData":"{}"}]}]}`)
	f.Add("[{},\n{}]")
	f.Fuzz(func(t *testing.T, in string) {
		last := 1
		for line, err := range Read(strings.NewReader(in), Options{Format: Keycloak, DropSecondFactor: true, DropTemporary: true}) {
			number := line.Line
			if bad := (*LineError)(nil); errors.As(err, &bad) {
				number = bad.Line
			}
			if number < last || number > strings.Count(in, "\n")+1 {
				t.Fatalf("line %d after line %d", number, last)
			}
			last = number
		}
	})
}

func TestExportRoundTrip(t *testing.T) {
	for _, format := range []Format{JSONLines, CSV} {
		f := newFixture(t)
		if _, err := f.Import(t.Context(), users.ImportUser{
			UID: "507f1f77bcf86cd799439011", Email: `"quoted"@example.org`, PasswordHash: vectors["pbkdf2 django"],
		}); err == nil {
			t.Error("an address with quotes was taken")
		}
		for n, name := range slices.Sorted(maps.Keys(vectors)) {
			_, err := f.Import(t.Context(), users.ImportUser{
				UID: fmt.Sprintf("id-%d", n), Email: fmt.Sprintf("u%d@example.org", n), FirstName: `Ann, "the <first>"`, LastName: "Grüße",
				Username: fmt.Sprintf("u%d", n), PasswordHash: vectors[name], Disabled: n%2 == 1, EmailVerified: n%3 == 1, SecondFactorRequired: n%5 == 1,
				Roles: []string{"a", "b:c"}, Claims: []byte(`{"x":["<&>",1.50]}`), CreatedAt: time.Date(2020, 2, 29, 1, 2, 3, 4e6, time.UTC),
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := f.IssueReset(t.Context(), "id-0", time.Hour, false); err != nil {
			t.Fatal(err)
		}
		f.events.all = nil
		var file bytes.Buffer
		n, err := Export(t.Context(), f.Service, &file, format)
		if err != nil || n != len(vectors) {
			t.Fatalf("%d written, %v", n, err)
		}
		if e := f.events.all; len(e) != 1 || e[0].Action != audit.UsersExported || e[0].Outcome != audit.Success {
			t.Errorf("events %+v", e)
		}
		g := newFixture(t)
		if got, want := g.importAll(t, file.String(), format, false), fmt.Sprintf("%d imported, 0 present", n); got != want {
			t.Fatalf("%s: %s", format, got)
		}
		for uid, want := range f.accounts(t) {
			got := g.accounts(t)[uid]
			// What an export leaves out.
			want.UpdatedAt, want.Epoch, want.Unsettled, want.Held = got.UpdatedAt, 0, false, got.Held
			want.ResetHash, want.ResetIssuedAt, want.ResetExpiresAt, want.Mailed = nil, time.Time{}, time.Time{}, got.Mailed
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got\n%+v\nwant\n%+v", format, got, want)
			}
		}
	}
}

// TestVerifiedAddressesStayVerified: that is said of the address of the line, and of no
// account without one.
func TestVerifiedAddressesStayVerified(t *testing.T) {
	hash := vectors["bcrypt 2b"]
	f := newFixture(t)
	got := f.importAll(t, `{"uid":"a","email":"Ada@X.org","email_verified":true,"password_hash":"`+hash+`"}
{"uid":"b","email":"bob@x.org","email_verified":"0","password_hash":"`+hash+`"}
{"uid":"c","username":"carl","email_verified":1,"password_hash":"`+hash+`"}
{"uid":"d","email":"dan@x.org","email_verified":"perhaps","password_hash":"`+hash+`"}`, JSONLines, false)
	if want := "2 imported, 0 present\nline 3: email_verified: there is no address that could be verified\nline 4: email_verified must be true or 1, false or 0, or empty"; got != want {
		t.Errorf("%s", got)
	}
	got = f.importAll(t, "uid,email,email_verified,password_hash\ne,eve@x.org,1,"+hash+"\nf,flo@x.org,,"+hash+"\n", CSV, false)
	if got != "2 imported, 0 present" {
		t.Errorf("%s", got)
	}
	accounts := f.accounts(t)
	for uid, want := range map[string]bool{"a": true, "b": false, "e": true, "f": false} {
		if u := accounts[uid]; u.EmailVerified() != want {
			t.Errorf("%s: %q of %q is verified", uid, u.VerifiedEmail, u.Email)
		}
	}
}

func TestExportThatCannotBe(t *testing.T) {
	f := newFixture(t)
	var file bytes.Buffer
	if _, err := Export(t.Context(), f.Service, &file, "xml"); err == nil || len(f.events.all) > 0 {
		t.Errorf("an unknown format: %v", err)
	}
	f.events.down = true
	if _, err := Export(t.Context(), f.Service, &file, JSONLines); !errors.Is(err, decision.ErrNotRecorded) || file.Len() > 0 {
		t.Errorf("A3: without its event %d bytes were written, error %v", file.Len(), err)
	}
	f.events.down = false
	if _, err := Export(t.Context(), f.Service, failingWriter{}, CSV); !errors.Is(err, errDown) {
		t.Errorf("a writer that fails: %v", err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errDown }
