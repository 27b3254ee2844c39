package passwords

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

const firebaseKeyBytes = 32

// FirebaseProject holds the hash parameters that Firebase shows for a project.
type FirebaseProject struct {
	SignerKey, SaltSeparator []byte
	// Rounds is scrypt's r; MemCost is log2 of its N.
	Rounds, MemCost uint32
}

// Encode returns a Firebase hash and its salt in the form that Parse reads.
//
// Firebase encrypts the project's signer key with AES-256-CTR under a key that
// scrypt derives from the password. Encode keeps the keystream alone, so that
// the signer key, which is the project's secret, is not needed for verification.
func (p FirebaseProject) Encode(salt, hash []byte) (string, error) {
	if len(hash) != len(p.SignerKey) {
		return "", fmt.Errorf("hash of %d bytes: the project's signer key has %d", len(hash), len(p.SignerKey))
	}
	keystream := make([]byte, len(hash))
	subtle.XORBytes(keystream, hash, p.SignerKey)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$firebase-scrypt$ln=%d,r=%d,p=1$%s$%s", p.MemCost, p.Rounds,
		b64.EncodeToString(append(append([]byte(nil), salt...), p.SaltSeparator...)), b64.EncodeToString(keystream)), nil
}

// firebaseHash is scrypt whose digest is the AES-256-CTR keystream under
// scrypt's output. Nearly all of its cost is scrypt's.
type firebaseHash struct{ scryptHash }

func parseFirebase(encoded string) (scheme, error) {
	rest := strings.TrimPrefix(encoded, "$firebase-scrypt")
	s, err := parseScrypt("$scrypt" + rest)
	if err != nil {
		return nil, fmt.Errorf("firebase-%w", err)
	}
	h, ok := s.(scryptHash)
	if !ok {
		return nil, errors.New("firebase-scrypt hash must have a cost, a salt and a hash")
	}
	return firebaseHash{h}, nil
}

func (h firebaseHash) matches(password string) bool {
	derived := h.scryptHash
	derived.digest = make([]byte, firebaseKeyBytes)
	block, err := aes.NewCipher(derived.compute(password))
	if err != nil {
		return false // NewCipher accepts every key of 32 bytes
	}
	keystream := make([]byte, len(h.digest))
	cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(keystream, keystream)
	return subtle.ConstantTimeCompare(keystream, h.digest) == 1
}
