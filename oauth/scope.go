package oauth

import (
	"net/url"
	"slices"
	"strings"
)

// maxScopes bounds how many scope tokens a request may name.
const maxScopes = 100

// ParseScope splits a scope string into its tokens, without repetition, in the
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

// narrow returns what is granted of the scope asked for: all that is allowed
// where nothing is asked, and never anything that is not allowed.
func narrow(asked string, allowed []string) ([]string, *Error) {
	scope, ok := ParseScope(asked)
	if !ok {
		return nil, refused(invalidScope, "malformed_scope", "The parameter scope is malformed.")
	}
	if len(scope) == 0 {
		return allowed, nil
	}
	for _, token := range scope {
		if !slices.Contains(allowed, token) {
			return nil, refused(invalidScope, "scope_not_allowed", "The scope "+token+" is not allowed here.")
		}
	}
	return scope, nil
}

// target returns the audience of the token asked for (RFC 8707 §2): all that
// is allowed where no resource is named.
func target(resources, allowed []string) ([]string, *Error) {
	var audience []string
	for _, resource := range resources {
		if resource == "" {
			continue
		}
		if u, err := url.Parse(resource); err != nil || u.Fragment != "" || !slices.Contains(allowed, resource) {
			return nil, refused(invalidTarget, "resource_not_allowed", "A resource asked for is not one that this client may have tokens for.")
		}
		if !slices.Contains(audience, resource) {
			audience = append(audience, resource)
		}
	}
	if len(audience) == 0 {
		return allowed, nil
	}
	return audience, nil
}
