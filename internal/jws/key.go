package jws

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// Ed25519 is the name that RFC 9864 gives to EdDSA with that curve. go-jose does
// not know it.
const Ed25519 = "Ed25519"

// Limits of an RSA key.
const (
	minRSABits = 2048
	maxRSABits = 8192
	// minRSAExponent is the Fermat number 2^16+1. Signatures with smaller
	// exponents are easy to forge if a verifier checks padding carelessly (NIST SP
	// 800-56B §6.2 accepts none below it).
	minRSAExponent = 65537
)

// ParseKey parses a public key that can verify signatures. The error says what is
// wrong with any other key.
func ParseKey(text []byte) (jose.JSONWebKey, error) {
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON(text); err != nil {
		return key, errors.New("it is no key of the types RSA, EC or OKP")
	}
	// Other members of a key (certificates) are not used.
	key = jose.JSONWebKey{Key: key.Key, KeyID: key.KeyID, Algorithm: key.Algorithm, Use: key.Use}
	if err := checkMembers(text); err != nil {
		return key, err
	}
	switch k := key.Key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return key, fmt.Errorf("an RSA key of %d bits: use %d to %d", bits, minRSABits, maxRSABits)
		}
		if k.E < minRSAExponent || k.E%2 == 0 {
			return key, fmt.Errorf("an RSA key with the exponent %d: use %d", k.E, minRSAExponent)
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return key, errors.New("it is a symmetric key or of an unknown type: use RSA, EC or Ed25519")
	}
	if key.Use != "" && key.Use != "sig" {
		return key, fmt.Errorf("its use is %q: a key that signs has the use sig", key.Use)
	}
	if fit := AlgsOf(key.Key); key.Algorithm != "" && !slices.Contains(fit, key.Algorithm) {
		return key, fmt.Errorf("its alg is %q: with such a key use one of %v", key.Algorithm, fit)
	}
	if !key.Valid() {
		return key, errors.New("it is not a valid key")
	}
	return key, nil
}

// AlgsOf returns the algorithms whose signatures a public key can verify. An
// elliptic curve has one (RFC 7518 §3.4), whatever the key says.
func AlgsOf(key any) []string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return []string{"PS256", "PS384", "PS512", "RS256", "RS384", "RS512"}
	case ed25519.PublicKey:
		return []string{"EdDSA", Ed25519}
	case *ecdsa.PublicKey:
		if alg, ok := map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[k.Curve.Params().BitSize]; ok {
			return []string{alg}
		}
	}
	return nil
}

// checkMembers refuses a key that has any member that is to be kept secret (RFC 7518
// §6), whatever a library makes of the rest, or that is not for verifying (RFC 7517
// §4.3).
func checkMembers(text []byte) error {
	var key struct {
		D, P, Q, DP, DQ, QI, Oth json.RawMessage

		Ops []string `json:"key_ops"`
	}
	if err := json.Unmarshal(text, &key); err != nil {
		return errors.New("its key_ops are no list of words")
	}
	secret := slices.Concat(key.D, key.P, key.Q, key.DP, key.DQ, key.QI, key.Oth)
	switch {
	case len(secret) > 0:
		return errors.New("it is a private key: register the public half alone, and take this one for leaked")
	case len(key.Ops) > 0 && !slices.Contains(key.Ops, "verify"):
		return fmt.Errorf("its key_ops are %v: a key that verifies has verify among them", key.Ops)
	}
	return nil
}
