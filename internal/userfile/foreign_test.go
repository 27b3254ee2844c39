package userfile

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/passwords/passwordstest"
	"github.com/keyturn/keyturn/internal/refusal"
)

// importWith imports a file and returns its report, its losses and its accounts'
// uids by address.
func (f *fixture) importWith(t *testing.T, in string, o Options) (string, map[string]int, map[string]string) {
	t.Helper()
	report, err := Import(t.Context(), f.Service, Read(strings.NewReader(in), o), false)
	if err != nil {
		t.Fatal(err)
	}
	uids := map[string]string{}
	for uid, u := range f.accounts(t) {
		uids[u.Email] = uid
	}
	return reported(report), report.Dropped, uids
}

// The passwords that Keycloak 23.0.7 hashed at 2000 rounds, as it exports them.
const keycloakPasswords = `[
{"username":"one","email":"one@x.org","credentials":[{"type":"password",
 "secretData":"{\"value\":\"6cacKEtV5SGcHxK1m2QBPqbswGbBFaRATWCIlSt+bbsN1tTcnniydHFe2QP6m5iqaNGwTy5fguAqdIm6z42Cgw==\",\"salt\":\"Vttp0A87zr3ljNfxcAY3HA==\",\"additionalParameters\":{}}",
 "credentialData":"{\"hashIterations\":2000,\"algorithm\":\"pbkdf2\",\"additionalParameters\":{}}"}]},
{"username":"two","email":"two@x.org","credentials":[{"type":"password",
 "secretData":"{\"value\":\"Ek1XjoB/rcI2Kdu1UlAOLKYXkWMxmGCtZWGAA/VOPvyUnAKJHAAGK29hubP7PhCYIAz6spKc1N664RIumYIu+A==\",\"salt\":\"UU0ZmO8hbChwgLqwfsdVSA==\",\"additionalParameters\":{}}",
 "credentialData":"{\"hashIterations\":2000,\"algorithm\":\"pbkdf2-sha256\",\"additionalParameters\":{}}"}]},
{"username":"three","email":"three@x.org","credentials":[{"type":"password","algorithm":"pbkdf2-sha512","hashIterations":2000,
 "hashedSaltedValue":"S0V42Z91yulORYiT79t0tqRgaM00RfYldd0zuBQkZ926O7jAUhuoZ241tRuWQ8eQJFr7Ohv5nTgXyU3mxTjS/A==","salt":"rtP1tUNpEkPRPIpHF9n99g=="}]}]`

func TestU3_KeycloaksUsersLogIn(t *testing.T) {
	f := newFixture(t)
	if got, dropped, _ := f.importWith(t, keycloakPasswords, Options{Format: Keycloak}); got != "3 imported, 0 present" || len(dropped) != 0 {
		t.Fatal(got, dropped)
	}
	for _, email := range []string{"one@x.org", "two@x.org", "three@x.org"} {
		if _, err := f.Authenticate(t.Context(), email, passwordstest.Password); err != nil {
			t.Errorf("%s: %v", email, err)
		}
	}
}

func TestKeycloakLosesNothingWithoutAWord(t *testing.T) {
	user := func(name, more string) string {
		return `{"email":"` + name + `@x.org",` + more + `"credentials":[{"type":"password","algorithm":"pbkdf2-sha256","hashIterations":2000,"hashedSaltedValue":"` +
			b64Digest + `","salt":"` + b64Salt + `"}`
	}
	in := "[" + strings.Join([]string{
		user("plain", `"requiredActions":[],"groups":[],"attributes":{},"totp":false,`) + "]}",
		user("otp", ``) + `,{"type":"otp","secretData":"{}"}]}`,
		user("key", ``) + `,{"type":"webauthn"}]}`,
		user("totp", `"totp":true,`) + "]}",
		user("setup", `"requiredActions":["CONFIGURE_TOTP"],`) + "]}",
		user("temporary", `"requiredActions":["UPDATE_PASSWORD"],"groups":["/a"],`) + "]}",
		user("rich", `"requiredActions":["VERIFY_EMAIL"],"groups":["/a","/b"],"clientRoles":{"x":["y"]},"attributes":{"a":["b"]},"federatedIdentities":[{}],"username":"ada@y.org",`) + "]}",
	}, ",") + "]"
	f := newFixture(t)
	got, dropped, _ := f.importWith(t, in, Options{Format: Keycloak})
	want := map[string]int{"groups": 1, "client roles": 1, "attributes": 1, "identities of other providers": 1, "required actions": 1, usernamesDropped: 1}
	if !strings.HasPrefix(got, "2 imported") || !maps.Equal(dropped, want) {
		t.Errorf("%s\n%v; want %v", got, dropped, want)
	}
	for n, flag := range map[int]string{2: "--drop-second-factor", 3: "--drop-second-factor", 4: "--drop-second-factor", 5: "--drop-second-factor", 6: "--drop-temporary"} {
		if refusal := fmt.Sprintf("line 1, user %d: ", n); !strings.Contains(got, refusal) || !strings.Contains(strings.SplitN(got, refusal, 2)[1], flag) {
			t.Errorf("user %d is not refused for %s in\n%s", n, flag, got)
		}
	}
	got, dropped, _ = f.importWith(t, in, Options{Format: Keycloak, DropSecondFactor: true, DropTemporary: true})
	want = map[string]int{"second factors": 4, "duties to change a temporary password": 1, "groups": 1}
	if got != "5 imported, 2 present" || !maps.Equal(dropped, want) {
		t.Errorf("%s\n%v; want %v", got, dropped, want)
	}
}

