package oauth

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/refusal"
)

// Revoke is the revocation endpoint (RFC 7009). A refresh token of any
// generation ends its session; an access token is only put on the denylist. The
// answer for an unknown or invalid token is the same as for a revoked one
// (§2.2).
func (s *Service) Revoke(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	event := audit.Event{Action: audit.TokenRevoked}
	e := s.revoke(ctx, r, &event)
	if e = s.Conclude(ctx, event, e); e != nil {
		writeError(w, e)
		return
	}
	// RFC 7009 §2.2 does not define the body; some clients fail unless it is
	// JSON.
	writeObject(w, http.StatusOK, []byte("{}"))
}

func (s *Service) revoke(ctx context.Context, r *http.Request, event *audit.Event) *refusal.Error {
	f, e := readForm(r)
	if e != nil {
		return e
	}
	client, e := s.clients.AuthenticateRequest(ctx, r, f.values, event)
	if e != nil {
		return e
	}
	token := f.get("token")
	switch {
	case token == "":
		return refusal.New(refusal.Malformed, audit.ReasonNoToken, "The parameter token is missing.")
	case strings.HasPrefix(token, refreshPrefix):
		return s.revokeRefreshToken(ctx, client, token, event)
	}
	return s.revokeAccessToken(ctx, client, token, event)
}

var foreignToken = refusal.New(refusal.BadGrant, audit.ReasonForeignClient, "The token was not issued to this client.")

func (s *Service) revokeRefreshToken(ctx context.Context, client clients.Client, token string, event *audit.Event) *refusal.Error {
	family, _, err := s.families.find(ctx, token)
	var no *deadToken
	switch {
	case errors.As(err, &no):
		event.Reason = no.reason
		return nil
	case err != nil:
		return refusal.Undecided(audit.ReasonStore, err)
	}
	event.UserID, event.SessionID = family.UserID, family.ID
	if family.ClientID != client.ID {
		return foreignToken
	}
	event.Outcome = audit.Success
	told, ended, err := s.sessions().end(ctx, s.Audit, family, "revoked_by_client", *event, nil)
	if err != nil {
		return refusalOf(err)
	}
	if *event = told; !ended {
		event.Reason = audit.ReasonEndedSession
	}
	return nil
}

func (s *Service) revokeAccessToken(ctx context.Context, client clients.Client, token string, event *audit.Event) *refusal.Error {
	c, err := s.checkSignature(token)
	dead, _ := errors.AsType[errNotLive](err)
	// A token that only the wall clock takes for expired may become valid again, and one
	// that a clock issued that was ahead becomes so (T1).
	valid := err == nil || dead.reason == audit.ReasonFutureToken || dead.reason == audit.ReasonExpiredToken && s.families.confirmed().Unix() < c.Expiry
	if !valid {
		event.Reason = dead.reason
		return nil
	}
	event.UserID, event.SessionID, event.TokenID = c.Subject, c.Session, c.ID
	if c.ClientID != client.ID {
		return foreignToken
	}
	event.Outcome = audit.Success
	// The grace covers replicas whose clocks are behind.
	denied := DeniedToken{JTI: c.ID, ExpireAt: time.Unix(c.Expiry, 0).Add(purgeGrace)}
	told, err := denials(s.store, s.Audit, s.now).Decide(ctx, decision.Change[DeniedToken]{Event: *event, After: denied})
	if errors.Is(err, ErrTokenDenied) {
		event.Reason = audit.ReasonRevokedToken
		return nil
	}
	*event = told
	return refusalOf(err)
}
