package clients

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/keyturn/keyturn/internal/jws"
)

func encoded(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// TestEd25519IsAName has one key sign under both names that it has (RFC 9864).
func TestEd25519IsAName(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, alg := range []string{"EdDSA", "Ed25519"} {
		input := encoded(`{"alg":"`+alg+`"}`) + "." + encoded(`{"iss":"a","sub":"a"}`)
		text := input + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(private, []byte(input)))
		j, err := jws.Parse(text)
		if err != nil || !j.SignedBy(public) {
			t.Errorf("%s: %v, or its signature does not count", alg, err)
		}
		a := assertion{Compact: j}
		for _, registered := range []string{"", "EdDSA", "Ed25519"} {
			if !a.fits(jose.JSONWebKey{Key: public, Algorithm: registered}) {
				t.Errorf("%s does not fit a key registered with alg %q", alg, registered)
			}
		}
		other, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil || j.SignedBy(other) {
			t.Errorf("%s: another's key took the signature, %v", alg, err)
		}
		if changed, err := jws.Parse(input + "x." + strings.Split(text, ".")[2]); err == nil && changed.SignedBy(public) {
			t.Errorf("%s: a changed payload was taken", alg)
		}
	}
}

// TestKeysOfAnotherUseAreNotRegistered has keys that could not verify what they
// say, or not safely.
func TestKeysOfAnotherUseAreNotRegistered(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	narrow := rsa.PublicKey{N: new(big.Int).Set(wide.N), E: 3}
	text := func(key any, more string) string {
		b, err := (&jose.JSONWebKey{Key: key}).MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		return `{"keys":[` + strings.TrimSuffix(string(b), "}") + more + `}]}`
	}
	for set, good := range map[string]bool{
		text(&ec.PublicKey, ""):                                     true,
		text(&ec.PublicKey, `,"alg":"ES256"`):                       true,
		text(&ec.PublicKey, `,"alg":"ES384"`):                       false,
		text(&ec.PublicKey, `,"alg":"RS256"`):                       false,
		text(&ec.PublicKey, `,"use":"enc"`):                         false,
		text(&ec.PublicKey, `,"key_ops":["verify"]`):                true,
		text(&ec.PublicKey, `,"key_ops":["encrypt","wrapKey"]`):     false,
		text(&wide.PublicKey, `,"alg":"PS512"`):                     true,
		text(&wide.PublicKey, `,"alg":"RSA-OAEP"`):                  false,
		text(&wide.PublicKey, `,"alg":"ES256"`):                     false,
		text(&narrow, ""):                                           false,
		text(&ec.PublicKey, "") + "{}":                              false,
		strings.Replace(text(&ec.PublicKey, ""), "keys", "Keys", 1): false,
		`{"keys":[],` + text(&ec.PublicKey, "")[1:]:                 false,
	} {
		if _, err := ParseJWKS([]byte(set)); (err == nil) != good {
			t.Errorf("%.200s: error %v", set, err)
		}
	}
	for uri, good := range map[string]bool{"https://a.example/jwks": true, "https://a.example:8443/jwks": true, "https://a.example:0/jwks": false} {
		if err := checkJWKSURI(uri); (err == nil) != good {
			t.Errorf("%s: error %v", uri, err)
		}
	}
}
