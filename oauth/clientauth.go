package oauth

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// credentials are the credentials that a client presented (RFC 6749 §2.3).
type credentials struct {
	id, secret string
	hasSecret  bool
	// claimed is the client that an unreadable assertion claims to be from.
	claimed string
	// named says that the settings name the client, which authenticates it.
	named bool
	// assertion is nil unless the client presented one.
	assertion *assertion
}

// readCredentials returns the client's credentials: from the Authorization
// header (basic), from the body (post, or an assertion), or only a client_id (a
// public client). A client uses one method per request (RFC 6749 §2.3).
func readCredentials(r *http.Request, f form) (credentials, *refusal.Error) {
	headers := r.Header.Values("Authorization")
	a, e := readAssertion(f)
	switch {
	case e != nil:
		return credentials{claimed: claimedClient(f, a)}, e
	case len(headers) > 1:
		return credentials{}, refusal.New(refusal.Malformed, audit.ReasonRepeatedAuthorization, "The Authorization header is given more than once.")
	case a != nil && (len(headers) > 0 || f.get("client_secret") != ""):
		return credentials{}, refusal.New(refusal.Malformed, audit.ReasonTwoClientMethods, "Authenticate the client by its assertion or by a secret, not both.")
	case a != nil:
		if id := f.get("client_id"); id != "" && id != a.client {
			return credentials{}, refusal.New(refusal.Malformed, audit.ReasonTwoClients, "The client_id is not the one of the client assertion.")
		}
		return credentials{id: a.client, assertion: a}, nil
	case len(headers) == 0:
		c := credentials{id: f.get("client_id"), secret: f.get("client_secret")}
		c.hasSecret = c.secret != ""
		if c.id == "" {
			return c, clientRefused(audit.ReasonNoClient)
		}
		return c, checkClientID(c.id)
	case f.get("client_secret") != "":
		return credentials{}, refusal.New(refusal.Malformed, audit.ReasonTwoClientMethods, "Authenticate the client in the header or in the body, not both.")
	}
	c, ok := parseBasic(headers[0])
	if !ok {
		return c, clientRefused(audit.ReasonMalformedBasic)
	}
	if id := f.get("client_id"); id != "" && id != c.id {
		return c, refusal.New(refusal.Malformed, audit.ReasonTwoClients, "The client_id in the body is not the one in the header.")
	}
	return c, checkClientID(c.id)
}

// parseBasic parses an Authorization header of RFC 7617 whose two halves are
// form-encoded (RFC 6749 §2.3.1).
func parseBasic(header string) (credentials, bool) {
	scheme, encoded, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Basic") {
		return credentials{}, false
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimLeft(encoded, " "))
	if err != nil {
		return credentials{}, false
	}
	user, password, ok := strings.Cut(string(raw), ":")
	if !ok {
		return credentials{}, false
	}
	id, err := url.QueryUnescape(user)
	if err != nil {
		return credentials{}, false
	}
	secret, err := url.QueryUnescape(password)
	if err != nil {
		return credentials{}, false
	}
	return credentials{id: id, secret: secret, hasSecret: secret != ""}, true
}

// ValidClientID reports whether id can be a client's id: 1 to 128 visible ASCII
// characters or spaces (RFC 6749, appendix A.1).
func ValidClientID(id string) bool {
	for i := range len(id) {
		if id[i] < ' ' || id[i] > '~' {
			return false
		}
	}
	return id != "" && len(id) <= 128
}

func checkClientID(id string) *refusal.Error {
	if !ValidClientID(id) {
		return clientRefused(audit.ReasonMalformedClientID)
	}
	return nil
}

// claimedClient returns the client that an unreadable assertion claims to be
// from, or ""; a is nil if nothing of the assertion could be read.
func claimedClient(f form, a *assertion) string {
	id := f.get("client_id")
	if a != nil {
		id = a.client
	}
	if !ValidClientID(id) {
		return ""
	}
	return id
}

// tellClaim notes in the event's detail which client an unreadable assertion
// claims to be from. A claim is not the event's client.
func (c credentials) tellClaim(event *audit.Event) {
	if c.claimed != "" {
		event.Detail = "claims to be the client " + c.claimed
	}
}

// authenticateClient returns the client that made the request. It sets the
// event's client, or its claim.
func (s *Service) authenticateClient(ctx context.Context, r *http.Request, f form, event *audit.Event) (Client, *refusal.Error) {
	c, e := readCredentials(r, f)
	if e != nil {
		c.tellClaim(event)
		return Client{}, e
	}
	client, e := s.authenticate(ctx, c)
	event.ClientID = client.ID
	return client, e
}

// authenticate returns the client that the credentials name, if they prove it.
// It verifies and spends an assertion.
func (s *Service) authenticate(ctx context.Context, c credentials) (Client, *refusal.Error) {
	client, err := s.store.ClientByID(ctx, c.id)
	if err != nil && !errors.Is(err, ErrNoClient) {
		return Client{ID: c.id}, refusal.Undecided(audit.ReasonStore, err)
	}
	if c.assertion != nil && client.hasKeys() && !client.Disabled {
		if e := s.checkAssertion(ctx, c.assertion, client); e != nil {
			return Client{ID: c.id}, e
		}
		c.assertion.verified = true
	}
	if e := c.prove(client); e != nil {
		return Client{ID: c.id}, e
	}
	return client, nil
}

// prove checks the credentials against the record of the client that they name,
// or the zero Client if there is none. An assertion counts only after
// authenticate has verified it. A client with keys must present an assertion.
func (c credentials) prove(client Client) *refusal.Error {
	switch {
	case client.ID == "":
		return clientRefused(audit.ReasonUnknownClient)
	case c.named && client.Disabled:
		return clientRefused(audit.ReasonDisabledClient)
	case c.named:
		return nil
	case client.Public && (c.hasSecret || c.assertion != nil):
		return clientRefused(audit.ReasonSecretOfPublicClient)
	case client.hasKeys() && c.assertion == nil:
		return clientRefused(audit.ReasonNoAssertion)
	case !client.hasKeys() && c.assertion != nil:
		return clientRefused(audit.ReasonClientWithoutKeys)
	case !client.Public && c.assertion == nil && !client.hasSecret(c.secret):
		return clientRefused(audit.ReasonWrongClientSecret)
	case client.Disabled:
		return clientRefused(audit.ReasonDisabledClient)
	case c.assertion != nil && !c.assertion.verified:
		return clientRefused(audit.ReasonWrongAssertionKey)
	}
	return nil
}
