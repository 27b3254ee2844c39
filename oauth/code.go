package oauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/base64url"
)

const (
	codePrefix = "kt_ac_"
	// codeTTL is how long a code may be exchanged.
	codeTTL = time.Minute
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
