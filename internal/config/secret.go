package config

import (
	"regexp"
	"strconv"
	"strings"
)

// masked replaces a secret in every output.
const masked = "****"

// Secret is a text that may contain a secret. fmt, encoding/json and loggers
// show it masked; only Reveal returns it. The zero value is the empty text.
type Secret struct {
	value string
	shown string
}

// NewSecret returns a Secret that is masked as a whole.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: value, shown: masked}
}

// Reveal returns the text itself. It must not be printed.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether the text is empty.
func (s Secret) IsZero() bool { return s.value == "" }

// String returns the text with its secrets masked.
func (s Secret) String() string { return s.shown }

// GoString is like String, so that the verb %#v shows no more.
func (s Secret) GoString() string { return strconv.Quote(s.shown) }

// MarshalText is like String, for JSON and logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.shown), nil }

// secretParameter matches query parameters of a connection string that contain
// secrets, for example tlsCertificateKeyFilePassword, proxyPassword and
// authMechanismProperties (AWS_SESSION_TOKEN).
var secretParameter = regexp.MustCompile(`(?i)([^?&;=]*(?:password|secret|token|properties)[^?&;=]*=)[^&;]*`)

// maskURI masks the possible secrets of a URI: the password before a host, and
// secret query parameters. If text is not well-formed it masks too much rather
// than too little.
func maskURI(text string) string {
	return secretParameter.ReplaceAllString(maskUserinfo(text), "${1}"+masked)
}

// maskUserinfo masks the password of scheme://user:password@host. It takes the
// last @ as the separator, because a password may contain one that was not
// escaped.
func maskUserinfo(text string) string {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return text
	}
	scheme, userinfo, found := strings.Cut(text[:at], "://")
	if !found {
		return masked + text[at:]
	}
	user, _, found := strings.Cut(userinfo, ":")
	if !found {
		user = ""
	}
	if user != "" {
		user += ":"
	}
	return scheme + "://" + user + masked + text[at:]
}

// quoted returns a value as errors show it: masked, truncated and quoted, so
// that it can neither flood nor forge a log line.
func quoted(value string) string {
	const most = 120
	value = maskURI(value)
	if runes := []rune(value); len(runes) > most {
		value = string(runes[:most]) + "…"
	}
	return strconv.Quote(value)
}
