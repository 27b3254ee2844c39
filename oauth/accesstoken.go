package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/strictjson"
)

// accessTokenType is the typ of an access token (RFC 9068 §2.1).
const accessTokenType = "at+jwt"

// claims are the claims of an access token (RFC 9068 §2.2).
type claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience audience `json:"aud"`
	Expiry   int64    `json:"exp"`
	IssuedAt int64    `json:"iat"`
	ID       string   `json:"jti"`
	ClientID string   `json:"client_id"`
	Scope    string   `json:"scope,omitempty"`
	AuthTime int64    `json:"auth_time,omitempty"`
	Methods  []string `json:"amr,omitempty"`
	Class    string   `json:"acr,omitempty"`
	Session  string   `json:"sid,omitempty"`
	Email    string   `json:"email,omitempty"`
	// EmailVerified is set together with Email.
	EmailVerified *bool `json:"email_verified,omitempty"`
	// Confirmation names the key that the token is bound to.
	Confirmation *confirmation `json:"cnf,omitempty"`

	// user are the claims about the user that the client's registration names,
	// for a token to mint. payload is the payload of a checked token.
	user    members
	payload []byte
}

// audience is encoded as a string if it is one value and as a list if it is
// several (RFC 7519 §4.1.3), the form that most libraries read.
type audience []string

func (a audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// setEmail sets the user's address, as verified or not: readers must not identify two
// accounts by one that is not.
func (c *claims) setEmail(address string, verified bool) {
	if c.Email = address; address != "" {
		c.EmailVerified = &verified
	}
}

func (c claims) hasScope(token string) bool {
	return slices.Contains(strings.Fields(c.Scope), token)
}

// minted is a signed access token and its properties for the answer and the
// event.
type minted struct {
	token     string
	kind      string
	id, kid   string
	expiresIn time.Duration
}

// errStaleKeys means that this replica has not read the keys for so long that
// its signatures would not be reliable.
var errStaleKeys = errors.New("the signing keys have not been read from the store lately")

// mint signs c for at most ttl from now. No token outlives the planned time of
// its signing key in the JWKS (K3).
func (s *Service) mint(c claims, client clients.Client, now time.Time) (minted, error) {
	ttl := s.settings.AccessTTL
	if client.AccessTTL > 0 {
		ttl = min(ttl, client.AccessTTL)
	}
	ttl = min(ttl, s.ring.TokenTTL())
	if ttl <= 0 {
		return minted{}, errStaleKeys
	}
	c.Issuer = s.settings.Issuer
	if len(c.Audience) == 0 {
		c.Audience = audience{s.settings.Issuer}
	}
	c.ID = uuid.NewString()
	c.ClientID = client.ID
	c.IssuedAt = now.Unix()
	c.Expiry = now.Add(ttl).Unix()
	payload, err := json.Marshal(&c)
	if err != nil {
		return minted{}, err
	}
	token, kid, err := s.ring.SignWith(client.SigningAlg, accessTokenType, c.user.into(payload))
	if err != nil {
		return minted{}, err
	}
	return minted{token: token, kind: c.Confirmation.tokenType(), id: c.ID, kid: kid, expiresIn: time.Duration(c.Expiry-c.IssuedAt) * time.Second}, nil
}

// errNotLive means that a token is not valid, or no longer. Its text is for the
// audit log only.
type errNotLive struct{ reason audit.Reason }

func (e errNotLive) Error() string { return e.reason.String() }

// check returns the claims of a live access token: signed by a key of the ring,
// with our issuer, not expired, not issued in the future, not revoked, of a live session, for a client
// that is not disabled. Any error but errNotLive means that the store could not
// answer.
func (s *Service) check(ctx context.Context, token string) (claims, error) {
	c, err := s.checkSignature(token)
	if err != nil {
		return c, err
	}
	denied, err := s.store.TokenDenied(ctx, c.ID)
	if err != nil {
		return c, err
	}
	if denied {
		return c, errNotLive{audit.ReasonRevokedToken}
	}
	if c.Session == "" {
		return c, s.checkClient(ctx, c.ClientID)
	}
	f, err := s.store.FamilyByID(ctx, c.Session)
	switch {
	case errors.Is(err, ErrNoFamily):
		return c, errNotLive{audit.ReasonUnknownSession}
	case err != nil:
		return c, err
	case !f.RevokedAt.IsZero():
		return c, errNotLive{audit.ReasonEndedSession}
	}
	return c, nil
}

func (s *Service) checkClient(ctx context.Context, id string) error {
	client, err := s.store.ClientByID(ctx, id)
	switch {
	case errors.Is(err, clients.ErrNotFound):
		return errNotLive{audit.ReasonUnknownClient}
	case err != nil:
		return err
	case client.Disabled:
		return errNotLive{audit.ReasonDisabledClient}
	}
	return nil
}

// checkSignature is check without the store.
func (s *Service) checkSignature(token string) (claims, error) {
	payload, _, err := s.ring.Verify(token, accessTokenType)
	if err != nil {
		return claims{}, errNotLive{audit.ReasonBadToken}
	}
	var c claims
	if err := strictjson.Unmarshal(payload, &c); err != nil {
		return claims{}, errNotLive{audit.ReasonBadToken}
	}
	c.payload = payload
	switch {
	case c.Issuer != s.settings.Issuer:
		return c, errNotLive{audit.ReasonForeignIssuer}
	case s.now().Unix() >= c.Expiry:
		return c, errNotLive{audit.ReasonExpiredToken}
	case s.families.ahead(time.Unix(c.IssuedAt, 0)):
		return c, errNotLive{audit.ReasonFutureToken}
	}
	return c, nil
}