// TestKeycloaksAppsGoOn: the codes are those of RFC 6238, appendix B, whose secret is a
// text, as Keycloak makes one.
func TestKeycloaksAppsGoOn(t *testing.T) {
	const text = "12345678901234567890"
	user := func(name, secret, how string) string {
		return `{"email":"` + name + `@x.org","totp":true,"credentials":[{"type":"password","algorithm":"pbkdf2-sha256","hashIterations":2000,"hashedSaltedValue":"` +
			b64Digest + `","salt":"` + b64Salt + `"},{"type":"otp","userLabel":"phone","secretData":"{\"value\":\"` + secret + `\"}","credentialData":"` + strings.ReplaceAll(how, `"`, `\"`) + `"}]}`
	}
	in := "[" + strings.Join([]string{
		user("six", text, `{"subType":"totp","digits":6,"counter":0,"period":30,"algorithm":"HmacSHA1"}`),
		user("eight", text, `{"subType":"totp","digits":8,"period":30,"algorithm":"HmacSHA1"}`),
		user("long", text+"123456789012", `{"subType":"totp","digits":8,"period":30,"algorithm":"HmacSHA256"}`),
		user("encoded", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", `{"subType":"totp","digits":6,"period":30,"algorithm":"HmacSHA1","secretEncoding":"BASE32"}`),
		user("counter", text, `{"subType":"hotp","digits":6,"counter":7,"algorithm":"HmacSHA1"}`),
		user("weak", text, `{"subType":"totp","digits":6,"period":30,"algorithm":"HmacMD5"}`),
	}, ",") + "]"
	f := newFixture(t)
	if got, _, _ := f.importWith(t, in, Options{Format: Keycloak}); !strings.HasPrefix(got, "0 imported") || !strings.Contains(got, "master key") {
		t.Errorf("without a master key: %s", got)
	}
	f.seal(t)
	got, _, uids := f.importWith(t, in, Options{Format: Keycloak})
	if !strings.HasPrefix(got, "4 imported") || !strings.Contains(got, "user 5: it has a second factor") || !strings.Contains(got, "user 6: totp: its algorithm") {
		t.Error(got)
	}
	var file bytes.Buffer
	for _, format := range []Format{JSONLines, CSV} {
		file.Reset()
		if _, err := Export(t.Context(), f.Service, &file, format); err != nil || !strings.Contains(file.String(), "phone") {
			t.Fatalf("%v: %s", err, file.String())
		}
		g := newFixture(t)
		g.seal(t)
		if got := g.importAll(t, file.String(), format, false); got != "4 imported, 0 present" {
			t.Fatalf("%s: %s", format, got)
		}
		g.Now = func() time.Time { return time.Unix(1111111109, 0) }
		for name, code := range map[string]string{"six": "081804", "eight": "07081804", "long": "68084774", "encoded": "081804"} {
			u := g.accounts(t)[uids[name+"@x.org"]]
			if err := g.UseFactor(t.Context(), u, "000000"); !refusal.Is(err, refusal.WrongCode) {
				t.Errorf("%s, a guess: %v", name, err)
			}
			if err := g.UseFactor(t.Context(), u, code); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	f.Sealer = nil
	if _, err := Export(t.Context(), f.Service, &file, JSONLines); err == nil || !strings.Contains(err.Error(), "master key") {
		t.Errorf("an export that would lose a second factor: %v", err)
	}
}

const firebaseParameters = `hash_config {
  algorithm: SCRYPT,
  base64_signer_key: a2V5dHVybiB0ZXN0IHNpZ25lciBrZXksIHNpeHR5LWZvdXIgYnl0ZXMgb2YgaXQsIG1hZGUgZm9yIHRlc3RzLg==,
  base64_salt_separator: Bw==,
  rounds: 8,
  mem_cost: 10,
}`

// The hash is firebase-scrypt 2.2.0's.
func TestU3_FirebasesUsersLogIn(t *testing.T) {
	project, err := ParseFirebaseProject(firebaseParameters)
	if err != nil {
		t.Fatal(err)
	}
	const hash, salt = "UzKcKbT4HBV6Ke7T7ACcmLd9SkB6NSsKTmrZzKFOcYQUy4NXocaZA8CoIk2WZSYiH+ZbsHR0Ab0ucmFbvbEYDg==", "8rGx5Vj8IUUqTZ7m"
	web := strings.NewReplacer("+", "-", "/", "_").Replace
	in := `{"users": [
  {"localId":"kZ1","email":"one@x.org","emailVerified":true,"passwordHash":"` + hash + `","salt":"` + salt + `","displayName":"Ada","lastSignedInAt":"1700000000000","createdAt":"1600000000000","customAttributes":"{\"tier\":1}","providerUserInfo":[{}],"phoneNumber":"+1"},
  {"localId":"kZ2","email":"two@x.org","passwordHash":"` + web(hash) + `","salt":"` + web(salt) + `","disabled":true},
  {"localId":"kZ3","email":"three@x.org"},
  {"localId":"kZ4","email":"four@x.org","passwordHash":"` + hash + `","salt":"` + salt + `","mfaInfo":[{}]},
  {"localId":"kZ5","email":"five@x.org","passwordHash":"AAAA","salt":"` + salt + `"}
]}`
	f := newFixture(t)
	got, dropped, uids := f.importWith(t, in, Options{Format: Firebase, Firebase: &project})
	want := "2 imported, 0 present\nline 4, user 3: it has no password\nline 5, user 4: it has a second factor and would log in without it: " +
		"import it so with --drop-second-factor\nline 6, user 5: hash of 3 bytes: the project's signer key has 64"
	if got != want || !maps.Equal(dropped, map[string]int{"identities of other providers": 1, "phone numbers": 1}) {
		t.Errorf("%s\n%v", got, dropped)
	}
	u, err := f.Authenticate(t.Context(), "one@x.org", passwordstest.Password)
	if err != nil || u.UID != "kZ1" || u.FirstName != "Ada" || u.Claims != `{"tier":1}` || !u.EmailVerified() || u.CreatedAt.Unix() != 1_600_000_000 {
		t.Errorf("%+v, %v", u, err)
	}
	if two := f.accounts(t)[uids["two@x.org"]]; !two.Disabled || two.EmailVerified() {
		t.Errorf("%+v", two)
	}
	for _, bad := range []string{
		"", "rounds: 8", strings.Replace(firebaseParameters, "SCRYPT", "BCRYPT", 1), strings.Replace(firebaseParameters, "rounds: 8", "rounds: 800", 1),
		strings.Replace(firebaseParameters, "Bw==", "!", 1), strings.Replace(firebaseParameters, "mem_cost", "memory", 1), strings.Replace(firebaseParameters, "LWZv", "L*Zv", 1),
	} {
		if _, err := ParseFirebaseProject(bad); err == nil || strings.Contains(err.Error(), "a2V5") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if got := readAll(in, Firebase); !strings.HasPrefix(got, "line 2, user 1: the hash parameters of its project are needed") {
		t.Errorf("without them: %s", got)
	}
}

// Databases and Auth0 write ids, switches and times in their own ways.
func TestReadValuesOfDatabases(t *testing.T) {
	noon := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ json, csv string }{
		{`"2026-01-31T12:00:00Z"`, "2026-01-31T12:00:00Z"}, {`"2026-01-31 12:00:00+00"`, "2026-01-31 12:00:00+00"},
		{`"2026-01-31 13:00:00.000+01"`, "2026-01-31 13:00:00+01:00"}, {`"2026-01-31 12:00:00"`, "2026-01-31 12:00:00.000000"},
		{`1769860800`, "1769860800"}, {`1769860800000`, "1769860800000"}, {`1769860800.0`, "1769860800000000"},
		{`"1769860800"`, "2026-01-31 12:00:00 UTC"}, {`"2026-01-31 12:00:00 +0000"`, "2026-01-31T12:00:00"},
	} {
		for line, err := range Read(strings.NewReader(`{"email":"a@x.org","created_at":`+c.json+`}`), Options{Format: JSONLines}) {
			if err != nil || !line.Account.CreatedAt.Equal(noon) {
				t.Errorf("%s: %v, %v", c.json, line.Account.CreatedAt, err)
			}
		}
		for line, err := range Read(strings.NewReader("email,created_at\na@x.org,"+c.csv), Options{Format: CSV}) {
			if err != nil || !line.Account.CreatedAt.Equal(noon) {
				t.Errorf("%s: %v, %v", c.csv, line.Account.CreatedAt, err)
			}
		}
	}
	for _, bad := range []string{"yesterday", "31.01.2026", "-1", "1e400", "NaN", "2026-01-31 12:00:00 CEST", "2026-13-01"} {
		if at, ok := parseTime(bad); ok {
			t.Errorf("%s: %s", bad, at)
		}
	}
	got := readAll("{\"uid\":17,\"email\":\"a@x.org\",\"disabled\":1}\n{\"uid\":\"auth0|507f1f\",\"email\":\"b@x.org\",\"disabled\":\"FALSE\"}\n{\"uid\":null,\"email\":\"c@x.org\",\"disabled\":true}", JSONLines)
	if want := "1: 17 a@x.org ||  true\n2: auth0|507f1f b@x.org ||  false\n3:  c@x.org ||  true\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	got = readAll("uid,email,disabled\n1,a@x.org,TRUE\n2,b@x.org,0\n3,c@x.org,f\n4,d@x.org,T\n", CSV)
	if want := "2: 1 a@x.org ||  true\n3: 2 b@x.org ||  false\n4: 3 c@x.org ||  false\n5: 4 d@x.org ||  true\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// The id of an Auth0 user is kept, and a username that is an address is not.
func TestImportDropsUsernamesThatAreAddresses(t *testing.T) {
	f := newFixture(t)
	in := `{"uid":"auth0|507f1f","email":"ada@x.org","username":"grace@x.org","password":"` + goodPassword + `"}`
	got, dropped, uids := f.importWith(t, in, Options{Format: JSONLines})
	if got != "1 imported, 0 present" || !maps.Equal(dropped, map[string]int{usernamesDropped: 1}) || uids["ada@x.org"] != "auth0|507f1f" {
		t.Errorf("%s, %v, %v", got, dropped, uids)
	}
	if u := f.accounts(t)["auth0|507f1f"]; u.Username != "" {
		t.Errorf("%+v", u)
	}
}

// Accounts without an address are imported under their username, once.
func TestImportWithoutAddress(t *testing.T) {
	f := newFixture(t)
	in := "uid,username,password\nk1,kiosk,violet harbour at noon\n,\"Kiosk two\",violet harbour at noon\n3,,violet harbour at noon\n"
	got, _, _ := f.importWith(t, in, Options{Format: CSV})
	if want := "2 imported, 0 present\nline 4: email: must have one @"; !strings.HasPrefix(got, want) {
		t.Errorf("%s", got)
	}
	if again, _, _ := f.importWith(t, in, Options{Format: CSV}); !strings.HasPrefix(again, "0 imported, 2 present") {
		t.Errorf("again: %s", again)
	}
	if u, err := f.Authenticate(t.Context(), "kiosk", goodPassword); err != nil || u.UID != "k1" {
		t.Errorf("%+v, %v", u, err)
	}
}

func FuzzParseFirebaseProject(f *testing.F) {
	f.Add(firebaseParameters)
	f.Fuzz(func(t *testing.T, in string) {
		if p, err := ParseFirebaseProject(in); err == nil && (p.Rounds > 255 || p.MemCost > 255) {
			t.Fatalf("%+v", p)
		}
	})
}

func FuzzReadFirebase(f *testing.F) {
	f.Add(`{"users":[{"localId":"a","passwordHash":"AAAA","salt":"AAAA","createdAt":"1","mfaInfo":[]}]}`)
	project, err := ParseFirebaseProject(firebaseParameters)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in string) {
		for _, err := range Read(strings.NewReader(in), Options{Format: Firebase, Firebase: &project}) {
			if err != nil && err.Error() == "" {
				t.Fatal("an error without a text")
			}
		}
	})
}

func FuzzParseTime(f *testing.F) {
	for _, form := range append(timeForms, "1769860800", "1e16") {
		f.Add(form)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if at, ok := parseTime(in); ok && at.Location() != time.UTC {
			t.Fatalf("%q is %s", in, at)
		}
	})
}
