package oauth

import (
	"net/url"
	"slices"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/refusal"
)

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
func (s Settings) reach(c clients.Client, scope []string) []string {
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
