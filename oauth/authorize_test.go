package oauth

import (
	"reflect"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/keys"
)

// FuzzCode: nothing is a code but what was sealed, as it was sealed.
func FuzzCode(f *testing.F) {
	line, err := keys.NewMaster()
	if err != nil {
		f.Fatal(err)
	}
	masters, err := keys.ParseMasters([]byte(line))
	if err != nil {
		f.Fatal(err)
	}
	k := newSealer(masters, codePrefix, "code")
	want := code{SessionID: "s", ClientID: "c", Redirect: []byte{1}, Challenge: "p", Scope: []string{"openid"}, UserID: "u", Expires: 1}
	sealed := k.seal(want)
	var got code
	if err := k.open(sealed, &got); err != nil || !reflect.DeepEqual(got, want) {
		f.Fatalf("%+v, %v", got, err)
	}
	other, _ := keys.NewMaster()
	turned, err := keys.ParseMasters([]byte(other + "\n" + line))
	if err != nil {
		f.Fatal(err)
	}
	if err := newSealer(turned, codePrefix, "code").open(sealed, &got); err != nil {
		f.Fatalf("after the master key was turned: %v", err)
	}
	f.Add(sealed)
	f.Add(strings.TrimPrefix(sealed, codePrefix))
	f.Add(codePrefix)
	f.Add(sealed[:20] + "\n" + sealed[20:])
	f.Add(sealed + "\r\n")
	f.Add(sealed[:len(sealed)-4])
	f.Fuzz(func(t *testing.T, text string) {
		if err := k.open(text, &code{}); err == nil && text != sealed {
			t.Errorf("%q is taken for a code", text)
		}
	})
}

func TestVerifiers(t *testing.T) {
	// RFC 7636, appendix B.
	c := code{Challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}
	const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	for text, want := range map[string]bool{
		verifier: true, verifier + "x": false, "": false, c.Challenge: false, strings.Repeat("x", 129): false, verifier + "=": false,
	} {
		if c.verifies(text) != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
	for text, want := range map[string]bool{c.Challenge: true, c.Challenge + "=": false, c.Challenge[1:]: false, "": false, c.Challenge[:42] + "N": false} {
		if isDigest(text) != want {
			t.Errorf("%q as a challenge: %t", text, !want)
		}
	}
}
