package oauth

import (
	"net/url"
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

// narrow returns the granted part of the scope asked for: byDefault if none is
// asked for. It refuses a scope that is not allowed.
func narrow(asked string, allowed, byDefault []string) ([]string, *refusal.Error) {
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

// grantable returns the scope that the client gets for the scope asked for in a
// login or in a grant of its own.
func (c Client) grantable(asked string) ([]string, *refusal.Error) {
	byDefault := c.DefaultScope
	if len(byDefault) == 0 {
		byDefault = c.Scope
	}
	return narrow(asked, c.Scope, byDefault)
}

// target returns the audience of the token asked for (RFC 8707 §2), or everything
// allowed if no resource is named.
func target(resources, allowed []string) ([]string, *refusal.Error) {
	var audience []string
	for _, resource := range resources {
		if resource == "" {
			continue
		}
		if u, err := url.Parse(resource); err != nil || u.Fragment != "" || !slices.Contains(allowed, resource) {
			return nil, refusal.New(refusal.BadTarget, audit.ReasonResourceNotAllowed, "A resource asked for is not one that this client may have tokens for here.")
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

// reach returns the possible audiences of the client's logins with that scope.
// Keyturn's own resource endpoints are an audience too, the issuer (RFC 9068 §4).
// Logins with the scope openid include it, because UserInfo requires that scope,
// and so do those of first-party apps. Other logins include it only if the client
// is registered so.
func (s Settings) reach(c Client, scope []string) []string {
	own := c.ID == s.FirstPartyClient && c.ID != "" || slices.Contains(scope, "openid")
	if !own || len(c.Audience) == 0 || slices.Contains(c.Audience, s.Issuer) {
		return c.Audience
	}
	return append(slices.Clone(c.Audience), s.Issuer)
}

// kept returns the elements of list that are still in allowed. It returns list
// itself if that is all of them.
func kept(list, allowed []string) []string {
	withdrawn := func(s string) bool { return !slices.Contains(allowed, s) }
	if !slices.ContainsFunc(list, withdrawn) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), withdrawn)
}
