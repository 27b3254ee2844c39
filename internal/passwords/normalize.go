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
	// maxRawBytes bounds the work of normalising; normalising shrinks a decomposed
	// text by less than this factor.
	maxRawBytes = 4 * MaxBytes
)

// Normalize returns password in NFC, the form in which every password is hashed
// and verified, so that the same password typed on another keyboard matches. It
// refuses invalid UTF-8, NUL and more than MaxBytes; the error says what would be
// accepted. It never cuts a password. It also refuses U+FFFD, which encoding/json
// substitutes for invalid UTF-8, because different passwords would become one.
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

// formsOf returns the forms in which a password is verified: the normalised one
// and then, if different, the password as typed, which other systems hashed. A
// password that Normalize refuses has one form, with the error.
func formsOf(password string) ([]string, error) {
	normal, err := Normalize(password)
	if err != nil || normal == password {
		return []string{normal}, err
	}
	return []string{normal, password}, nil
}
