package jws_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math/big"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/keyturn/keyturn/internal/base64url"
	"github.com/keyturn/keyturn/internal/jws"
)

// members are those of a public key as go-jose writes them.
func members(t testing.TB, key any) map[string]any {
	t.Helper()
	text, err := (&jose.JSONWebKey{Key: key, KeyID: "k"}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// with is the text of a key with a member changed; nil takes it out.
func with(m map[string]any, name string, value any) string {
	m = maps.Clone(m)
	if m[name] = value; value == nil {
		delete(m, name)
	}
	text, _ := json.Marshal(m)
	return string(text)
}

// also is the text of a key with a member behind all others.
func also(m map[string]any, member string) string {
	text, _ := json.Marshal(m)
	return strings.TrimSuffix(string(text), "}") + "," + member + "}"
}

type testKeys struct {
	ec, wide, okp map[string]any
	modulus       *big.Int
}

func newTestKeys(t testing.TB) testKeys {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	okp, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return testKeys{members(t, &ec.PublicKey), members(t, &wide.PublicKey), members(t, okp), wide.N}
}

// number is the Base64urlUInt of n.
func number(n *big.Int) string { return base64url.Encode(n.Bytes()) }

// plus is n and some more.
func plus(n *big.Int, more int64) *big.Int { return new(big.Int).Add(n, big.NewInt(more)) }

// TestMembersOfAKeyAreMetAsTheyAreWritten holds each member of RFC 7517 and RFC 7518
// to its name, once, and to the one text of its value.
func TestMembersOfAKeyAreMetAsTheyAreWritten(t *testing.T) {
	k := newTestKeys(t)
	for _, m := range []map[string]any{k.ec, k.wide, k.okp} {
		for _, text := range []string{also(m, `"ext":true`), also(m, `"x5t":"x","other":{"kty":"RSA","Kty":"EC"}`), also(m, `"key_ops":["verify"]`), also(m, `"use":"sig"`)} {
			if _, err := jws.ParseKey([]byte(text)); err != nil {
				t.Errorf("%.200s: %v", text, err)
			}
		}
		for _, name := range []string{"kty", "kid", "alg", "use", "key_ops", "crv", "x", "y", "n", "e", "d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			value, has := m[name]
			if !has {
				value = map[string]any{"alg": nil, "use": "sig", "key_ops": []string{"verify"}}[name]
			}
			worth, _ := json.Marshal(value)
			for _, other := range []string{strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:], strings.Replace(name, "k", "\u212a", 1), strings.Replace(name, "s", "\u017f", 1)} {
				if other == name {
					continue
				}
				refuses(t, name+" as "+other, also(m, `"`+other+`":`+string(worth)))
				if has && name != "kid" {
					refuses(t, name+" as "+other+" alone", strings.Replace(with(m, "_", nil), `"`+name+`"`, `"`+other+`"`, 1))
				}
			}
			if has {
				refuses(t, name+" twice", also(m, `"`+name+`":`+string(worth)))
				refuses(t, name+" twice, escaped", also(m, `"\u00`+hex.EncodeToString([]byte(name[:1]))+name[1:]+`":`+string(worth)))
				refuses(t, name+" as a number", with(m, name, 1))
			}
			if text, ok := value.(string); ok && strings.Contains("x y n e", name) {
				for what, changed := range map[string]any{
					"padded": text + "=", "with a line break": text[:2] + "\n" + text[2:], "ending in a line break": text + "\r\n", "with a space": text + " ",
					"short": text[:len(text)-2], "empty": "", "missing": nil, "with a zero in front": base64url.Encode(append([]byte{0}, decode(t, text)...)),
				} {
					refuses(t, name+" "+what, with(m, name, changed))
				}
				if len(text)%4 != 0 {
					refuses(t, name+" with surplus bits", with(m, name, text[:len(text)-1]+string(next[text[len(text)-1]])))
				}
			}
		}
	}
}

// next has the character after each in the alphabet: its lowest bit is another.
var next = func() map[byte]byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	m := map[byte]byte{}
	for i := range len(alphabet) {
		m[alphabet[i]] = alphabet[i^1]
	}
	return m
}()

