package jws

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"

	"github.com/keyturn/keyturn/internal/base64url"
)

// Limits of an RSA key.
const (
	minRSABits = 2048
	maxRSABits = 8192
	// rsaExponent is the Fermat number 2^16+1, which every RSA key in use has.
	// Signatures with smaller exponents are easy to forge if a verifier checks padding
	// carelessly (NIST SP 800-56B §6.2 accepts none below it).
	rsaExponent = 1<<16 + 1
)

// smallFactors is divisible by every prime that no modulus may be divisible by (NIST
// SP 800-89 §5.3.3).
var smallFactors = product(2, 751)

func product(from, to int64) *big.Int {
	all := big.NewInt(1)
	for n := from; n <= to; n++ {
		if p := big.NewInt(n); p.ProbablyPrime(0) {
			all.Mul(all, p)
		}
	}
	return all
}

// public returns the key that the members describe.
func (m *members) public() (any, error) {
	switch m.Type {
	case "RSA":
		return m.rsa()
	case "EC":
		return m.ec()
	case "OKP":
		return m.okp()
	}
	return nil, errNoKey
}

// thumbprint returns the thumbprint of the key that public returned. Its members have
// only one text, without anything that JSON escapes.
func (m *members) thumbprint() string {
	text := `{"e":"` + m.E + `","kty":"RSA","n":"` + m.N + `"}`
	switch m.Type {
	case "EC":
		text = `{"crv":"` + m.Curve + `","kty":"EC","x":"` + m.X + `","y":"` + m.Y + `"}`
	case "OKP":
		text = `{"crv":"` + m.Curve + `","kty":"OKP","x":"` + m.X + `"}`
	}
	sum := sha256.Sum256([]byte(text))
	return base64url.Encode(sum[:])
}

func (m *members) okp() (ed25519.PublicKey, error) {
	if m.Curve != Ed25519 {
		return nil, fmt.Errorf("its curve is %.16q: use %s", m.Curve, Ed25519)
	}
	x, err := base64url.Decode(m.X)
	if err != nil || len(x) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("its x is not the base64url of %d bytes", ed25519.PublicKeySize)
	}
	if !isPoint(x) {
		return nil, errors.New("its x is no point of its curve that a key may be")
	}
	return x, nil
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

func (m *members) ec() (*ecdsa.PublicKey, error) {
	curve, ok := curves[m.Curve]
	if !ok {
		return nil, fmt.Errorf("its curve is %.16q: use P-256, P-384 or P-521", m.Curve)
	}
	size := (curve.Params().BitSize + 7) / 8
	x, errX := base64url.Decode(m.X)
	y, errY := base64url.Decode(m.Y)
	if errX != nil || errY != nil || len(x) != size || len(y) != size {
		return nil, fmt.Errorf("its x and y are not the base64url of %d bytes each", size)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, append(append([]byte{4}, x...), y...))
	if err != nil {
		return nil, errors.New("its x and y are no point of its curve")
	}
	return key, nil
}

func (m *members) rsa() (*rsa.PublicKey, error) {
	n, errN := positive(m.N)
	e, errE := positive(m.E)
	switch {
	case errN != nil || errE != nil:
		return nil, errors.New("its n and e are not the base64url of positive numbers without leading zeros")
	case n.BitLen() < minRSABits || n.BitLen() > maxRSABits:
		return nil, fmt.Errorf("an RSA key of %d bits: use %d to %d", n.BitLen(), minRSABits, maxRSABits)
	case e.Cmp(big.NewInt(rsaExponent)) != 0:
		return nil, fmt.Errorf("an RSA key with an exponent other than %d: use that one", rsaExponent)
	case new(big.Int).GCD(nil, nil, n, smallFactors).BitLen() > 1:
		return nil, errors.New("its n has a small factor: it is no RSA modulus")
	}
	return &rsa.PublicKey{N: n, E: rsaExponent}, nil
}

// positive parses a Base64urlUInt (RFC 7518 §2) above zero.
func positive(text string) (*big.Int, error) {
	b, err := base64url.Decode(text)
	if err != nil || len(b) == 0 || b[0] == 0 {
		return nil, errNoKey
	}
	return new(big.Int).SetBytes(b), nil
}
