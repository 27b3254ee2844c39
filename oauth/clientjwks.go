package oauth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"github.com/keyturn/keyturn/internal/strictjson"
)

// Bounds of a client's key set.
const (
	maxClientJWKS = 64 << 10 // bytes
	maxClientKeys = 16
	minRSABits    = 2048
	maxRSABits    = 8192
	// minRSAExponent is F4: what smaller ones make cheap to forge where padding is
	// checked carelessly (NIST SP 800-56B §6.2 takes none below it).
	minRSAExponent = 65537
)

// ParseClientJWKS reads a client's JWK set as it is registered: public keys
// alone, each fit to verify a client assertion. The set is to be refused as a
// whole where one is not, and the error says which and why.
func ParseClientJWKS(text []byte) ([]jose.JSONWebKey, error) {
	raw, err := splitJWKS(text)
	if err != nil {
		return nil, err
	}
	kids := map[string]bool{}
	keys := make([]jose.JSONWebKey, len(raw))
	for i, member := range raw {
		key, err := parseClientKey(member)
		if err != nil {
			return nil, fmt.Errorf("key %d of the JWK set: %w", i+1, err)
		}
		if key.KeyID != "" && kids[key.KeyID] {
			return nil, fmt.Errorf("key %d of the JWK set: the kid %q is given twice", i+1, key.KeyID)
		}
		keys[i], kids[key.KeyID] = key, true
	}
	return keys, nil
}

// usableClientKeys is ParseClientJWKS for a set that a client publishes: it may
// hold keys for other purposes, which are passed over.
func usableClientKeys(text []byte) ([]jose.JSONWebKey, error) {
	raw, err := splitJWKS(text)
	if err != nil {
		return nil, err
	}
	var keys []jose.JSONWebKey
	for _, member := range raw {
		if key, err := parseClientKey(member); err == nil {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no key of the JWK set can verify a client assertion")
	}
	return keys, nil
}

func splitJWKS(text []byte) ([]json.RawMessage, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	switch {
	case len(text) > maxClientJWKS:
		return nil, fmt.Errorf("the JWK set is larger than %d bytes", maxClientJWKS)
	case strictjson.Unmarshal(text, &set) != nil || set.Keys == nil:
		return nil, errors.New(`it is not a JWK set: {"keys":[…]} (RFC 7517 §5)`)
	case len(set.Keys) == 0 || len(set.Keys) > maxClientKeys:
		return nil, fmt.Errorf("the JWK set has %d keys: use 1 to %d", len(set.Keys), maxClientKeys)
	}
	return set.Keys, nil
}

func parseClientKey(text []byte) (jose.JSONWebKey, error) {
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON(text); err != nil {
		return key, errors.New("it is no key of the types RSA, EC or OKP")
	}
	// What else a key may bring along (certificates) is of no use here.
	key = jose.JSONWebKey{Key: key.Key, KeyID: key.KeyID, Algorithm: key.Algorithm, Use: key.Use}
	switch k := key.Key.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey:
		return key, errors.New("it is a private key: register the public half alone, and take this one for leaked")
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return key, fmt.Errorf("an RSA key of %d bits: use %d to %d", bits, minRSABits, maxRSABits)
		}
		if k.E < minRSAExponent {
			return key, fmt.Errorf("an RSA key with the exponent %d: use %d", k.E, minRSAExponent)
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
	default:
		return key, errors.New("it is a symmetric key or of an unknown type: use RSA, EC or Ed25519")
	}
	if key.Use != "" && key.Use != "sig" {
		return key, fmt.Errorf("its use is %q: a key that signs has the use sig", key.Use)
	}
	if fit := algsOf(key.Key); key.Algorithm != "" && !slices.Contains(fit, key.Algorithm) {
		return key, fmt.Errorf("its alg is %q: with such a key use one of %v", key.Algorithm, fit)
	}
	if err := checkKeyOps(text); err != nil {
		return key, err
	}
	if !key.Valid() {
		return key, errors.New("it is not a valid key")
	}
	return key, nil
}

// algsOf returns the algorithms of client assertions that a public key can verify:
// an elliptic curve has one (RFC 7518 §3.4), whatever the key says of itself.
func algsOf(key any) []string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return []string{"PS256", "PS384", "PS512", "RS256", "RS384", "RS512"}
	case ed25519.PublicKey:
		return []string{"EdDSA", algEd25519}
	case *ecdsa.PublicKey:
		if alg, ok := map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[k.Curve.Params().BitSize]; ok {
			return []string{alg}
		}
	}
	return nil
}

// checkKeyOps refuses a key that is not for verifying (RFC 7517 §4.3).
func checkKeyOps(text []byte) error {
	var key struct {
		Ops []string `json:"key_ops"`
	}
	if err := json.Unmarshal(text, &key); err != nil {
		return errors.New("its key_ops are no list of words")
	}
	if len(key.Ops) > 0 && !slices.Contains(key.Ops, "verify") {
		return fmt.Errorf("its key_ops are %v: a key that verifies has verify among them", key.Ops)
	}
	return nil
}

// checkClientJWKSURI reports why a client's jwks_uri cannot be used.
func checkClientJWKSURI(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.Port() == "0" || u.User != nil || u.Fragment != "" || len(s) > 512 {
		return fmt.Errorf("jwks_uri %q: use an https URL without user or fragment, of at most 512 characters", s)
	}
	return nil
}
