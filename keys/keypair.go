package keys

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	jose "github.com/go-jose/go-jose/v4"
)

const maxPublic = 16 << 10

// maxDraws bounds how often newRecord tries again.
const maxDraws = 32

// newRecord creates a key and its record, with the public half as a JWK and the
// private half as the vault keeps it. The caller sets the times and Seq. 1 kid in
// 64 begins with a dash, which a command line takes for a flag and some programs
// refuse: newRecord discards such keys.
func newRecord(ctx context.Context, alg string, vault Vault) (Record, *verifier, *signer, error) {
	for range maxDraws {
		r, v, s, err := drawRecord(ctx, alg, vault)
		if err != nil || !strings.HasPrefix(r.KID, "-") {
			return r, v, s, err
		}
		if err := vault.Destroy(ctx, r.Sealed); err != nil {
			return Record{}, nil, nil, err
		}
	}
	return Record{}, nil, nil, errors.New("the vault makes no key whose thumbprint does not begin with a dash")
}

func drawRecord(ctx context.Context, alg string, vault Vault) (Record, *verifier, *signer, error) {
	private, sealed, err := vault.Make(ctx, alg)
	if err != nil {
		return Record{}, nil, nil, err
	}
	if len(sealed) == 0 || len(sealed) > maxSealed || !fits(alg, private.Public()) {
		return Record{}, nil, nil, fmt.Errorf("the vault made no key for %s that a record could hold", alg)
	}
	v, err := newVerifier(private.Public(), alg)
	if err != nil {
		return Record{}, nil, nil, err
	}
	r := Record{KID: v.kid, Alg: alg, Public: v.jwk, Sealed: sealed}
	return r, v, &signer{alg: alg, kid: v.kid, private: private}, nil
}

// thumbprint returns the RFC 7638 thumbprint of a public key, with SHA-256.
func thumbprint(public any) (string, error) {
	key := jose.JSONWebKey{Key: public}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// verifier is the checked public half of a key, and its JWK as it is published.
type verifier struct {
	alg string
	kid string
	key any
	jwk json.RawMessage
}

func newVerifier(public any, alg string) (*verifier, error) {
	kid, err := thumbprint(public)
	if err != nil {
		return nil, err
	}
	jwk := jose.JSONWebKey{Key: public, KeyID: kid, Algorithm: alg, Use: "sig"}
	text, err := jwk.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return &verifier{alg: alg, kid: kid, key: public, jwk: text}, nil
}

// openPublic checks the public half of a record. The published JWK is encoded from
// the key alone, so that other members of the record's JWK are not published.
func openPublic(r Record) (*verifier, error) {
	if !knownAlgorithm(r.Alg) {
		return nil, errUnknownAlgorithm(r.Alg)
	}
	if len(r.Public) > maxPublic {
		return nil, fmt.Errorf("public key of %d bytes; at most %d are accepted", len(r.Public), maxPublic)
	}
	var jwk jose.JSONWebKey
	// The library's error could quote what it read.
	if err := json.Unmarshal(r.Public, &jwk); err != nil || !jwk.Valid() || !jwk.IsPublic() {
		return nil, errors.New("public key is not a public JWK")
	}
	if !fits(r.Alg, jwk.Key) {
		return nil, fmt.Errorf("public key is not one for %s", r.Alg)
	}
	v, err := newVerifier(jwk.Key, r.Alg)
	if err != nil || v.kid != r.KID {
		return nil, errors.New("public key does not have the thumbprint that names it")
	}
	return v, nil
}

// openPrivate opens the private half of a record and checks that it belongs to the
// public half.
func openPrivate(ctx context.Context, r Record, vault Vault) (*signer, error) {
	private, err := vault.Open(ctx, r.Sealed, r.KID)
	if err != nil {
		return nil, err
	}
	if !fits(r.Alg, private.Public()) {
		return nil, fmt.Errorf("private key is not one for %s", r.Alg)
	}
	if kid, err := thumbprint(private.Public()); err != nil || kid != r.KID {
		return nil, errors.New("private key does not belong to the public one")
	}
	return &signer{alg: r.Alg, kid: r.KID, private: private}, nil
}
