package userfile

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// foreignWords are those of the programs that read JSON, CSV and numbers for this one.
var foreignWords = regexp.MustCompile(`json:|Go |struct|strconv|invalid character|looking for|unmarshal|EOF|parse error|bare "|extraneous`)

// TestWhatIsWrongIsSaidInPlainWords: with its place, and without what stands there.
func TestWhatIsWrongIsSaidInPlainWords(t *testing.T) {
	const user = `{"email":"ada@x.org","password_hash":"h",`
	for _, c := range []struct {
		format   Format
		in, want string
	}{
		{JSONLines, `[{"email":"hunter2"},` + "\n{}]", `line 1: a list, where each line is an object of its own: "jq -c '.[]'" makes such lines of it; nothing was read`},
		{JSONLines, "\n [\n{\n}\n]", "line 2: a list"},
		// A list among the lines is one bad line.
		{JSONLines, user + `"uid":1}` + "\n[]\n" + `{"email":"eve@x.org"}`, "line 2: not a JSON object with the fields uid, email, email_verified, username, first_name, last_name, password_hash, password, disabled, roles, claims, totp, passkeys, second_factor_required, created_at, password_changed_at: it is no object\n3:  eve@x.org"},
		{JSONLines, "hunter2\n[" + user + `"uid":1}]` + "\n" + `{"email":"eve@x.org"}`, "\n3:  eve@x.org"},
		{JSONLines, "[\n{}\n", "; nothing was read"},
		{CSV, "hunter2\nada@x.org", "; nothing after line 1 was read"},
		{CSV, "em\xeb\nada@x.org", "; nothing after line 1 was read"},
		{JSONLines, `"hunter2"`, "line 1: not a JSON object with the fields uid, email"},
		{JSONLines, "{\n\"email\": \"hunter2\"\n}", "line 1: not a JSON object"},
		{JSONLines, "hunter2", "line 1: not a JSON object"},
		{JSONLines, `{"email":"ada@x.org","hunter"}`, "what stands at byte 29 of it"},
		{JSONLines, `{"email":7}`, "email is of the wrong type"},
		{JSONLines, `{"roles":"hunter2"}`, "roles is of the wrong type"},
		{JSONLines, `{"roles":["a",{"hunter2":1}]}`, "roles is of the wrong type"},
		{JSONLines, user + `"uid":true}`, "line 1: not a JSON object with the fields uid, email, email_verified, username, first_name, last_name, password_hash, password, disabled, roles, claims, totp, passkeys, second_factor_required, created_at, password_changed_at: uid must be a text or a whole number"},
		{JSONLines, user + `"uid":17.0}`, "uid must be a text or a whole number"},
		{JSONLines, user + `"uid":1e3}`, "uid must be a text or a whole number"},
		{JSONLines, user + `"uid":{"$oid":"hunter2"}}`, "uid must be a text or a whole number"},
		{JSONLines, user + `"uid":-17}`, "1: -17 ada@x.org"},
		{JSONLines, user + `"uid":12345678901234567890}`, "1: 12345678901234567890 ada@x.org"},
		{JSONLines, user + `"uid":null}`, "1:  ada@x.org"},
		{JSONLines, user + `"disabled":["hunter2"]}`, "line 1: disabled must be"},
		{JSONLines, user + `"created_at":{"$date":"hunter2"}}`, "line 1: created_at must be"},
		{JSONLines, user + `"created_at":true}`, "line 1: created_at must be"},
		{CSV, "email,first_name\nada@x.org,\"hunter2", "line 2: column"},
		{CSV, "email,first_name\nada@x.org,a\"hunter2\n", "line 2: column"},
		{CSV, "email,\"first_name\nada@x.org,hunter2", "line 1: column"},
		{Keycloak, "", "line 1: not a file of users as Keycloak exports it, at byte 0: it breaks off"},
		{Keycloak, `{"users":[{"email":"hunter2"`, "line 1, user 1: not a file of users as Keycloak exports it, at byte 28: it breaks off"},
		{Keycloak, `{"users":[{"email":["hunter2"]}]}`, "line 1, user 1: not a Keycloak user: email is of the wrong type"},
		{Keycloak, `{"users":[{"createdTimestamp":"hunter2"}]}`, "createdTimestamp is of the wrong type"},
		// The byte is the one that is wrong, not that where its account begins.
		{Keycloak, `{"users":[{"id":"a"},{"id":"b", hunter2}]}`, "line 1, user 2: not a file of users as Keycloak exports it, at byte 32: what stands there"},
		{Keycloak, `{"users":[{"id":"a"},` + "\n" + `{"id":"b"` + "\n" + ` "hunter2":1}]}`, "line 3, user 2: not a file of users as Keycloak exports it, at byte 33: what stands there"},
		{Keycloak, `{"realm":{"a":hunter2},"users":[]}`, "line 1: not a file of users as Keycloak exports it, at byte 14: what stands there"},
		{Keycloak, `{"users":[{"id":"a"} hunter2]}`, "line 1, user 2: not a file of users as Keycloak exports it, at byte 21: what stands there"},
		{Firebase, `{"users":[{"localId":hunter2}]}`, "line 1, user 1: not a file of users as Firebase exports it, at byte 21: what stands there"},
		{Keycloak, `[{"email":7},{"email":hunter2},{}]`, "; nothing after line 1, user 2 was read"},
		{Keycloak, "[{}]\n[{}]", "line 2, user 1: not a file of users as Keycloak exports it, at byte 6: a second document: import each by itself; nothing after line 2, user 1 was read"},
		{Keycloak, `{"users":[{}],"a":[1],"users":[{}]}`, `: "users" stands in it twice; nothing after line 1, user 1 was read`},
		{Keycloak, `{"users":[{}],"a":hunter2}`, "line 1, user 1: not a file of users as Keycloak exports it, at byte 18: what stands there"},
		{Keycloak, `{"users":[{}]`, "at byte 13: it breaks off; nothing after line 1, user 1 was read"},
		{Keycloak, `{"users":[hunter2]}`, "line 1, user 1: not a file of users as Keycloak exports it, at byte 10: what stands there"},
	} {
		got := readAll(c.in, c.format)
		if !strings.Contains(got, c.want) || strings.Contains(got, "hunter2") || foreignWords.MatchString(got) {
			t.Errorf("%s %q: got %q, want %q", c.format, c.in, got, c.want)
		}
		if c.format == JSONLines && c.in[0] == '[' && strings.Count(got, "\n") != 1 {
			t.Errorf("a list is refused more than once: %q", got)
		}
	}
}

