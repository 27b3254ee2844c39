package userfile

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// readAll writes down what Read yields, one line each.
func readAll(in string, format Format) string {
	var b strings.Builder
	for line, err := range Read(strings.NewReader(in), Options{Format: format}) {
		if err != nil {
			fmt.Fprintln(&b, err)
			continue
		}
		u := line.Account
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
		`{"created_at":"hunter2"}`:         "line 1: created_at must be a time",
		`{"disabled":"hunter2"}`:           "line 1: disabled must be",
		`{"uid":["hunter2"]}`:              "line 1: not a JSON object",
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
		"uid,disabled\n1,0":                     "line 1: the first line must name the columns",
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
	for _, err := range Read(strings.NewReader("x"), Options{Format: "xml"}) {
		if err == nil {
			t.Error("an unknown format was accepted")
		}
	}
	for _, err := range Read(io.MultiReader(iotest.ErrReader(errDown)), Options{Format: JSONLines}) {
		var line *LineError
		if !errors.Is(err, errDown) || !errors.As(err, &line) || line.Line != 1 {
			t.Errorf("got %v", err)
		}
	}
	seen := 0
	for range Read(strings.NewReader("{}\n{}\n{}\n"), Options{Format: JSONLines}) {
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
		for line, err := range Read(strings.NewReader(in), Options{Format: format}) {
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
