package clients

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
)

const secretPrefix = "kt_cs_"

// newSecret returns a client secret of 256 random bits, with a prefix and
// a checksum by which secret scanners recognise a leaked one, and the hash to
// store. The secret is shown once and stored nowhere.
func newSecret() (secret string, hash []byte) {
	raw := make([]byte, 32, 36)
	rand.Read(raw) // never fails: crypto/rand.Read crashes the program instead
	raw = binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	secret = secretPrefix + base64.RawURLEncoding.EncodeToString(raw)
	sum := sha256.Sum256([]byte(secret))
	return secret, sum[:]
}

// hasSecret reports whether secret is the client's, in constant time. It is
// false for a client without a secret.
func (c Client) hasSecret(secret string) bool {
	sum := sha256.Sum256([]byte(secret))
	return len(c.SecretHash) == len(sum) && subtle.ConstantTimeCompare(sum[:], c.SecretHash) == 1
}
