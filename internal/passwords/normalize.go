package passwords

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	// MaxBytes bounds a normalised password. Longer ones are refused, never cut.
	MaxBytes = 1024
	// maxRawBytes bounds the work of normalising; a decomposed text shrinks by
	// less than this factor.
	maxRawBytes = 4 * MaxBytes
)

// Normalize returns password in NFC, the form in which every password is
// hashed and verified, so that one typed on another keyboard still matches.
// Invalid UTF-8, NUL and more than MaxBytes are refused, with what would be
// accepted; nothing is ever cut. So is U+FFFD, which encoding/json has put where
// the text was not UTF-8: different passwords would have become one.
func Normalize(password string) (string, error) {
	if len(password) > maxRawBytes {
		return "", fmt.Errorf("must be at most %d bytes long", MaxBytes)
	}
	if strings.ContainsRune(password, utf8.RuneError) || strings.ContainsRune(password, 0) {
		return "", errors.New("must be valid UTF-8 without NUL")
	}
	normal := norm.NFC.String(password)
	if len(normal) > MaxBytes {
		return "", fmt.Errorf("must be at most %d bytes long", MaxBytes)
	}
	return normal, nil
}

// formsOf returns the forms in which a password is verified: as Normalize makes it
// and then, if that differs, as it was typed, which is what other systems hashed.
// What Normalize refuses has one form, and its error.
func formsOf(password string) ([]string, error) {
	normal, err := Normalize(password)
	if err != nil || normal == password {
		return []string{normal}, err
	}
	return []string{normal, password}, nil
}
