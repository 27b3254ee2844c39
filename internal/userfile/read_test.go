package userfile

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/unicode"
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
		"{}\n{}{}":                         "1:   || " + " false\nline 2: not a JSON object",
		"{\"email\":\"a@x.org\",\"email\":\"b@x.org\"}":               "line 1: not a JSON object",
		"{\"Email\":\"a@x.org\"}":                                     "line 1: not a JSON object",
		"{\"email\":\"a@x.org\",\"first_name\":\"Gr\xfc\xdfe\"}":      "line 1: not UTF-8",
		strings.Repeat("x", 70_000) + "\n{\"email\":\"b@x.org\"}\r\n": "line 1: longer than 65536 bytes\n2:  b@x.org",
		"\n\nnonsense":             "line 3: not a JSON object",
		`{"email":7}`:              "line 1: ",
		`["a@x.org"]`:              "line 1: ",
		`{"created_at":"hunter2"}`: "line 1: created_at must be a time",
		`{"disabled":"hunter2"}`:   "line 1: disabled must be",
		`{"uid":["hunter2"]}`:      "line 1: not a JSON object",
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

// TestReadEncodings: what editors and shells of other systems write.
func TestReadEncodings(t *testing.T) {
	keycloak := `{"users": [` + "\r\n" + `{"id": "1", "email": "ada@x.org", "firstName": "Zoë", "credentials": [{"type": "password", "algorithm": "pbkdf2",
		"hashedSaltedValue": "eHh4eHh4eHh4eHh4eHh4eA==", "salt": "c3Nzc3Nzc3M=", "hashIterations": 2000}]}]}`
	for format, text := range map[Format]string{
		JSONLines: `{"email":"ada@x.org","first_name":"Zoë"}` + "\r\n\r\n", CSV: "email,first_name\r\nada@x.org,Zoë\r\n", Keycloak: keycloak,
	} {
		for name, encoding := range map[string]encoding.Encoding{
			"UTF-8": unicode.UTF8, "UTF-8 with a mark": unicode.UTF8BOM,
			"UTF-16 of Windows": unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), "UTF-16": unicode.UTF16(unicode.BigEndian, unicode.UseBOM),
		} {
			in, err := encoding.NewEncoder().String(text)
			if err != nil {
				t.Fatal(err)
			}
			if got := readAll(in, format); strings.Count(got, "\n") != 1 || !strings.Contains(got, "ada@x.org |Zoë|") {
				t.Errorf("%s in %s: %q", format, name, got)
			}
		}
	}
	if got := readAll("email,first_name\nada@x.org,Zo\xeb\n", CSV); got != "line 2: not UTF-8: write the file in it, or in UTF-16 with a byte order mark\n" {
		t.Errorf("Latin-1: %q", got)
	}
	if got := readAll("em\xeb,first_name\nada@x.org,Z\n", CSV); strings.Count(got, "\n") != 1 {
		t.Errorf("a heading in Latin-1: %q", got)
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
		if !errors.Is(err, errDown) || !errors.As(err, &line) || line.Line != 1 || !strings.HasSuffix(err.Error(), "; nothing after line 1 was read") {
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
	f.Add("email,first_name\na@x.org,\"a\r\n\nb\"\n\"", false)
	f.Fuzz(func(t *testing.T, in string, json bool) {
		format := CSV
		if json {
			format = JSONLines
		}
		last := 0
		for line, err := range Read(strings.NewReader(in), Options{Format: format}) {
			number := line.Line
			if lineErr, ok := errors.AsType[*LineError](err); ok {
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
