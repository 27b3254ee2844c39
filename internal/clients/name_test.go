package clients

import (
	"strings"
	"testing"
)

// TestNamesAreOfOneLine that people can read: what turns or hides the text beside it is none.
func TestNamesAreOfOneLine(t *testing.T) {
	for name, good := range map[string]bool{
		"":                             true,
		"Ada’s “shop” & more":          true,
		"متجر 工房":                      true,
		strings.Repeat("é", 60):        true,
		strings.Repeat("é", 61):        false,
		" shop":                        false,
		"a\nb":                         false,
		"a\x00":                        false,
		"\xff":                         false,
		"shop \u202egro.elpmaxe\u202c": false,
		"sh\u200bop":                   false,
	} {
		if err := (&Registry{}).CheckValues(Client{Name: name}); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}
