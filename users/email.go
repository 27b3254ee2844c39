package users

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// RFC 5321 §4.5.3.1 bounds the parts of an address, in bytes.
const (
	maxEmailBytes = 254
	maxLocalBytes = 64
	maxLabelBytes = 63
	maxNameRunes  = 100
)

// EmailKey checks an e-mail address. It returns the address in NFC for display, and the
// key for comparing addresses: case-folded and in NFKC on both sides of the @, with a
// domain in its xn-- form in Unicode, so that Ada@bücher.example and
// ada@xn--bcher-kva.example are one account.
//
// It ignores white space at the ends, which keyboards add. It accepts less than RFC
// 5322: no display name, comment, quoted local part or address literal, and no
// invisible characters.
func EmailKey(addr string) (display, key string, err error) {
	display, key, err = typedKey(addr)
	return display, unicodeDomain(key), err
}

// typedKey is EmailKey with the domain in the form in which it was typed. Former
// versions compared addresses so.
func typedKey(addr string) (display, key string, err error) {
	addr = strings.TrimSpace(addr)
	if len(addr) > maxEmailBytes {
		return "", "", refuse("email", "must be at most %d bytes long", maxEmailBytes)
	}
	if !utf8.ValidString(addr) {
		return "", "", refuse("email", "must be valid UTF-8")
	}
	display = norm.NFC.String(addr)
	if err := checkEmail(display); err != nil {
		return "", "", err
	}
	// Folding may turn compatibility characters into an @, a space or a longer text, so
	// the key must be an address too.
	key = fold(display)
	if err := checkEmail(key); err != nil {
		return "", "", err
	}
	return display, key, nil
}

func checkEmail(addr string) error {
	if len(addr) > maxEmailBytes {
		return refuse("email", "must be at most %d bytes long", maxEmailBytes)
	}
	local, domain, ok := strings.Cut(addr, "@")
	if !ok || strings.Contains(domain, "@") {
		return refuse("email", "must have one @, as in name@example.org")
	}
	if local == "" || len(local) > maxLocalBytes {
		return refuse("email", "must have 1 to %d bytes before the @", maxLocalBytes)
	}
	if strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return refuse("email", "must not begin or end with a dot before the @, nor have two in a row")
	}
	for _, r := range local {
		if !visible(r) || unicode.IsSpace(r) || strings.ContainsRune(`"(),:;<>[\]`, r) {
			return refuse("email", "has a character before the @ that is not allowed there")
		}
	}
	for label := range strings.SplitSeq(domain, ".") {
		if !isDomainLabel(label) {
			return refuse("email", "must have a domain name after the @, as in name@example.org")
		}
	}
	return nil
}

func isDomainLabel(label string) bool {
	if label == "" || len(label) > maxLabelBytes || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for _, r := range label {
		if r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) || !visible(r) {
			return false
		}
	}
	return true
}

// UsernameKey checks a username. It returns the name in NFC, and the key for comparing
// usernames. It ignores white space at the ends. A username has 1 to 100 visible
// characters and no @, so that it cannot be mistaken for an address.
func UsernameKey(name string) (display, key string, err error) {
	display, err = checkName("username", strings.TrimSpace(name))
	if err != nil {
		return "", "", err
	}
	key = fold(display)
	if display == "" || strings.TrimSpace(key) != key || strings.Contains(key, "@") || !allVisible(key) {
		return "", "", refuse("username", "must have 1 to %d visible characters and no @", maxNameRunes)
	}
	return display, key, nil
}

// checkName returns a name in NFC, or the refusal of field.
func checkName(field, name string) (string, error) {
	if len(name) > maxNameRunes*utf8.UTFMax || utf8.RuneCountInString(name) > maxNameRunes {
		return "", refuse(field, "must have at most %d characters", maxNameRunes)
	}
	if !utf8.ValidString(name) || !allVisible(name) {
		return "", refuse(field, "must be text without control or invisible characters")
	}
	return norm.NFC.String(name), nil
}

// checkPersonalName is checkName for a name that is only shown, never compared. It
// allows U+200C and U+200D within words, which Persian and Indic spelling needs.
func checkPersonalName(field, name string) (string, error) {
	if _, err := checkName(field, withoutJoiners(name)); err != nil {
		return "", err
	}
	if utf8.RuneCountInString(name) > maxNameRunes {
		return "", refuse(field, "must have at most %d characters", maxNameRunes)
	}
	return norm.NFC.String(name), nil
}

// withoutJoiners removes each U+200C and U+200D between a letter or its mark and
// another letter.
func withoutJoiners(name string) string {
	runes := []rune(name)
	var kept []rune
	for i, r := range runes {
		inWord := i > 0 && i+1 < len(runes) && (unicode.IsLetter(runes[i-1]) || unicode.IsMark(runes[i-1])) && unicode.IsLetter(runes[i+1])
		if r == '\u200c' && inWord || r == '\u200d' && inWord {
			continue
		}
		kept = append(kept, r)
	}
	return string(kept)
}

func allVisible(s string) bool {
	for _, r := range s {
		if !visible(r) {
			return false
		}
	}
	return true
}

// visible reports whether a reader sees r, or a gap. It is false for control characters
// and for those that render as nothing and make two different names look the same.
func visible(r rune) bool {
	return unicode.IsGraphic(r) && r != utf8.RuneError &&
		!unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// fold returns the form of s for comparisons that ignore case and presentation:
// Unicode's compatibility caseless match (D146), composed.
func fold(s string) string {
	c := cases.Fold()
	return norm.NFKC.String(c.String(norm.NFKC.String(c.String(norm.NFD.String(s)))))
}
