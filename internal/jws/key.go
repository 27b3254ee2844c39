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

	"github.com/keyturn/keyturn/internal/strictjson"
)

// Ed25519 is the name that RFC 9864 gives to EdDSA with that curve. go-jose does
// not know it.
const Ed25519 = "Ed25519"

// members are the members of a key that are used, or that no public key has (RFC 7517
// §4, RFC 7518 §6). Certificates are not used.
type members struct {
	Type  string   `json:"kty"`
	Kid   named    `json:"kid"`
	Alg   named    `json:"alg"`
	Use   named    `json:"use"`
	Ops   []string `json:"key_ops"`
	Curve string   `json:"crv"`
	X     string   `json:"x"`
	Y     string   `json:"y"`
	N     string   `json:"n"`
	E     string   `json:"e"`

	D   json.RawMessage `json:"d"`
	P   json.RawMessage `json:"p"`
	Q   json.RawMessage `json:"q"`
	DP  json.RawMessage `json:"dp"`
	DQ  json.RawMessage `json:"dq"`
	QI  json.RawMessage `json:"qi"`
	Oth json.RawMessage `json:"oth"`
	K   json.RawMessage `json:"k"`
}

// named is a member that can be left out, but not be empty.
type named string

var errEmpty = errors.New("its kid, alg and use can be left out, but not be empty")

// UnmarshalJSON implements json.Unmarshaler.
func (n *named) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, (*string)(n)); err != nil || *n != "" {
		return err
	}
	return errEmpty
}

// Key is a public key that can verify signatures.
type Key struct {
	jose.JSONWebKey
	// Thumbprint is its thumbprint with SHA-256 (RFC 7638).
	Thumbprint string
}

// ParseKey parses a public key that can verify signatures. The error says what is
// wrong with any other key.
func ParseKey(text []byte) (Key, error) {
	var m members
	if err := strictjson.UnmarshalSigned(text, &m); err != nil {
		if _, ok := errors.AsType[*strictjson.MemberError](err); ok || errors.Is(err, errEmpty) {
			return Key{}, err
		}
		return Key{}, errNoKey
	}
	if err := m.checkUse(); err != nil {
		return Key{}, err
	}
	public, err := m.public()
	if err != nil {
		return Key{}, err
	}
	if fit := AlgsOf(public); m.Alg != "" && !slices.Contains(fit, string(m.Alg)) {
		return Key{}, fmt.Errorf("its alg is %q: with such a key use one of %v", m.Alg, fit)
	}
	return Key{jose.JSONWebKey{Key: public, KeyID: string(m.Kid), Algorithm: string(m.Alg), Use: string(m.Use)}, m.thumbprint()}, nil
}

var errNoKey = errors.New("it is no key of the types RSA, EC or OKP")

// checkUse refuses a key that has any member that is to be kept secret, or that is
// not for verifying (RFC 7517 §4.2, §4.3).
func (m *members) checkUse() error {
	ops := slices.Sorted(slices.Values(m.Ops))
	switch {
	case len(slices.Concat(m.D, m.P, m.Q, m.DP, m.DQ, m.QI, m.Oth)) > 0:
		return errors.New("it is a private key: register the public half alone, and take this one for leaked")
	case len(m.K) > 0:
		return errors.New("it is a symmetric key: use RSA, EC or Ed25519, and take this one for leaked")
	case m.Use != "" && m.Use != "sig":
		return fmt.Errorf("its use is %q: a key that signs has the use sig", m.Use)
	case m.Ops != nil && !slices.Contains(m.Ops, "verify"):
		return fmt.Errorf("its key_ops are %v: a key that verifies has verify among them", m.Ops)
	case len(slices.Compact(ops)) < len(m.Ops):
		return fmt.Errorf("its key_ops are %v: each may be there once", m.Ops)
	}
	return nil
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
