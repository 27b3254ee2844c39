package clients

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// Credentials are the credentials that a client presented (RFC 6749 §2.3).
type Credentials struct {
	ID        string
	secret    string
	hasSecret bool
	// claimed is the client that an unreadable assertion claims to be from.
	claimed string
	// Named says that the settings name the client, which authenticates it.
	Named bool
	// assertion is nil unless the client presented one.
	assertion *assertion
}

// ReadCredentials returns the client's credentials: from the Authorization
// header (basic), from the body (post, or an assertion), or only a client_id (a
// public client). A client uses one method per request (RFC 6749 §2.3).
func ReadCredentials(r *http.Request, f url.Values) (Credentials, *refusal.Error) {
	headers := r.Header.Values("Authorization")
	a, e := readAssertion(f)
	switch {
	case e != nil:
		return Credentials{claimed: claimedClient(f, a)}, e
	case len(headers) > 1:
		return Credentials{}, refusal.New(refusal.Malformed, audit.ReasonRepeatedAuthorization, "The Authorization header is given more than once.")
	case a != nil && (len(headers) > 0 || f.Get("client_secret") != ""):
		return Credentials{}, refusal.New(refusal.Malformed, audit.ReasonTwoClientMethods, "Authenticate the client by its assertion or by a secret, not both.")
	case a != nil:
		if id := f.Get("client_id"); id != "" && id != a.client {
			return Credentials{}, refusal.New(refusal.Malformed, audit.ReasonTwoClients, "The client_id is not the one of the client assertion.")
		}
		return Credentials{ID: a.client, assertion: a}, nil
	case len(headers) == 0:
		c := Credentials{ID: f.Get("client_id"), secret: f.Get("client_secret")}
		c.hasSecret = c.secret != ""
		if c.ID == "" {
			return c, Refused(audit.ReasonNoClient)
		}
		return c, checkID(c.ID)
	case f.Get("client_secret") != "":
		return Credentials{}, refusal.New(refusal.Malformed, audit.ReasonTwoClientMethods, "Authenticate the client in the header or in the body, not both.")
	}
	c, ok := parseBasic(headers[0])
	if !ok {
		return c, Refused(audit.ReasonMalformedBasic)
	}
	if id := f.Get("client_id"); id != "" && id != c.ID {
		return c, refusal.New(refusal.Malformed, audit.ReasonTwoClients, "The client_id in the body is not the one in the header.")
	}
	return c, checkID(c.ID)
}

// HasAssertion reports whether the client presented an assertion.
func (c Credentials) HasAssertion() bool { return c.assertion != nil }

// parseBasic parses an Authorization header of RFC 7617 whose two halves are
// form-encoded (RFC 6749 §2.3.1).
func parseBasic(header string) (Credentials, bool) {
	scheme, encoded, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Basic") {
		return Credentials{}, false
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(strings.TrimLeft(encoded, " "))
	if err != nil {
		return Credentials{}, false
	}
	user, password, ok := strings.Cut(string(raw), ":")
	if !ok {
		return Credentials{}, false
	}
	id, err := url.QueryUnescape(user)
	if err != nil {
		return Credentials{}, false
	}
	secret, err := url.QueryUnescape(password)
	if err != nil {
		return Credentials{}, false
	}
	return Credentials{ID: id, secret: secret, hasSecret: secret != ""}, true
}

// ValidID reports whether id can be a client's id: 1 to 128 visible ASCII
// characters or spaces (RFC 6749, appendix A.1).
func ValidID(id string) bool {
	for i := range len(id) {
		if id[i] < ' ' || id[i] > '~' {
			return false
		}
	}
	return id != "" && len(id) <= 128
}

func checkID(id string) *refusal.Error {
	if !ValidID(id) {
		return Refused(audit.ReasonMalformedClientID)
	}
	return nil
}

// claimedClient returns the client that an unreadable assertion claims to be
// from, or ""; a is nil if nothing of the assertion could be read.
func claimedClient(f url.Values, a *assertion) string {
	id := f.Get("client_id")
	if a != nil {
		id = a.client
	}
	if !ValidID(id) {
		return ""
	}
	return id
}

// TellClaim notes in the event's detail which client an unreadable assertion
// claims to be from. A claim is not the event's client.
func (c Credentials) TellClaim(event *audit.Event) {
	if c.claimed != "" {
		event.Detail = "claims to be the client " + c.claimed
	}
}

// Prove checks the credentials against the record of the client that they name,
// or the zero Client if there is none. An assertion counts only after
// authenticate has verified it. A client with keys must present an assertion.
func (c Credentials) Prove(client Client) *refusal.Error {
	switch {
	case client.ID == "":
		return Refused(audit.ReasonUnknownClient)
	case c.Named && client.Disabled:
		return Refused(audit.ReasonDisabledClient)
	case c.Named:
		return nil
	case client.Public && (c.hasSecret || c.assertion != nil):
		return Refused(audit.ReasonSecretOfPublicClient)
	case client.hasKeys() && c.assertion == nil:
		return Refused(audit.ReasonNoAssertion)
	case !client.hasKeys() && c.assertion != nil:
		return Refused(audit.ReasonClientWithoutKeys)
	case !client.Public && c.assertion == nil && !client.hasSecret(c.secret):
		return Refused(audit.ReasonWrongClientSecret)
	case client.Disabled:
		return Refused(audit.ReasonDisabledClient)
	case c.assertion != nil && !c.assertion.verified:
		return Refused(audit.ReasonWrongAssertionKey)
	}
	return nil
}

// Refused returns the refusal of a client that failed to authenticate. Only
// the audit log gets the reason.
func Refused(reason audit.Reason) *refusal.Error {
	return refusal.New(refusal.BadClient, reason, "")
}
