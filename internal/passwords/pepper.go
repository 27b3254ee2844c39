package passwords

import (
	"errors"
	"fmt"
	"strings"
)

// pepperedHash is bcrypt of a password followed by an application's secret, as Devise
// makes it. The hash does not contain that secret, the pepper. The Hasher passes both
// to bcrypt as one text, so that no worker and no store gets the pepper separately.
type pepperedHash struct{ bcryptHash }

const pepperedPrefix = "$peppered$"

// maxPepper bounds a pepper, in bytes. Devise makes one of 128 characters.
const maxPepper = 1024

// SetPepper sets the pepper for hashes that Pepper returned; CheckPepper must accept
// it, or it is empty. SetPepper must be called before any other method.
func (h *Hasher) SetPepper(pepper string) { h.pepper = pepper }

// HasPepper reports whether the Hasher can verify hashes that Pepper returned.
func (h *Hasher) HasPepper() bool { return h.pepper != "" }

// CheckPepper returns an error if a pepper cannot be used. The error never contains
// the pepper.
func CheckPepper(pepper string) error {
	if pepper == "" || len(pepper) > maxPepper || strings.ContainsAny(pepper, "\x00\r\n") {
		return fmt.Errorf("a pepper must be one line of 1 to %d bytes, without NUL", maxPepper)
	}
	return nil
}

// Pepper returns the stored form of a bcrypt hash that needs the pepper.
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

// Peppered reports whether verifying a hash needs the pepper.
func Peppered(encoded string) bool { return strings.HasPrefix(encoded, pepperedPrefix) }

func parsePeppered(encoded string) (scheme, error) {
	s, err := parsePrehashed(strings.TrimPrefix(encoded, pepperedPrefix), noPrehash)
	if err != nil {
		return nil, err
	}
	return pepperedHash{s.(bcryptHash)}, nil
}

// matches returns false, after the same work, because there is no pepper.
func (h pepperedHash) matches(password string) bool {
	h.spend(h.kind().cost, password)
	return false
}

// kind is a family of its own, so that the store's list of kinds shows whether a
// pepper is needed.
func (h pepperedHash) kind() kind { return kind{"peppered bcrypt", h.bcryptHash.kind().cost} }

func (h pepperedHash) blank() string { return pepperedPrefix + h.bcryptHash.blank() }

// question returns the job that checks whether a form of the password has the hash
// encoded.
func (h *Hasher) question(own Hash, encoded, form string) job {
	peppered, ok := own.scheme.(pepperedHash)
	if !ok || h.pepper == "" {
		return job{Password: []byte(form), Hash: []byte(encoded)}
	}
	// A form that bcrypt would cut is not peppered and so never matches. The pepper
	// is cut to what fits.
	if len(form) <= maxBcryptPassword {
		form = (form + h.pepper)[:min(len(form)+len(h.pepper), maxBcryptPassword)]
	}
	return job{Password: []byte(form), Hash: []byte(peppered.encoded)}
}
