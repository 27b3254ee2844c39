package config

import (
	"regexp"
	"strconv"
	"strings"
)

// masked stands wherever a secret would.
const masked = "****"

// Secret is a text that may hold a secret: fmt, encoding/json and loggers show
// it masked, only Reveal tells it. The zero value is the empty text.
type Secret struct {
	value string
	shown string
}

// NewSecret keeps value, all of which is secret.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: value, shown: masked}
}

// Reveal returns the text itself, for its one use and never for printing.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether the text is empty.
func (s Secret) IsZero() bool { return s.value == "" }

// String returns the text with its secrets masked.
func (s Secret) String() string { return s.shown }

// GoString is String, so that the verb %#v shows no more.
func (s Secret) GoString() string { return strconv.Quote(s.shown) }

// MarshalText is String, for JSON and logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.shown), nil }

// secretParameter matches the query parameters of a connection string that
// carry secrets: tlsCertificateKeyFilePassword, proxyPassword,
// authMechanismProperties (AWS_SESSION_TOKEN) and their like.
var secretParameter = regexp.MustCompile(`(?i)([^?&;=]*(?:password|secret|token|properties)[^?&;=]*=)[^&;]*`)

// maskURI returns text with what may be secret in a URI masked: the password
// before a host and secret query parameters. Where a text is not well-formed it
// masks too much rather than too little.
func maskURI(text string) string {
	return secretParameter.ReplaceAllString(maskUserinfo(text), "${1}"+masked)
}

// maskUserinfo masks the password of scheme://user:password@host. The last @
// counts, since a password may hold one that should have been escaped.
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

// quoted returns a value as errors show it: masked, bounded, and with quotes
// and escapes, so that it can neither flood nor forge a line.
func quoted(value string) string {
	const most = 120
	value = maskURI(value)
	if runes := []rune(value); len(runes) > most {
		value = string(runes[:most]) + "…"
	}
	return strconv.Quote(value)
}
