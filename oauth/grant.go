package oauth

import (
	"context"
	"slices"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/refusal"
)

// grant is one grant type. Each has a file of its own, which has all that sets
// it apart from the others.
type grant struct {
	name string
	// off refuses the grant for a whole deployment; nil means that none can
	// switch it off.
	off func(Settings) *refusal.Error
	// confidential grants are not for public clients, who cannot prove that it
	// is they who ask.
	confidential bool
	// provesClient says that decide authenticates the client itself, and asks
	// whether it may use the grant, in the one step of the store that it takes.
	provesClient bool
	decide       func(*Service, context.Context, *tokenRequest) (issued, *refusal.Error)
}

// grants is the table of the grant types: those that a client can be registered for.
var grants = []grant{authorizationCodeGrant, passwordGrant, refreshTokenGrant, clientCredentialsGrant}

// grantNamed returns the grant type of that name, the zero grant if there is
// none.
func grantNamed(name string) grant {
	for _, g := range grants {
		if g.name == name {
			return g
		}
	}
	return grant{}
}

// Grants lists the grant types that the deployment serves.
func (s Settings) Grants() []string {
	var names []string
	for _, g := range grants {
		if g.off == nil || g.off(s) == nil {
			names = append(names, g.name)
		}
	}
	return names
}

// servedGrant returns the grant type that a request names.
func servedGrant(name string) (grant, *refusal.Error) {
	g := grantNamed(name)
	switch {
	case name == "":
		return g, refusal.New(refusal.Malformed, audit.ReasonNoGrantType, "The parameter grant_type is missing.")
	case g.name == "":
		return g, refusal.New(refusal.UnsupportedGrant, audit.ReasonUnsupportedGrantType, "Use one of the grant types "+strings.Join(clients.Grants(), ", ")+".")
	}
	return g, nil
}

// servedTo refuses the grant to a client, or in a deployment, that has not got it.
func (g grant) servedTo(client clients.Client, s Settings) *refusal.Error {
	if g.off != nil {
		if e := g.off(s); e != nil {
			return e
		}
	}
	switch {
	case !slices.Contains(client.Grants, g.name):
		return refusal.New(refusal.GrantNotAllowed, audit.ReasonGrantNotAllowed, "The client is not registered for this grant type.")
	case g.confidential && client.Public:
		return refusal.New(refusal.GrantNotAllowed, audit.ReasonPublicClient, "A public client cannot use this grant type.")
	}
	return nil
}
