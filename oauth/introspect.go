package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/refusal"
)

// introspection is the answer of RFC 7662 §2.2. For a token that is not live it is
// {"active":false} and nothing else.
type introspection struct {
	Active    bool     `json:"active"`
	TokenType string   `json:"token_type,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	Subject   string   `json:"sub,omitempty"`
	Audience  audience `json:"aud,omitempty"`
	Expiry    int64    `json:"exp,omitempty"`
	IssuedAt  int64    `json:"iat,omitempty"`
	ID        string   `json:"jti,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	Scope     string   `json:"scope,omitempty"`
	AuthTime  int64    `json:"auth_time,omitempty"`
	Session   string   `json:"sid,omitempty"`
	Email     string   `json:"email,omitempty"`
	// EmailVerified is set together with Email, as in the token.
	EmailVerified *bool `json:"email_verified,omitempty"`
	// Confirmation names the key that the token is bound to (RFC 9449 §6.2).
	Confirmation *confirmation `json:"cnf,omitempty"`
	// How long a refresh token may be unused and how long the authorization lasts,
	// in seconds (draft-ietf-oauth-refresh-token-expiration-03 §7).
	RefreshTimeout         int64 `json:"refresh_token_timeout,omitempty"`
	AuthorizationExpiresIn int64 `json:"authorization_expires_in,omitempty"`

	// user are the claims about the user in the token.
	user members
}

// MarshalJSON adds the user's claims, which RFC 7662 §2.2 allows.
func (i introspection) MarshalJSON() ([]byte, error) {
	type named introspection
	object, err := json.Marshal(named(i))
	if err != nil {
		return nil, err
	}
	return i.user.into(object), nil
}

// mayAskAbout reports whether the client may introspect a live access token: one
// issued to it, or for an audience that it may ask about (RFC 7662 §4).
func mayAskAbout(client clients.Client, token claims) bool {
	about := client.Introspects
	if len(about) == 0 {
		about = client.Audience
	}
	return token.ClientID == client.ID || len(kept(token.Audience, about)) > 0
}

// Introspect is the introspection endpoint (RFC 7662), for confidential clients.
// Resource servers are clients too, and can introspect the access tokens for their
// audience. Only the client to which a refresh token was issued can introspect it.
func (s *Service) Introspect(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	event := audit.Event{Action: audit.TokenIntrospected}
	answer, e := s.introspect(ctx, r, &event)
	if e = s.Conclude(ctx, event, e); e != nil {
		writeError(w, e)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func (s *Service) introspect(ctx context.Context, r *http.Request, event *audit.Event) (introspection, *refusal.Error) {
	f, e := readForm(r)
	if e != nil {
		return introspection{}, e
	}
	client, e := s.clients.AuthenticateRequest(ctx, r, f.values, event)
	if e != nil {
		return introspection{}, e
	}
	if client.Public {
		return introspection{}, clients.Refused(audit.ReasonPublicClient)
	}
	token := f.get("token")
	switch {
	case token == "":
		return introspection{}, refusal.New(refusal.Malformed, audit.ReasonNoToken, "The parameter token is missing.")
	case strings.HasPrefix(token, refreshPrefix):
		return s.introspectRefreshToken(ctx, client, token, event)
	}
	c, err := s.check(ctx, token)
	var dead errNotLive
	switch {
	case errors.As(err, &dead):
		event.Reason = dead.reason
		return introspection{}, nil
	case err != nil:
		return introspection{}, refusal.Undecided(audit.ReasonStore, err)
	}
	event.UserID, event.SessionID, event.TokenID = c.Subject, c.Session, c.ID
	if !mayAskAbout(client, c) {
		event.Reason = audit.ReasonForeignAudience
		return introspection{}, nil
	}
	user, err := claimsIn(c.payload)
	if err != nil {
		event.Reason = audit.ReasonBadToken
		return introspection{}, nil
	}
	return introspection{
		Active: true, TokenType: c.Confirmation.tokenType(), Confirmation: c.Confirmation, Issuer: c.Issuer, Subject: c.Subject, Audience: c.Audience,
		Expiry: c.Expiry, IssuedAt: c.IssuedAt, ID: c.ID, ClientID: c.ClientID, Scope: c.Scope,
		AuthTime: c.AuthTime, Session: c.Session, Email: c.Email, EmailVerified: c.EmailVerified, user: user,
	}, nil
}

func (s *Service) introspectRefreshToken(ctx context.Context, client clients.Client, token string, event *audit.Event) (introspection, *refusal.Error) {
	family, p, err := s.families.find(ctx, token)
	var no *deadToken
	switch {
	case errors.As(err, &no):
		event.Reason = no.reason
		return introspection{}, nil
	case err != nil:
		return introspection{}, refusal.Undecided(audit.ReasonStore, err)
	}
	event.UserID, event.SessionID = family.UserID, family.ID
	now := s.now()
	switch {
	case family.ClientID != client.ID:
		event.Reason = audit.ReasonForeignClient
	case !family.RevokedAt.IsZero():
		event.Reason = audit.ReasonEndedSession
	case !family.lives(now):
		event.Reason = audit.ReasonExpiredSession
	case p.generation < family.Generation:
		event.Reason = audit.ReasonSpentToken
	default:
		return introspection{
			Active: true, TokenType: clients.GrantRefreshToken, Issuer: s.settings.Issuer, Subject: family.UserID,
			Expiry: family.IdleExpiresAt.Unix(), IssuedAt: family.RotatedAt.Unix(), ClientID: family.ClientID, Confirmation: boundTo(family.JKT),
			Scope: strings.Join(family.Scope, " "), AuthTime: family.AuthTime.Unix(), Session: family.ID,
			RefreshTimeout: int64(family.IdleExpiresAt.Sub(now).Seconds()), AuthorizationExpiresIn: int64(family.ExpiresAt.Sub(now).Seconds()),
		}, nil
	}
	return introspection{}, nil
}
