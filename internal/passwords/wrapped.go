package passwords

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
)

// weakScheme is a scheme whose hashes are never stored as they are, because a
// thief of the store would find the passwords too soon. Its hashes are wrapped
// instead.
type weakScheme interface {
	scheme
	// weak reports whether this hash is weak; some forms of a scheme are not.
	weak() bool
	// ownDigest returns the digest of the hash as text. digestOf returns the
	// digest of a password.
	ownDigest() string
	digestOf(password string) string
	// bare returns the encoded hash with another digest in place of its own, for
	// Parse.
	bare() string
}

// wrappedHash is argon2id over a weak digest of the password. It keeps the salt
// and cost of the weak hash, but not its digest.
type wrappedHash struct {
	argon2Hash
	inner weakScheme
}

const wrappedPrefix = "$wrapped$"

// Weak reports whether the hash must not be stored as it is; see Hasher.Wrap.
func (h Hash) Weak() bool {
	w, ok := h.scheme.(weakScheme)
	return ok && w.weak()
}

// Wrap returns argon2id at the current parameters over a weak hash, which may be
// stored. The errors are those of Parse and Hash.
func (h *Hasher) Wrap(ctx context.Context, encoded string) (string, error) {
	hash, err := Parse(encoded)
	if err != nil {
		return "", err
	}
	if !hash.Weak() {
		return "", errors.New("only a weak hash is wrapped")
	}
	weak := hash.scheme.(weakScheme)
	outer, err := h.make(ctx, weak.ownDigest())
	if err != nil {
		return "", err
	}
	return wrapped(weak, outer), nil
}

func wrapped(weak weakScheme, outer string) string {
	return wrappedPrefix + base64.RawURLEncoding.EncodeToString([]byte(weak.bare())) + outer
}

// parseWrapped parses $wrapped$, the base64 of the inner hash without its digest,
// and the PHC string of argon2id.
func parseWrapped(encoded string) (scheme, error) {
	const want = "wrapped hash must have an inner hash and one of argon2id"
	inner, outer, found := strings.Cut(strings.TrimPrefix(encoded, wrappedPrefix), "$")
	text, err := base64.RawURLEncoding.Strict().DecodeString(inner)
	if err != nil || !found || !strings.HasPrefix(outer, "argon2id$") {
		return nil, errors.New(want)
	}
	weak, err := Parse(string(text))
	if err != nil {
		return nil, err
	}
	if !weak.Weak() {
		return nil, errors.New(want)
	}
	over, err := parseArgon2("$" + outer)
	if err != nil {
		return nil, err
	}
	return wrappedHash{over.(argon2Hash), weak.scheme.(weakScheme)}, nil
}

func (h wrappedHash) matches(password string) bool {
	return h.argon2Hash.matches(h.inner.digestOf(password))
}

func (h wrappedHash) encode() string { return wrapped(h.inner, h.argon2Hash.encode()) }

// parts returns the hashes that verifying computes: one, or the two of a wrapped
// hash.
func (h Hash) parts() []Hash {
	if h.scheme == nil {
		return nil
	}
	if w, ok := h.scheme.(wrappedHash); ok {
		return []Hash{{w.argon2Hash}, {w.inner}}
	}
	return []Hash{h}
}
