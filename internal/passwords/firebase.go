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

// FirebaseProject is what Firebase shows as the hash parameters of a project.
type FirebaseProject struct {
	SignerKey, SaltSeparator []byte
	// Rounds is scrypt's r, MemCost the logarithm of its N.
	Rounds, MemCost uint32
}

// Encode returns what Parse reads of a Firebase hash and its salt.
//
// Firebase encrypts the project's signer key with AES-256-CTR under what scrypt
// makes of the password. Here the keystream alone is kept, which that key is the
// key of: the signer key itself, which is the project's secret, is not needed
// again.
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

// firebaseHash is scrypt whose digest is the keystream of AES-256-CTR under its
// output. All that costs is scrypt.
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
		return false // a key of 32 bytes is never refused
	}
	keystream := make([]byte, len(h.digest))
	cipher.NewCTR(block, make([]byte, aes.BlockSize)).XORKeyStream(keystream, keystream)
	return subtle.ConstantTimeCompare(keystream, h.digest) == 1
}
