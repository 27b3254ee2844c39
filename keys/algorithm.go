package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	jose "github.com/go-jose/go-jose/v4"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// The signing algorithms (RFC 7518 §3.1, RFC 8037, RFC 9864). Each key is used with
// one of them only (RFC 8725 §3.1).
const (
	ES256   = string(jose.ES256) // ECDSA on P-256; the default
	RS256   = string(jose.RS256) // RSA of 3072 bits, PKCS #1 v1.5
	PS256   = string(jose.PS256) // RSA of 3072 bits, PSS
	EdDSA   = string(jose.EdDSA) // Ed25519, by the name that older verifiers know
	Ed25519 = "Ed25519"
)

const (
	rsaBits        = 3072
	rsaMinimumBits = 2048
	es256Half      = 32
)

// Algorithms returns the names of the signing algorithms, the default first.
func Algorithms() []string { return []string{ES256, RS256, PS256, EdDSA, Ed25519} }

func knownAlgorithm(alg string) bool { return slices.Contains(Algorithms(), alg) }

func errUnknownAlgorithm(alg string) error {
	return fmt.Errorf("unknown algorithm %.40q; %s are accepted", alg, strings.Join(Algorithms(), ", "))
}

// generate makes a private key for alg.
func generate(alg string) (crypto.Signer, error) {
	switch alg {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256, PS256:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case EdDSA, Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, errUnknownAlgorithm(alg)
}

// fits reports whether alg can be used with the public key.
func fits(alg string, public any) bool {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		return alg == ES256 && key.Curve == elliptic.P256()
	case *rsa.PublicKey:
		return (alg == RS256 || alg == PS256) && key.N.BitLen() >= rsaMinimumBits
	case ed25519.PublicKey:
		return alg == EdDSA || alg == Ed25519
	}
	return false
}

// sign returns the JWS signature (RFC 7515 §5.1) of input.
func sign(alg string, key crypto.Signer, input []byte) ([]byte, error) {
	if alg == EdDSA || alg == Ed25519 {
		return key.Sign(rand.Reader, input, crypto.Hash(0))
	}
	sum := sha256.Sum256(input)
	digest := sum[:]
	switch alg {
	case ES256:
		der, err := key.Sign(rand.Reader, digest, crypto.SHA256)
		if err != nil {
			return nil, err
		}
		return fixedES256(der)
	case RS256:
		return key.Sign(rand.Reader, digest, crypto.SHA256)
	case PS256:
		return key.Sign(rand.Reader, digest,
			&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	}
	return nil, errUnknownAlgorithm(alg)
}

// verifies reports whether signature is the JWS signature of input under a public key
// that fits alg.
func verifies(alg string, public any, input, signature []byte) bool {
	sum := sha256.Sum256(input)
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if len(signature) != 2*es256Half {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:es256Half]), new(big.Int).SetBytes(signature[es256Half:])
		return ecdsa.Verify(key, sum[:], r, s)
	case *rsa.PublicKey:
		if alg == PS256 {
			return rsa.VerifyPSS(key, crypto.SHA256, sum[:], signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(key, input, signature)
	}
	return false
}

var errSignatureForm = errors.New("the signer returned an ECDSA signature that is not DER")

// fixedES256 converts the ASN.1 form of an ECDSA signature, which crypto.Signer
// returns, into the r || s of RFC 7518 §3.4.
func fixedES256(der []byte) ([]byte, error) {
	var r, s []byte
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() ||
		!seq.ReadASN1Integer(&r) || !seq.ReadASN1Integer(&s) || !seq.Empty() ||
		len(r) > es256Half || len(s) > es256Half {
		return nil, errSignatureForm
	}
	out := make([]byte, 2*es256Half)
	copy(out[es256Half-len(r):], r)
	copy(out[2*es256Half-len(s):], s)
	return out, nil
}
