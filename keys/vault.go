package keys

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
)

// Vault creates private keys, protects them from readers of the store, and signs
// with them. Masters.Vault is the one that ships. A PKCS #11 token or a key service
// could be another, whose private keys never enter this process. A Vault must be
// safe for concurrent use.
//
// Only the vault knows the content of Record.Sealed: a sealed key, or a handle. It
// is not empty, at most 16 KiB, and useless without the vault. Errors of a vault
// are logged, so they must not contain secrets.
type Vault interface {
	// Make creates a private key for alg (see Algorithms). It returns the key and
	// what its record is to hold as Sealed. Like those of the standard library the
	// signer takes a digest, or the message for EdDSA, and returns ECDSA signatures
	// in ASN.1. The signer must be safe for concurrent use.
	Make(ctx context.Context, alg string) (private crypto.Signer, sealed []byte, err error)
	// Open returns the private key of a record. kid is the RFC 7638 thumbprint of
	// its public half; the caller checks that it fits.
	Open(ctx context.Context, sealed []byte, kid string) (crypto.Signer, error)
	// SealedUnder returns the id of what sealed is sealed under (a master secret,
	// the label of a token), or the empty string if this vault did not make it. It
	// also reports whether a new key would be sealed under the same.
	SealedUnder(sealed []byte) (id string, current bool)
	// Reseal returns the same private key as it would be sealed today. The old form
	// must stay valid until the new one is stored.
	Reseal(ctx context.Context, sealed []byte, kid string) ([]byte, error)
	// Destroy is called before a record drops its private key (K4), by any replica
	// and perhaps more than once. It is no error if the key is gone already.
	Destroy(ctx context.Context, sealed []byte) error
}

// maxSealed bounds Record.Sealed, in bytes.
const maxSealed = 16 << 10

// masterVault keeps private keys in the records (PKCS #8, sealed under the master
// secrets), and in memory while they can sign.
type masterVault struct{ sealer *Sealer }

// Vault returns the vault that seals keys under the master secrets.
func (m *Masters) Vault() Vault { return masterVault{m.Sealer(sealInfo)} }

func (v masterVault) Make(_ context.Context, alg string) (crypto.Signer, []byte, error) {
	private, err := generate(alg)
	if err != nil {
		return nil, nil, err
	}
	kid, err := thumbprint(private.Public())
	if err != nil {
		return nil, nil, err
	}
	plain, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	defer clear(plain)
	sealed, err := v.sealer.Seal(plain, []byte(kid))
	return private, sealed, err
}

func (v masterVault) Open(_ context.Context, sealed []byte, kid string) (crypto.Signer, error) {
	plain, err := v.sealer.Open(sealed, []byte(kid))
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		// The parser's error could say something of what it read.
		return nil, errDamaged
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a private key that cannot sign: %w", errDamaged)
	}
	return private, nil
}

func (v masterVault) SealedUnder(sealed []byte) (id string, current bool) {
	id, ok := v.sealer.SealedUnder(sealed)
	return id, ok && id == v.sealer.primary
}

func (v masterVault) Reseal(_ context.Context, sealed []byte, kid string) ([]byte, error) {
	plain, err := v.sealer.Open(sealed, []byte(kid))
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	return v.sealer.Seal(plain, []byte(kid))
}

// Destroy does nothing: only the record holds the key.
func (masterVault) Destroy(context.Context, []byte) error { return nil }
