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
	damage(t, s, `UPDATE users SET roles = 'none' WHERE uid = 'u2'`)
	if _, err := s.ListUsers(t.Context(), "", 10); err == nil || !strings.Contains(err.Error(), `roles of the record with the uid "u2" is not a list`) {
		t.Errorf("error is %v", err)
	}
}

// TestADamagedFamilyIsNamed does the same to a family, whose columns come packed.
func TestADamagedFamilyIsNamed(t *testing.T) {
	for change, want := range map[string]string{
		`scope = 'none'`: `scope of the record with the id "f2" is not a list`,
		`last_user_agent = 'a' || char(0) || 'b'`: `id of the record with the id "f2" is followed by a text with a NUL character`,
	} {
		s, err := Open(t.Context(), filepath.Join(t.TempDir(), "keyturn.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for _, id := range []string{"f1", "f2"} {
			if err := s.CreateFamily(t.Context(), family(id)); err != nil {
				t.Fatal(err)
			}
		}
		damage(t, s, `UPDATE families SET `+change+` WHERE id = 'f2'`)
		if _, err := s.FamilyByID(t.Context(), "f1"); err != nil {
			t.Errorf("%s: the record beside it: %v", change, err)
		}
		for of, err := range map[string]error{
			"one": second(s.FamilyByID(t.Context(), "f2")), "a listing": second(s.AllFamilies(t.Context(), "", 10)),
		} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error of %s is %v; want %q", change, of, err, want)
			}
		}
	}
}

// damage runs SQL that no statement of the store would.
func damage(t *testing.T, s *Store, text string) {
	t.Helper()
	if _, err := change(t.Context(), s, func(c *conn) (int, error) { return 0, c.script(text) }); err != nil {
		t.Fatal(err)
	}
}

func second[T any](_ T, err error) error { return err }
