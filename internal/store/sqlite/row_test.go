package sqlite

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/keyturn/keyturn/users"
)

// FuzzList checks that every list comes back as it was, and that the quick way
// of decoding reads what encoding/json reads.
func FuzzList(f *testing.F) {
	for _, s := range []string{"", "openid", `","`, `"`, `\`, `["a"]`, "a b", "é", "\n", "<&>"} {
		f.Add(s, s, `["`+s+`"]`)
	}
	f.Add("a", "b", `["a", "b"]`)
	f.Add("a", "b", `["a","b","]`)
	f.Fuzz(func(t *testing.T, a, b, text string) {
		if utf8.ValidString(a) && utf8.ValidString(b) {
			for _, list := range [][]string{nil, {a}, {a, b}, {b, a, b}} {
				got, err := decodeList(encodeList(list))
				if err != nil || !slices.Equal(got, list) {
					t.Errorf("%q comes back as %q, error %v", list, got, err)
				}
			}
		}
		var want []string
		wantErr := json.Unmarshal([]byte(text), &want)
		if got, err := decodeList(text); wantErr == nil && utf8.ValidString(text) && (err != nil || !slices.Equal(got, want)) {
			t.Errorf("%q is read as %q, error %v; want %q", text, got, err, want)
		}
	})
}

// TestADamagedRecordIsNamed has somebody change a record by hand: whoever meets
// it is told which, and where.
func TestADamagedRecordIsNamed(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "keyturn.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, uid := range []string{"u1", "u2"} {
		if err := s.CreateUser(t.Context(), users.User{UID: uid, Email: uid, EmailKey: uid}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := change(t.Context(), s, func(c *conn) (int, error) { return 0, c.script(`UPDATE users SET roles = 'none' WHERE uid = 'u2'`) }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ListUsers(t.Context(), "", 10); err == nil || !strings.Contains(err.Error(), `roles of the record with the uid "u2" is not a list`) {
		t.Errorf("error is %v", err)
	}
}
