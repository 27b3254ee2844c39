package clients

import (
	"slices"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// maxScopes bounds how many scope tokens a request may name.
const maxScopes = 100

// ParseScope splits a scope string into its tokens, without duplicates, in the
// order given (RFC 6749 §3.3). It reports whether every token has only the
// characters that the RFC allows.
func ParseScope(s string) ([]string, bool) {
	var scope []string
	for token := range strings.SplitSeq(s, " ") {
		if token == "" || slices.Contains(scope, token) {
			continue
		}
		if !validScopeToken(token) || len(scope) == maxScopes {
			return nil, false
		}
		scope = append(scope, token)
	}
	return scope, true
}

func validScopeToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '"' || c == '\\' || c > '~' {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

// Narrow returns the granted part of the scope asked for: byDefault if none is
// asked for. It refuses a scope that is not allowed.
func Narrow(asked string, allowed, byDefault []string) ([]string, *refusal.Error) {
	scope, ok := ParseScope(asked)
	if !ok {
		return nil, refusal.New(refusal.BadScope, audit.ReasonMalformedScope,
			"The parameter scope is malformed: send at most 100 names of visible ASCII characters, separated by spaces.")
	}
	if len(scope) == 0 {
		return byDefault, nil
	}
	for _, token := range scope {
		if !slices.Contains(allowed, token) {
			return nil, refusal.New(refusal.BadScope, audit.ReasonScopeNotAllowed, "The scope "+token+" is not allowed here.")
		}
	}
	return scope, nil
}

// Grantable returns the scope that the client gets for the scope asked for in a
// login or in a grant of its own.
func (c Client) Grantable(asked string) ([]string, *refusal.Error) {
	byDefault := c.DefaultScope
	if len(byDefault) == 0 {
		byDefault = c.Scope
	}
	return Narrow(asked, c.Scope, byDefault)
}
