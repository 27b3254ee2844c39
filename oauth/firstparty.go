package oauth

import (
	"net/http"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/refusal"
)

// The deployment's own apps act through the client that the setting
// first_party_client names, which authenticates it. Package firstparty has their
// routes.

// Tokens are the result of a login or a refresh. The apps do not get the scope,
// which is their client's.
type Tokens struct {
	TokenAnswer
	UserID string
	// Email is the user's address, after a login.
	Email         string
	EmailVerified bool
	// Recovery are the recovery codes that a first second factor came with.
	Recovery []string
}

// FirstPartyClient returns the id of the client of the deployment's own apps.
func (s *Service) FirstPartyClient() string { return s.settings.FirstPartyClient }

// LogIn starts a session of the user with that address and password. It binds
// the session to the key of the request's DPoP proof, if there is one.
func (s *Service) LogIn(r *http.Request, email, password string) (Tokens, *refusal.Error) {
	q := s.firstPartyRequest(clients.GrantPassword)
	q.username, q.password = email, password
	return s.firstPartyGrant(r, q)
}

// Refresh continues the session of a refresh token.
func (s *Service) Refresh(r *http.Request, token string) (Tokens, *refusal.Error) {
	q := s.firstPartyRequest(clients.GrantRefreshToken)
	q.refreshToken = token
	return s.firstPartyGrant(r, q)
}

func (s *Service) firstPartyRequest(grant string) *tokenRequest {
	id := s.settings.FirstPartyClient
	return &tokenRequest{
		grantType: grant, by: clients.Credentials{ID: id, Named: true},
		event: audit.Event{Action: audit.TokenRefused, Grant: grant, ClientID: id},
	}
}

func (s *Service) firstPartyGrant(r *http.Request, q *tokenRequest) (Tokens, *refusal.Error) {
	var e *refusal.Error
	q.proof, e = s.readProof(r, "")
	out, e := s.grant(r.Context(), q, e)
	if e != nil {
		return Tokens{}, e
	}
	tokens := Tokens{TokenAnswer: out.answer(), UserID: out.family.UserID, Email: out.email, EmailVerified: out.emailVerified, Recovery: out.recovery}
	tokens.Scope = ""
	return tokens, nil
}

// Caller identifies the access token of a first-party request.
type Caller struct {
	UserID, SessionID, ClientID, TokenID string
	// AuthTime is when the user logged in.
	AuthTime time.Time
}

// Caller returns the caller of a first-party route. It requires a live access
// token of the first-party client, and writes the event of a refusal.
func (s *Service) Caller(r *http.Request) (Caller, *refusal.Error) {
	c, e := s.bearer(r, func(c claims) *refusal.Error {
		if c.Session == "" || c.ClientID != s.settings.FirstPartyClient {
			return refusal.New(refusal.BeyondToken, audit.ReasonForeignClient, "")
		}
		return s.forIssuer(c)
	})
	if e != nil {
		return Caller{}, e
	}
	return Caller{UserID: c.Subject, SessionID: c.Session, ClientID: c.ClientID, TokenID: c.ID, AuthTime: time.Unix(c.AuthTime, 0)}, nil
}
