package factors

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"strings"
)

const (
	// RecoveryCodes is how many recovery codes an account gets at once.
	RecoveryCodes = 10
	// A recovery code is 25 letters and digits of base 32, which are 125 bits, in
	// groups of five. Nobody guesses one, so a plain hash keeps it safe.
	recoveryLength = 25
	recoveryGroup  = 5
	// maxCode bounds what is taken for a code, in bytes.
	maxCode = 64
)

// NewRecoveryCodes returns new codes, to be shown once, and what is kept of them.
func NewRecoveryCodes() (codes []string, hashes [][]byte) {
	for range RecoveryCodes {
		text := rand.Text()[:recoveryLength]
		var groups []string
		for i := 0; i < recoveryLength; i += recoveryGroup {
			groups = append(groups, text[i:i+recoveryGroup])
		}
		codes = append(codes, strings.Join(groups, "-"))
		hashes = append(hashes, digest(text))
	}
	return codes, hashes
}

func digest(code string) []byte {
	sum := sha256.Sum256([]byte(code))
	return sum[:]
}

// Code is a code as somebody sent it.
type Code struct{ text string }

// ParseCode reads a code as people type it: with spaces, with dashes, in any case.
func ParseCode(s string) Code {
	if len(s) > maxCode {
		return Code{}
	}
	text := strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(s))
	if len(text) > maxCode { // what is no text becomes longer
		return Code{}
	}
	return Code{text}
}

// IsRecovery reports whether the code has the length of a recovery code, which nobody
// guesses.
func (c Code) IsRecovery() bool { return len(c.text) == recoveryLength }

// SpendRecovery returns the set without the recovery code, or false if it is none. It
// compares with all of them, whichever matches.
func (s Set) SpendRecovery(c Code) (Set, bool) {
	found, presented := -1, digest(c.text)
	for i, kept := range s.Recovery {
		if subtle.ConstantTimeCompare(kept, presented) == 1 {
			found = i
		}
	}
	if !c.IsRecovery() || found < 0 {
		return s, false
	}
	s = s.Clone()
	if s.Recovery = append(s.Recovery[:found], s.Recovery[found+1:]...); len(s.Recovery) == 0 {
		s.Recovery = nil
	}
	return s, true
}
