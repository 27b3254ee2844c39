package passwords

import (
	"errors"
	"fmt"
	"strings"
)

// pepperedHash is bcrypt of a password with a secret of the application behind it,
// as Devise makes it. The secret, the pepper, is not in the hash: the Hasher that has
// it hands bcrypt the two as one text, so that no worker and no store learns it
// apart.
type pepperedHash struct{ bcryptHash }

const pepperedPrefix = "$peppered$"

// maxPepper bounds a pepper. Devise makes one of 128 characters.
const maxPepper = 1024

// SetPepper has the Hasher verify hashes that Pepper made, with a pepper that
// CheckPepper accepts, or none. To be called before any other method.
func (h *Hasher) SetPepper(pepper string) { h.pepper = pepper }

// HasPepper reports whether hashes that Pepper made can be verified.
func (h *Hasher) HasPepper() bool { return h.pepper != "" }

// CheckPepper reports why a pepper cannot be used, or nil. The text never repeats it.
func CheckPepper(pepper string) error {
	if pepper == "" || len(pepper) > maxPepper || strings.ContainsAny(pepper, "\x00\r\n") {
		return fmt.Errorf("a pepper must be one line of 1 to %d bytes, without NUL", maxPepper)
	}
	return nil
}

// Pepper returns a bcrypt hash as it is kept when a pepper is part of it.
func Pepper(encoded string) (string, error) {
	hash, err := Parse(encoded)
	if err != nil {
		return "", err
	}
	if b, ok := hash.scheme.(bcryptHash); !ok || b.before != noPrehash {
		return "", errors.New("only bcrypt hashes ($2a$, $2b$, $2y$) are taken with a pepper")
	}
	return pepperedPrefix + hash.scheme.(bcryptHash).encoded, nil
}

// Peppered reports whether a hash can be verified with a pepper alone.
func Peppered(encoded string) bool { return strings.HasPrefix(encoded, pepperedPrefix) }

func parsePeppered(encoded string) (scheme, error) {
	s, err := parsePrehashed(strings.TrimPrefix(encoded, pepperedPrefix), noPrehash)
	if err != nil {
		return nil, err
	}
	return pepperedHash{s.(bcryptHash)}, nil
}

// matches is false without a pepper, after the same work.
func (h pepperedHash) matches(password string) bool {
	h.spend(h.kind().cost, password)
	return false
}

// kind is a family of its own, so that the store's list of kinds tells whether a
// pepper is needed.
func (h pepperedHash) kind() kind { return kind{"peppered bcrypt", h.bcryptHash.kind().cost} }

func (h pepperedHash) blank() string { return pepperedPrefix + h.bcryptHash.blank() }

// question returns the job that finds out whether a password in one form has the
// hash encoded.
func (h *Hasher) question(own Hash, encoded, form string) job {
	peppered, ok := own.scheme.(pepperedHash)
	if !ok || h.pepper == "" {
		return job{Password: []byte(form), Hash: []byte(encoded)}
	}
	// What bcrypt would cut matches nothing, as without a pepper; of the pepper
	// counts what fits.
	if len(form) <= maxBcryptPassword {
		form = (form + h.pepper)[:min(len(form)+len(h.pepper), maxBcryptPassword)]
	}
	return job{Password: []byte(form), Hash: []byte(peppered.encoded)}
}
