package clients

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// Authenticator finds out which client a request is from. Safe for concurrent use.
type Authenticator struct {
	Store Store
	Keys  *Keys
	// Spend reports whether the id, which is remembered until then, is spent for the
	// first time.
	Spend func(ctx context.Context, id string, until time.Time) (first bool, err error)
	// Issuer and TokenEndpoint are the two audiences that an assertion may have.
	Issuer, TokenEndpoint string
	// ClockSkew is how far a client's clock may be off.
	ClockSkew time.Duration
	Now       func() time.Time
}

// AuthenticateRequest returns the client that made the request. It sets the
// event's client, or its claim.
func (a *Authenticator) AuthenticateRequest(ctx context.Context, r *http.Request, f url.Values, event *audit.Event) (Client, *refusal.Error) {
	c, e := ReadCredentials(r, f)
	if e != nil {
		c.TellClaim(event)
		return Client{}, e
	}
	client, e := a.Authenticate(ctx, c)
	event.ClientID = client.ID
	return client, e
}

// Authenticate returns the client that the credentials name, if they prove it.
// It verifies and spends an assertion.
func (a *Authenticator) Authenticate(ctx context.Context, c Credentials) (Client, *refusal.Error) {
	client, err := a.Store.ClientByID(ctx, c.ID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Client{ID: c.ID}, refusal.Undecided(audit.ReasonStore, err)
	}
	if c.assertion != nil && client.hasKeys() && !client.Disabled {
		if e := a.checkAssertion(ctx, c.assertion, client); e != nil {
			return Client{ID: c.ID}, e
		}
		c.assertion.verified = true
	}
	if e := c.Prove(client); e != nil {
		return Client{ID: c.ID}, e
	}
	return client, nil
}