func decode(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64url.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func refuses(t *testing.T, what, text string) {
	t.Helper()
	if key, err := jws.ParseKey([]byte(text)); err == nil {
		t.Errorf("%s was taken: %.300s as %T, alg %q, kid %q", what, text, key.Key, key.Algorithm, key.KeyID)
	}
}

func TestKeysThatNobodyShouldTrust(t *testing.T) {
	k := newTestKeys(t)
	all := new(big.Int).Lsh(big.NewInt(1), 2048)
	for what, text := range map[string]string{
		"a symmetric key":          `{"kty":"oct","k":"c2VjcmV0"}`,
		"a symmetric member":       also(k.ec, `"k":"c2VjcmV0"`),
		"a private member":         also(k.ec, `"d":null`),
		"operations but verifying": also(k.ec, `"key_ops":["encrypt"]`),
		"no operations":            also(k.ec, `"key_ops":[]`),
		"operations of null":       also(k.ec, `"key_ops":null`),
		"a use of null":            also(k.ec, `"use":null`),
		"an empty use":             also(k.ec, `"use":""`),
		"a kid of null":            with(k.ec, "kid", json.RawMessage("null")),
		"an empty kid":             with(k.ec, "kid", ""),
		"an alg of null":           with(k.ec, "alg", json.RawMessage("null")),
		"an empty alg":             with(k.ec, "alg", ""),
		"the exponent 65539":       with(k.wide, "e", "AQAD"),
		"an operation twice":       also(k.ec, `"key_ops":["verify","verify"]`),
		"another curve":            with(k.ec, "crv", "P-384"),
		"an unknown curve":         with(k.ec, "crv", "secp256k1"),
		"an encryption curve":      with(k.okp, "crv", "X25519"),
		"another type":             with(k.ec, "kty", "OKP"),
		"a point off the curve":    with(k.ec, "x", k.ec["y"]),
		"no point at all":          with(with2(k.ec, "x", zeros(32)), "y", zeros(32)),
		"2^2048-1":                 with(k.wide, "n", number(plus(all, -1))),
		"an even modulus":          with(k.wide, "n", number(plus(k.modulus, 1))),
		"a modulus times 751":      with(k.wide, "n", number(new(big.Int).Mul(k.modulus, big.NewInt(751)))),
		"a short modulus":          with(k.wide, "n", number(new(big.Int).Rsh(k.modulus, 1))),
		"a long modulus":           with(k.wide, "n", number(plus(new(big.Int).Lsh(big.NewInt(1), 8192), 1))),
		"the exponent 1":           with(k.wide, "e", "AQ"),
		"the exponent 3":           with(k.wide, "e", "Aw"),
		"the exponent 65536":       with(k.wide, "e", "AQAA"),
		"the exponent 65538":       with(k.wide, "e", "AQAC"),
		"the exponent 2^31":        with(k.wide, "e", "gAAAAA"),
		"the exponent 2^64+65537":  with(k.wide, "e", number(plus(new(big.Int).Lsh(big.NewInt(1), 64), 65537))),
		"an exponent as modulus":   with(k.wide, "e", k.wide["n"]),
	} {
		refuses(t, what, text)
	}
}

func with2(m map[string]any, name string, value any) map[string]any {
	m = maps.Clone(m)
	m[name] = value
	return m
}

func zeros(n int) string { return base64url.Encode(make([]byte, n)) }

// TestOnlySoundKeysAreRegistered has keys that are well formed, and whose signatures
// anybody can make.
func TestOnlySoundKeysAreRegistered(t *testing.T) {
	mersenne := func(bits uint) *big.Int { return plus(new(big.Int).Lsh(big.NewInt(1), bits), -1) }
	k := newTestKeys(t)
	if err := jws.CheckSound(&rsa.PublicKey{N: k.modulus, E: 65537}); err != nil {
		t.Errorf("a good modulus: %v", err)
	}
	for what, n := range map[string]*big.Int{"a prime": mersenne(2203), "a square": new(big.Int).Mul(mersenne(1279), mersenne(1279))} {
		if jws.CheckSound(&rsa.PublicKey{N: n, E: 65537}) == nil {
			t.Errorf("%s as modulus was taken", what)
		}
	}
}

// smallOrder are the points of the orders 1, 2, 4, 8 and 8, some of them with the other
// sign or written as more than the prime, and a y that no point has.
var smallOrder = []string{
	"0100000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000080",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0000000000000000000000000000000000000000000000000000000000000080",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"0200000000000000000000000000000000000000000000000000000000000000",
}

// okpKey is the text of an Ed25519 key with that x, in hexadecimal.
func okpKey(t testing.TB, x string) string {
	t.Helper()
	raw, err := hex.DecodeString(x)
	if err != nil {
		t.Fatal(err)
	}
	return `{"kty":"OKP","crv":"Ed25519","x":"` + base64url.Encode(raw) + `"}`
}

// TestPointsThatAnybodySignsForAreNoKeys, wherever a key comes from.
func TestPointsThatAnybodySignsForAreNoKeys(t *testing.T) {
	for range 20 {
		key, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := jws.ParseKey([]byte(okpKey(t, hex.EncodeToString(key)))); err != nil {
			t.Fatalf("the key %x was refused: %v", key, err)
		}
	}
	for _, x := range smallOrder {
		refuses(t, "the point "+x, okpKey(t, x))
	}
}

// FuzzParseKey holds what is taken to be one key to every reader: what go-jose makes
// of the members that were met is the same key.
func FuzzParseKey(f *testing.F) {
	k := newTestKeys(f)
	for _, m := range []map[string]any{k.ec, k.wide, k.okp} {
		f.Add(with(m, "_", nil))
		f.Add(also(m, `"Kty":"EC"`))
	}
	for _, x := range smallOrder {
		f.Add(okpKey(f, x))
	}
	f.Fuzz(func(t *testing.T, text string) {
		key, err := jws.ParseKey([]byte(text))
		if err != nil {
			return
		}
		if !key.Valid() || !key.IsPublic() || jws.AlgsOf(key.Key) == nil {
			t.Fatalf("%q is no key", text)
		}
		if sum, err := key.JSONWebKey.Thumbprint(crypto.SHA256); err != nil || key.Thumbprint != base64url.Encode(sum) {
			t.Fatalf("%q has the thumbprint %s: %x, %v", text, key.Thumbprint, sum, err)
		}
		again, err := key.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var said, made map[string]any
		if json.Unmarshal([]byte(text), &said) != nil || json.Unmarshal(again, &made) != nil {
			t.Fatalf("%q is not JSON", text)
		}
		for name, value := range made {
			if said[name] != value {
				t.Fatalf("%q: the member %s became %v", text, name, value)
			}
		}
	})
}
