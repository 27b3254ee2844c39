// Package dpoptest makes DPoP proofs, good and bad ones, for tests.
package dpoptest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Holder is who holds a key.
type Holder struct {
	Alg string
	Key crypto.Signer
}

// New makes a key for alg.
func New(t testing.TB, alg string) Holder {
	t.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "RS256", "PS256":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "EdDSA", "Ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		t.Fatalf("no key for %q", alg)
	}
	if err != nil {
		t.Fatal(err)
	}
	return Holder{alg, key}
}

// JWK is the key, its public half or the whole of it.
func JWK(t testing.TB, key any) map[string]any {
	t.Helper()
	text, err := (&jose.JSONWebKey{Key: key}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	return members
}

// Thumbprint is that of the key (RFC 7638).
func (h Holder) Thumbprint(t testing.TB) string {
	t.Helper()
	sum, err := (&jose.JSONWebKey{Key: h.Key.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

// Claims is what a proof says, or its header; nil takes a member out.
type Claims = map[string]any

// For are the claims of a good proof, made now.
func For(method, url string) Claims {
	return Claims{"htm": method, "htu": url, "jti": rand.Text(), "iat": time.Now().Unix()}
}

// With is a copy of claims, changed.
func With(claims Claims, name string, value any) Claims {
	changed := maps.Clone(claims)
	if changed[name] = value; value == nil {
		delete(changed, name)
	}
	return changed
}

// Header is the header of the holder's proofs.
func (h Holder) Header(t testing.TB) Claims {
	t.Helper()
	return Claims{"typ": "dpop+jwt", "alg": h.Alg, "jwk": JWK(t, h.Key.Public())}
}

// Prove makes a proof.
func (h Holder) Prove(t testing.TB, claims Claims) string {
	t.Helper()
	return h.Sign(t, h.Header(t), claims)
}

// Sign makes a proof with a header of one's own.
func (h Holder) Sign(t testing.TB, header, claims Claims) string {
	t.Helper()
	return h.SignText(t, text(t, header), text(t, claims))
}

// SignText makes a proof of two texts that need not be JSON.
func (h Holder) SignText(t testing.TB, header, claims string) string {
	t.Helper()
	enc := base64.RawURLEncoding
	input := enc.EncodeToString([]byte(header)) + "." + enc.EncodeToString([]byte(claims))
	return input + "." + enc.EncodeToString(h.signature(t, []byte(input)))
}

func (h Holder) signature(t testing.TB, input []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(input)
	var sig []byte
	var err error
	switch key := h.Key.(type) {
	case ed25519.PrivateKey:
		sig = ed25519.Sign(key, input)
	case *rsa.PrivateKey:
		if h.Alg == "PS256" {
			sig, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			sig, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		}
	case *ecdsa.PrivateKey:
		size := (key.Params().BitSize + 7) / 8
		r, s, failure := ecdsa.Sign(rand.Reader, key, sum[:])
		if err = failure; err == nil {
			sig = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func text(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
