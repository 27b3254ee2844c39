// Package clients knows the registered clients: what each may ask for, and how it
// proves that it is itself.
package clients

import (
	"time"

	"github.com/keyturn/keyturn/internal/decision"
)

// Client is a registered OAuth client (RFC 6749 §2).
type Client struct {
	// ID is the client_id.
	ID string
	// Name is what people know the client by, or empty.
	Name string
	// Public clients have no secret (RFC 6749 §2.1).
	Public bool
	// SecretHash is the SHA-256 of the secret; nil for clients without one.
	// The secret is 256 random bits, so one plain hash keeps it safe.
	SecretHash []byte
	// JWKS is the client's own JWK set (RFC 7517), JWKSURI the https URL where
	// it publishes one; at most one of them is set. A client with either
	// authenticates by private_key_jwt and in no other way.
	JWKS    string
	JWKSURI string
	// Grants are the grant types that the client may use.
	Grants []string
	// RedirectURIs are where the answers of the authorization endpoint may go.
	RedirectURIs []string
	// PostLogoutRedirectURIs are where users may be sent after they have logged out.
	PostLogoutRedirectURIs []string
	// BackchannelLogoutURI is where the client is told of sessions that ended (OpenID
	// Connect Back-Channel Logout 1.0), or empty.
	BackchannelLogoutURI string
	// Scope lists what the client may ask for, DefaultScope what it gets where
	// it asks for nothing (empty: all of Scope); Audience the resource servers
	// that its tokens may be for.
	Scope        []string
	DefaultScope []string
	Audience     []string
	// Introspects lists the audiences whose tokens the client may ask about
	// (RFC 7662 §4); empty means those of Audience.
	Introspects []string
	// TokenEndpointAudience lets the client's assertions be made for the URL of
	// the token endpoint, and not for the issuer alone.
	TokenEndpointAudience bool
	// DPoPBound has every token of the client bound to a key of its own, of which it
	// has to send a proof (dpop_bound_access_tokens, RFC 9449 §5.2).
	DPoPBound bool
	// ThirdParty clients are somebody else's: their users are asked before they get
	// anything.
	ThirdParty bool
	// RequiresPAR has the client push every authorization request
	// (require_pushed_authorization_requests, RFC 9126 §6).
	RequiresPAR bool
	// RequireFactor has nobody log in to the client without a second factor.
	// PasswordAlone opens accounts with a second factor, or that have to have one, by
	// the password grant without it: the grant cannot ask for a code.
	RequireFactor, PasswordAlone bool
	// Claims names what the client's tokens say of their user, of what the
	// user's account holds: users.RolesClaim and custom claims.
	Claims []string
	// SigningAlg is the algorithm that the client's access tokens are signed
	// with; empty means the deployment's default.
	SigningAlg string
	// Lifetimes; zero means the deployment's.
	AccessTTL      time.Duration
	RefreshIdleTTL time.Duration
	RefreshTTL     time.Duration
	// RetryWindow is the client's own; zero means the deployment's.
	RetryWindow RetryWindow
	// Disabled clients are refused everything.
	Disabled bool
	// Times are UTC with milliseconds.
	CreatedAt time.Time
	UpdatedAt time.Time
	// Held is what the client holds for the decisions on it.
	decision.Held
}

// hasKeys reports whether the client authenticates with keys of its own
// (private_key_jwt, RFC 7523 §2.2).
func (c Client) hasKeys() bool { return c.JWKS != "" || c.JWKSURI != "" }

// AuthMethod is how the client authenticates, by its name in the registry of
// RFC 7591 §2. A client with a secret may send it by either of two methods; the
// first is named.
func (c Client) AuthMethod() string {
	switch {
	case c.Public:
		return "none"
	case c.hasKeys():
		return "private_key_jwt"
	}
	return "client_secret_basic"
}
