package keys

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
)

// Vault makes private keys, keeps them from whoever reads the store, and signs
// with them. Masters.Vault is the one that ships; a PKCS #11 token or a key service
// is another, whose private keys never come into this process. Safe for concurrent
// use.
//
// What a record holds of a private key (Record.Sealed) is the vault's own affair: a
// key sealed, or a handle. It is at most 16 KiB, not empty, and worth nothing
// without the vault. A vault's errors are logged: they show no secret.
type Vault interface {
	// Make makes a private key for alg (see Algorithms) and returns it and
	// what a record is to hold of it. The signer takes a digest, or for EdDSA
	// the message, as those of the standard library do, and answers ECDSA
	// signatures in ASN.1. Safe for concurrent use.
	Make(ctx context.Context, alg string) (private crypto.Signer, sealed []byte, err error)
	// Open returns the private key that a record holds. kid is the RFC 7638
	// thumbprint of its public half; the caller checks that it fits.
	Open(ctx context.Context, sealed []byte, kid string) (crypto.Signer, error)
	// SealedUnder returns what sealed rests under (the id of a master secret,
	// the label of a token), empty if this vault did not make it, and whether
	// that is what a key made today would rest under.
	SealedUnder(sealed []byte) (id string, current bool)
	// Reseal returns the same private key as it would be held today. Until it
	// is stored the old form must stay good.
	Reseal(ctx context.Context, sealed []byte, kid string) ([]byte, error)
	// Destroy is called before a record forgets its private key (K4), by any
	// replica and perhaps more than once: that the key is gone is no error.
	Destroy(ctx context.Context, sealed []byte) error
}

// maxSealed bounds what a record holds of a private key.
const maxSealed = 16 << 10

// masterVault keeps private keys in the records themselves (PKCS #8), sealed under
// the master secrets, and in the memory of the process while they can sign.
type masterVault struct{ sealer *masterSealer }

// Vault returns the vault whose keys rest sealed under the master secrets.
func (m *Masters) Vault() Vault { return masterVault{m.sealer()} }

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

// Destroy has nothing to do: the key is in the record alone.
func (masterVault) Destroy(context.Context, []byte) error { return nil }
