package users

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/keyturn/keyturn/internal/passwords"
)

// The bounds of a password. NIST SP 800-63B-4 §3.1.1.2 requires 15 characters
// if the password is the only factor, never fewer than 8, and the acceptance of
// at least 64.
const (
	defaultMinLength = 15
	LeastMinLength   = 8
	// shortestWord is the length below which a word in a password says nothing
	// about the password.
	shortestWord = 3
)

// Policy says which new passwords are accepted (U5). It requires a length and
// that the password is not a known one, but no mix of characters.
type Policy struct {
	// MinLength is in characters (Unicode code points after normalisation).
	// Zero means defaultMinLength; a value below LeastMinLength means
	// LeastMinLength.
	MinLength int
}

// Check returns the refusal of the field "password" if u may not take password.
// It uses only u's address and names. It compares the password with the
// blocklist and with these words, ignoring case: as a whole, and as one of them
// repeated or padded with digits and punctuation.
func (p Policy) Check(password string, u User) error {
	normal, err := passwords.Normalize(password)
	if err != nil {
		return refuse("password", "%s", err)
	}
	if least := p.Least(); utf8.RuneCountInString(normal) < least {
		return refuse("password", "must have at least %d characters", least)
	}
	forms := cores(fold(normal))
	own := ownWords(u)
	for _, form := range forms {
		if isMonotonous(form) {
			return refuse("password", "must not be a sequence or a short repetition")
		}
		if isCommon(form) {
			return refuse("password", "is, or is only an extension of, one of the commonest passwords")
		}
		if own[form] {
			return refuse("password", "must not be made of the e-mail address or a name")
		}
	}
	return nil
}

// Least returns how many characters a password has at least.
func (p Policy) Least() int {
	if p.MinLength == 0 {
		return defaultMinLength
	}
	return max(p.MinLength, LeastMinLength)
}

// ownWords returns the words that a guesser tries first for this user.
func ownWords(u User) map[string]bool {
	local, domain, _ := strings.Cut(u.Email, "@")
	site, _, _ := strings.Cut(domain, ".")
	words := map[string]bool{}
	for _, word := range []string{
		u.Email, local, domain, site, u.Username, u.FirstName, u.LastName,
		u.FirstName + u.LastName, u.LastName + u.FirstName, "keyturn",
	} {
		folded := fold(word)
		for _, w := range []string{folded, trimEnds(folded), squeeze(folded), trimEnds(squeeze(folded))} {
			if utf8.RuneCountInString(w) >= shortestWord {
				words[w] = true
			}
		}
	}
	return words
}

// cores returns the forms of a folded password to compare: itself, without
// separators, without digits and punctuation at its ends, and the unit that
// each of these repeats.
func cores(folded string) []string {
	var forms []string
	add := func(s string) {
		unit := repeatedUnit(s)
		forms = append(forms, s, unit, trimEnds(unit))
	}
	for _, s := range []string{folded, squeeze(folded)} {
		add(s)
		add(trimEnds(s))
	}
	return forms
}

// trimEnds removes everything but letters from both ends.
func trimEnds(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
}

// squeeze removes everything but letters and digits.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}

// repeatedUnit returns the shortest text whose repetition begins with s and
// that occurs in s at least twice, or s if there is none.
func repeatedUnit(s string) string {
	runes := []rune(s)
	// The failure function of Knuth, Morris and Pratt: border[i] is the length
	// of the longest proper prefix of runes[:i+1] that is also its suffix.
	border := make([]int, len(runes))
	for i := 1; i < len(runes); i++ {
		k := border[i-1]
		for k > 0 && runes[i] != runes[k] {
			k = border[k-1]
		}
		if runes[i] == runes[k] {
			k++
		}
		border[i] = k
	}
	if len(runes) == 0 {
		return s
	}
	period := len(runes) - border[len(runes)-1]
	if 2*period > len(runes) {
		return s
	}
	return string(runes[:period])
}

// isMonotonous reports whether s, of eight characters or more, is a sequence
// such as abcdefgh or 87654321, or repeats a unit of at most four characters.
func isMonotonous(s string) bool {
	runes := []rune(s)
	if len(runes) < LeastMinLength {
		return false
	}
	if utf8.RuneCountInString(repeatedUnit(s)) <= 4 {
		return true
	}
	step := runes[1] - runes[0]
	if step != 1 && step != -1 {
		return false
	}
	for i := 2; i < len(runes); i++ {
		if runes[i]-runes[i-1] != step {
			return false
		}
	}
	return true
}
