// Package base64url is the base64url of RFC 7515 §2, in which some bytes have one
// text only. encoding/base64 skips line breaks.
package base64url

import (
	"encoding/base64"
	"errors"
	"strings"
)

var encoding = base64.RawURLEncoding.Strict()

var errForm = errors.New("it is not base64url")

// Encode returns the text of b.
func Encode(b []byte) string { return encoding.EncodeToString(b) }

// Decode returns the bytes that Encode makes text of.
func Decode(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errForm
	}
	b, err := encoding.DecodeString(text)
	if err != nil {
		return nil, errForm
	}
	return b, nil
}
