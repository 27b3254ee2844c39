package oauth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/base64url"
	"github.com/keyturn/keyturn/keys"
)

const (
	codePrefix = "kt_ac_"
	// codeTTL is how long a code may be exchanged.
	codeTTL = time.Minute
	// maxCode bounds what is taken for a code, in bytes.
	maxCode = 8 << 10
)

// code is an authorization code (RFC 6749 §1.3.1): what was granted, sealed for
// its way through the browser. It is stored nowhere: the session that it may begin,
// whose id it bears, stands for that it was spent.
type code struct {
	SessionID string `json:"s"`
	ClientID  string `json:"c"`
	// Redirect is the SHA-256 of the redirect URI, Challenge that of the verifier
	// (RFC 7636 §4.2).
	Redirect  []byte `json:"r"`
	Challenge string `json:"p"`
	Nonce     string `json:"n,omitempty"`
	// JKT is the key that a proof at the exchange must be of (RFC 9449 §10); empty
	// where the client named none.
	JKT      string   `json:"k,omitempty"`
	Scope    []string `json:"o,omitempty"`
	Audience []string `json:"a,omitempty"`
	// UserID and Epoch are the account as it was, LoginID the browser's session and
	// AuthTime when that was begun, in milliseconds.
	UserID   string `json:"u"`
	Epoch    int64  `json:"e"`
	LoginID  string `json:"l"`
	AuthTime int64  `json:"t"`
	// Expires is when the code does, in milliseconds.
	Expires int64 `json:"x"`
}

// verifies reports whether verifier is what the challenge was made of, and has the
// form that RFC 7636 §4.1 asks for.
func (c code) verifies(verifier string) bool {
	if len(verifier) < 43 || len(verifier) > 128 || strings.Trim(verifier, unreserved) != "" {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64url.Encode(sum[:])), []byte(c.Challenge)) == 1
}

// unreserved are the characters of a verifier.
const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

// isDigest reports whether s is the base64url of a SHA-256: a challenge (RFC 7636
// §4.2) or a key's thumbprint (RFC 9449 §10).
func isDigest(s string) bool {
	raw, err := base64url.Decode(s)
	return err == nil && len(raw) == sha256.Size
}

// codeKeys seal and open codes. Immutable after creation.
type codeKeys struct {
	primary cipher.AEAD
	all     []cipher.AEAD
}

func newCodeKeys(m *keys.Masters) *codeKeys {
	k := &codeKeys{}
	for _, id := range m.IDs() {
		key, _ := m.Derive(id, "keyturn/code/v1")
		block, err := aes.NewCipher(key)
		if err != nil {
			panic(err) // the key has the right length
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			panic(err) // so has the block
		}
		if k.all = append(k.all, aead); id == m.Primary() {
			k.primary = aead
		}
	}
	return k
}

func (k *codeKeys) seal(c code) string {
	text, _ := json.Marshal(c) // texts and numbers can always be encoded
	return codePrefix + base64url.Encode(k.primary.Seal(nil, nil, text, []byte(codePrefix)))
}

// open returns what is in a code of ours.
func (k *codeKeys) open(sealed string) (code, error) {
	encoded, ok := strings.CutPrefix(sealed, codePrefix)
	if !ok || len(encoded) > maxCode {
		return code{}, errMalformed
	}
	raw, err := base64url.Decode(encoded)
	if err != nil {
		return code{}, errMalformed
	}
	for _, aead := range k.all {
		text, err := aead.Open(nil, nil, raw, []byte(codePrefix))
		if err != nil {
			continue
		}
		var c code
		err = json.Unmarshal(text, &c)
		return c, err
	}
	return code{}, errForged
}
