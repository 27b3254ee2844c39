package keys

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// MissingMasterError means that something is sealed under a master secret that
// this process does not have.
type MissingMasterError struct {
	// ID names the missing secret.
	ID string
}

func (e *MissingMasterError) Error() string {
	return fmt.Sprintf("sealed under master key %s, which is not among the master keys given", e.ID)
}

// errDamaged means that the sealed bytes are truncated, changed, or belong to
// another key.
var errDamaged = errors.New("sealed key is damaged")

const (
	sealVersion = 1
	sealInfo    = "keyturn/seal/v1"
	sealHeader  = 1 + masterIDSize
	sealMinimum = sealHeader + chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead
)

// Sealer seals with XChaCha20-Poly1305, under keys of its own for each use. Its output is
//
//	version (1 byte) | master id (8) | nonce (24) | ciphertext and tag
//
// The nonce is random; at 192 bits it never repeats.
type Sealer struct {
	primary string
	aeads   map[string]cipher.AEAD
}

// Sealer returns a sealer whose keys are derived from the master secrets for the use
// that info names.
func (m *Masters) Sealer(info string) *Sealer {
	s := &Sealer{primary: m.Primary(), aeads: make(map[string]cipher.AEAD)}
	for _, id := range m.IDs() {
		key, _ := m.Derive(id, info)
		aead, err := chacha20poly1305.NewX(key)
		if err != nil {
			// NewX refuses only a key of the wrong length.
			panic("keys: " + err.Error())
		}
		s.aeads[id] = aead
	}
	return s
}

// Seal returns plain encrypted and bound to aad.
func (s *Sealer) Seal(plain, aad []byte) ([]byte, error) {
	id, err := hex.DecodeString(s.primary)
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	out := make([]byte, sealHeader+chacha20poly1305.NonceSizeX, sealMinimum+len(plain))
	out[0] = sealVersion
	copy(out[1:], id)
	nonce := out[sealHeader:]
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	return s.aeads[s.primary].Seal(out, nonce, plain, aad), nil
}

// Open decrypts what was sealed with the same aad. The error is a
// *MissingMasterError if the master secret is missing.
func (s *Sealer) Open(sealed, aad []byte) ([]byte, error) {
	id, ok := s.SealedUnder(sealed)
	if !ok {
		return nil, errDamaged
	}
	aead, ok := s.aeads[id]
	if !ok {
		return nil, &MissingMasterError{ID: id}
	}
	body := sealed[sealHeader:]
	nonce, text := body[:chacha20poly1305.NonceSizeX], body[chacha20poly1305.NonceSizeX:]
	plain, err := aead.Open(nil, nonce, text, aad)
	if err != nil {
		return nil, errDamaged
	}
	return plain, nil
}

// Outdated reports whether sealed is not under the primary master secret.
func (s *Sealer) Outdated(sealed []byte) bool {
	id, ok := s.SealedUnder(sealed)
	return ok && id != s.primary
}

// SealedUnder returns the id of the master secret that opens sealed, or false if
// sealed does not have this sealer's form.
func (s *Sealer) SealedUnder(sealed []byte) (string, bool) {
	if len(sealed) < sealMinimum || sealed[0] != sealVersion {
		return "", false
	}
	return hex.EncodeToString(sealed[1:sealHeader]), true
}
