package dpop

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/keyturn/keyturn/keys"

	"github.com/keyturn/keyturn/internal/base64url"
)

// nonceLife is how long a nonce is valid.
const nonceLife = 5 * time.Minute

const (
	nonceTime = 8  // bytes
	nonceTag  = 16 // bytes
)

// nonces makes and reads the server's nonces without state. A nonce is the time
// when it was made, and a MAC of the time under a key that every replica derives
// from the master secret.
type nonces struct{ keys [][]byte }

// NewChecker returns a Checker whose nonces use masters.
func NewChecker(masters *keys.Masters, needsNonce bool, skew time.Duration, now func() time.Time) *Checker {
	c := &Checker{NeedsNonce: needsNonce, Skew: skew, Now: now}
	for _, id := range masters.IDs() {
		key, _ := masters.Derive(id, "keyturn/dpop-nonce/v1")
		c.nonces.keys = append(c.nonces.keys, key)
	}
	return c
}

func (n nonces) make(now time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))
	return base64url.Encode(append(b, tag(n.keys[0], b)...))
}

// read returns when a nonce was made, or false if it is not one of the server's.
func (n nonces) read(nonce string) (time.Time, bool) {
	b, err := base64url.Decode(nonce)
	if err != nil || len(b) != nonceTime+nonceTag {
		return time.Time{}, false
	}
	for _, key := range n.keys {
		if hmac.Equal(tag(key, b[:nonceTime]), b[nonceTime:]) {
			return time.Unix(int64(binary.BigEndian.Uint64(b)), 0), true
		}
	}
	return time.Time{}, false
}

func tag(key, b []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(b)
	return h.Sum(nil)[:nonceTag]
}
