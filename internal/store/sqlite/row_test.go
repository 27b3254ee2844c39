package sqlite

import (
	"encoding/json"
	"slices"
	"testing"
	"unicode/utf8"
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
