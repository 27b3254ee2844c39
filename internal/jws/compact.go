// Package jws strictly parses JSON web signatures by strangers and the public
// JSON web keys that verify them.
package jws

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.Hash
	_ "crypto/sha512"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"

	"github.com/keyturn/keyturn/internal/base64url"
	"github.com/keyturn/keyturn/internal/strictjson"
)

// Compact is a JWS in compact form (RFC 7515 §3.1). It is parsed strictly:
// base64url without padding, line breaks or surplus bits, and a header with exact
// names, no extensions and no null. Its content must not be trusted unless SignedBy
// returns true.
type Compact struct {
	Header  Header
	Payload []byte

	input     string
	signature []byte
}

// Header has the members of a header that are used.
type Header struct {
	Alg  string          `json:"alg"`
	Kid  string          `json:"kid"`
	Typ  string          `json:"typ"`
	JWK  json.RawMessage `json:"jwk"`
	Crit json.RawMessage `json:"crit"`
	B64  json.RawMessage `json:"b64"`
}

var errNoJWS = errors.New("it is no JWS of the form that is due")

// Parse parses the compact form.
func Parse(text string) (Compact, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return Compact{}, errNoJWS
	}
	decoded := make([][]byte, len(parts))
	for i, part := range parts {
		var err error
		if decoded[i], err = base64url.Decode(part); err != nil {
			return Compact{}, errNoJWS
		}
	}
	c := Compact{input: text[:len(parts[0])+1+len(parts[1])], Payload: decoded[1], signature: decoded[2]}
	if err := strictjson.UnmarshalSigned(decoded[0], &c.Header); err != nil || c.Header.Crit != nil || c.Header.B64 != nil {
		return Compact{}, errNoJWS
	}
	return c, nil
}

// hashes are the hashes of the algorithms with a number, by that number.
var hashes = map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}

// SignedBy reports whether a public key made the signature, with the algorithm of
// the header.
func (c Compact) SignedBy(key any) bool {
	if !slices.Contains(AlgsOf(key), c.Header.Alg) {
		return false
	}
	if key, ok := key.(ed25519.PublicKey); ok {
		return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, []byte(c.input), c.signature)
	}
	hash := hashes[c.Header.Alg[2:]]
	h := hash.New()
	h.Write([]byte(c.input))
	digest := h.Sum(nil)
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		half := (key.Curve.Params().BitSize + 7) / 8
		if len(c.signature) != 2*half {
			return false
		}
		r, s := new(big.Int).SetBytes(c.signature[:half]), new(big.Int).SetBytes(c.signature[half:])
		return ecdsa.Verify(key, digest, r, s)
	case *rsa.PublicKey:
		if c.Header.Alg[:2] == "PS" {
			return rsa.VerifyPSS(key, hash, digest, c.signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(key, hash, digest, c.signature) == nil
	}
	return false
}
