package users

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/keyturn/keyturn/internal/audit"
)

func TestU3_Import(t *testing.T) {
	f := newFixture(t)
	u, err := f.Import(t.Context(), ImportUser{
		UID: "507f1f77bcf86cd799439011", Email: "Old@example.org", Username: "old", FirstName: "O", LastName: "L",
		PasswordHash: vectors["scrypt"], Disabled: true,
	})
	if err != nil || u.UID != "507f1f77bcf86cd799439011" || !u.Disabled || u.PasswordHash != vectors["scrypt"] || !reflect.DeepEqual(u, f.mem.users[u.UID]) {
		t.Errorf("%+v, %v", u, err)
	}
	if e := f.mem.lastEvent(t); e.Action != audit.UserImported || e.Outcome != audit.Success || e.UserID != u.UID {
		t.Errorf("%+v", e)
	}
	if _, err := f.Import(t.Context(), ImportUser{Email: "plain@example.org", Password: goodPassword}); err != nil {
		t.Error(err)
	}
	if _, err := f.Authenticate(t.Context(), "plain@example.org", goodPassword); err != nil {
		t.Error(err)
	}
}

func TestU3_ImportRefusals(t *testing.T) {
	f := newFixture(t)
	hash := vectors["bcrypt 2b"]
	for _, c := range []struct {
		user   ImportUser
		reason string
	}{
		{ImportUser{Email: "ada@example.org", PasswordHash: hash}, "email_taken"},
		{ImportUser{Email: "x", PasswordHash: hash}, "invalid_email"},
		{ImportUser{Email: "x@example.org"}, "invalid_password_hash"},
		{ImportUser{Email: "x@example.org", PasswordHash: hash, Password: goodPassword}, "invalid_password_hash"},
		{ImportUser{Email: "x@example.org", PasswordHash: "$2b$31" + hash[6:]}, "invalid_password_hash"},
		{ImportUser{Email: "x@example.org", PasswordHash: "secret"}, "invalid_password_hash"},
		{ImportUser{Email: "x@example.org", Password: "short"}, "password_refused"},
		{ImportUser{Email: "x@example.org", PasswordHash: hash, UID: f.ada.UID}, "invalid_uid"},
		{ImportUser{Email: "x@example.org", PasswordHash: hash, UID: "a b"}, "invalid_uid"},
		{ImportUser{Email: "x@example.org", PasswordHash: hash, UID: strings.Repeat("x", 65)}, "invalid_uid"},
	} {
		if _, err := f.Import(t.Context(), c.user); Reason(err).String() != c.reason {
			t.Errorf("%+v: %v, want %s", c.user, err, c.reason)
		}
		if e := f.mem.lastEvent(t); e.Action != audit.UserImported || e.Outcome != audit.Failure || e.Reason.String() != c.reason {
			t.Errorf("%+v", e)
		}
	}
	if len(f.mem.users) != 1 {
		t.Errorf("%d accounts, want 1", len(f.mem.users))
	}
}

// readAll writes down what ReadImport yields, one line each.
func readAll(in string, format ImportFormat) string {
	var b strings.Builder
	for line, err := range ReadImport(strings.NewReader(in), format) {
		if err != nil {
			fmt.Fprintln(&b, err)
			continue
		}
		u := line.User
		fmt.Fprintf(&b, "%d: %s %s %s|%s|%s %s %t\n", line.Line, u.UID, u.Email, u.Username, u.FirstName, u.LastName, u.PasswordHash, u.Disabled)
	}
	return b.String()
}

func TestReadImportJSONLines(t *testing.T) {
	got := readAll("\ufeff"+`{"uid":"1","email":"a@x.org","username":"a","first_name":"A","last_name":"B","password_hash":"h","disabled":true}

{"email":"b@x.org","password":"p"}
`, JSONLines)
	want := "1: 1 a@x.org a|A|B h true\n3:  b@x.org ||  false\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for in, want := range map[string]string{
		`{"email":"a@x.org","admin":true}`: "line 1: ",
		"{}\n{}{}":                         "1:   || " + " false\nline 2: more than one",
		"\n\nnonsense":                     "line 3: not a JSON object",
		`{"email":7}`:                      "line 1: ",
		`["a@x.org"]`:                      "line 1: ",
		`{"created_at":"hunter2"}`:         "line 1: not a JSON object",
		`{"disabled":"hunter2"}`:           "line 1: not a JSON object",
	} {
		if got := readAll(in, JSONLines); !strings.HasPrefix(got, want) || strings.Contains(got, "hunter2") {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestReadImportCSV(t *testing.T) {
	got := readAll("\ufeffpassword_hash,email,disabled,first_name\r\n"+
		"\"$argon2id$v=19$m=19456,t=2,p=1$s$h\",a@x.org,true,\"Ada \"\"the first\"\"\"\r\n\r\nh,b@x.org,,\n", CSV)
	want := "2:  a@x.org |Ada \"the first\"| $argon2id$v=19$m=19456,t=2,p=1$s$h true\n4:  b@x.org || h false\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for in, want := range map[string]string{
		"email,role\na@x.org,admin":             "line 1: the first line must name the columns",
		"email,email\na,b":                      "line 1: the first line must name the columns",
		"uid,username\n1,2":                     "line 1: the first line must name the columns",
		"a@x.org,hunter2":                       "line 1: the first line must name the columns",
		"email\na@x.org,b":                      "line 2: 2 fields",
		"email,disabled\na@x.org,yes":           "line 2: disabled must be",
		"email,first_name\na@x.org,\"open":      "line 2: column",
		"email,first_name\na@x.org,a\"b\n":      "line 2: column",
		"email\n" + strings.Repeat("x", 70_000): "line 2: longer than",
	} {
		if got := readAll(in, CSV); !strings.HasPrefix(got, want) || strings.Contains(got, "hunter2") {
			t.Errorf("%.40q: got %.200q, want %q", in, got, want)
		}
	}
}

func TestReadImportStops(t *testing.T) {
	for _, err := range ReadImport(strings.NewReader("x"), "xml") {
		if err == nil {
			t.Error("an unknown format was accepted")
		}
	}
	for _, err := range ReadImport(io.MultiReader(iotest.ErrReader(errDown)), JSONLines) {
		var line *LineError
		if !errors.Is(err, errDown) || !errors.As(err, &line) || line.Line != 1 {
			t.Errorf("got %v", err)
		}
	}
	seen := 0
	for range ReadImport(strings.NewReader("{}\n{}\n{}\n"), JSONLines) {
		if seen++; seen == 2 {
			break
		}
	}
	if seen != 2 {
		t.Errorf("%d lines were read", seen)
	}
}

func FuzzReadImport(f *testing.F) {
	f.Add("{\"email\":\"a@x.org\"}\n{}", true)
	f.Add("email,disabled\na@x.org,true\n", false)
	f.Fuzz(func(t *testing.T, in string, json bool) {
		format := CSV
		if json {
			format = JSONLines
		}
		last := 0
		for line, err := range ReadImport(strings.NewReader(in), format) {
			number := line.Line
			var lineErr *LineError
			if errors.As(err, &lineErr) {
				number = lineErr.Line
			} else if err != nil {
				t.Fatalf("an error without a line: %v", err)
			}
			if number <= last || number > strings.Count(in, "\n")+1 {
				t.Fatalf("line %d after line %d", number, last)
			}
			last = number
		}
	})
}