// TestCSVFieldsHaveLineBreaks where quotes are around them; a quote that is left open
// costs no line but its own.
func TestCSVFieldsHaveLineBreaks(t *testing.T) {
	const heading = "email,last_name,password_hash\n"
	for in, want := range map[string]string{
		"ada@x.org,\"two\nlines\",h\nb@x.org,B,h\n":                  "2:  ada@x.org ||two\nlines h false\n4:  b@x.org ||B h false\n",
		"ada@x.org,\"a\r\n\r\n\"\"b\"\"\",h\r\nb@x.org,B,h\r\n":      "2:  ada@x.org ||a\n\n\"b\" h false\n5:  b@x.org ||B h false\n",
		"ada@x.org,\"a\nb\",h":                                       "2:  ada@x.org ||a\nb h false\n",
		"ada@x.org,\"a\n,h\nb@x.org,B,h\n":                           "line 2: column 0\n3: 2 fields\n4:  b@x.org ||B h false\n",
		"ada@x.org,\"a,h\nb@x.org,\"\"B,h\nc@x.org,C,h\n":            "line 2: column\nline 3: column\n4:  c@x.org ||C h false\n",
		"ada@x.org,\"" + strings.Repeat("x\n", maxLine/2) + "\",h\n": "line 2: column\n",
	} {
		got := readAll(heading+in, CSV)
		for _, part := range strings.SplitAfter(want, "\n") {
			part = strings.NewReplacer("column 0\n", "column", "3: 2 fields\n", "line 3: 2 fields", "column\n", "column").Replace(part)
			if !strings.Contains(got, part) {
				t.Errorf("%.60q: got\n%.300s\nwant\n%s", in, got, want)
				break
			}
		}
	}
	var many strings.Builder
	many.WriteString(heading)
	for n := range 5000 {
		fmt.Fprintf(&many, "u%d@x.org,\"a\n%s\",h\n", n, strings.Repeat("y", n%97))
	}
	n := 0
	for line, err := range Read(strings.NewReader(many.String()), Options{Format: CSV}) {
		if err != nil || line.Line != 2+2*n || line.Account.Email != fmt.Sprintf("u%d@x.org", n) {
			t.Fatalf("account %d: %+v, %v", n, line, err)
		}
		n++
	}
	if n != 5000 {
		t.Errorf("%d accounts", n)
	}
}
