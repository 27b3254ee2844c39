package oauth

import (
	"context"
	"errors"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/refusal"
)

// refreshGrant serves RFC 6749 §6 for the client named clientID if prove accepts
// its record. The client is read, and proved, in the one step that moves the
// family on: so a refresh costs one visit to the store, and a client that is
// disabled meanwhile gets nothing.
func (s *Service) refreshGrant(ctx context.Context, clientID string, prove func(Client) *refusal.Error, a ask, token string, event *audit.Event) (issued, *refusal.Error) {
	admits := func(client Client) error {
		if e := prove(client); e != nil {
			return e
		}
		if e := s.mayUse(client, GrantRefreshToken); e != nil {
			return e
		}
		return nil
	}
	p, err := s.families.tokens.parseRefreshToken(token)
	if err != nil {
		return issued{}, s.refuseUnread(ctx, clientID, admits, token, err, event)
	}
	var scope, aud []string
	// Apart, or the closure would keep all of a.
	asked, resources := a.scope, a.resources
	end := func(ctx context.Context, no *deadToken) error { return s.endReused(ctx, no, event) }
	out, err := s.families.refresh(ctx, p, request{clientID: clientID, admits: admits, end: end, fits: func(f Family, by Client) error {
		var e *refusal.Error
		// What was taken from the client since the login is gone.
		still := kept(f.Scope, by.Scope)
		if scope, e = narrow(asked, still, still); e != nil {
			return e
		}
		reach := kept(f.Audience, by.Audience)
		if len(reach) == 0 && len(f.Audience) > 0 {
			return refusal.New(refusal.BadGrant, audit.ReasonAudienceWithdrawn, "The client may have no more tokens for what this session was for.")
		}
		if aud, e = target(resources, reach); e != nil {
			return e
		}
		return nil
	}})
	if err != nil {
		return issued{}, refreshRefused(err, event)
	}
	family := out.family
	event.UserID, event.SessionID = family.UserID, family.ID
	event.HasGeneration, event.Generation, event.Presented = true, family.Generation, family.Generation-1
	undo := func(ctx context.Context) {
		ctx, cancel := audit.Outlast(ctx)
		defer cancel()
		if err := s.families.takeBack(ctx, out); err != nil {
			s.onError(ctx, err)
		}
	}
	answer, e := s.issue(family, out.client, scope, aud)
	if e != nil {
		undo(ctx)
		return issued{}, e
	}
	event.Action = audit.TokenRefreshed
	if out.retry() {
		event.Reason = audit.ReasonRetry
	}
	answer.refresh, answer.undo = out.token, undo
	return answer, nil
}

// refuseUnread refuses what is not a refresh token of ours, which leads to no
// family; but first whoever is not the client that it says it is.
func (s *Service) refuseUnread(ctx context.Context, clientID string, admits func(Client) error, token string, cause error, event *audit.Event) *refusal.Error {
	client, err := s.store.ClientByID(ctx, clientID)
	if err == nil || errors.Is(err, ErrNoClient) {
		err = admits(client)
	}
	switch {
	case err != nil:
		return refreshRefused(err, event)
	case token == "":
		return refusal.New(refusal.Malformed, audit.ReasonNoRefreshToken, "The parameter refresh_token is missing.")
	}
	return refreshRefused(&deadToken{reason: refusalReason(cause)}, event)
}

// refreshRefused answers every refresh token that does not count alike; the
// audit log is told which it was.
func refreshRefused(err error, event *audit.Event) *refusal.Error {
	var no *deadToken
	if !errors.As(err, &no) {
		return refusalOf(err)
	}
	if !no.family.RevokedAt.IsZero() {
		event.Detail = "the session was ended before: " + no.family.RevokeReason
	}
	if no.family.ID != "" {
		event.UserID, event.SessionID = no.family.UserID, no.family.ID
		event.HasGeneration, event.Generation, event.Presented = true, no.family.Generation, no.presented
	}
	if no.reuse {
		no.describeReuse(event)
	}
	if no.unended != nil {
		if !decision.Concluded(no.unended) {
			event.Detail = no.reason.String() + ": the session is still to be ended"
		}
		return refusal.Undecided(audit.ReasonStore, no.unended)
	}
	return refusal.New(refusal.BadGrant, no.reason, "")
}

// describeReuse tells the audit log of both sides that hold a token.
func (no *deadToken) describeReuse(event *audit.Event) {
	event.Action = audit.TokenReuse
	event.UserID, event.SessionID = no.family.UserID, no.family.ID
	event.HasGeneration, event.Generation, event.Presented = true, no.family.Generation, no.presented
	event.Previous = audit.Use{At: no.family.RotatedAt, IP: no.family.LastIP, UserAgent: no.family.LastUserAgent}
}

// endReused ends the family of a token that came from who must not have it (F3);
// with the event, unless another has ended it meanwhile.
func (s *Service) endReused(ctx context.Context, no *deadToken, event *audit.Event) error {
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	reuse := *event
	no.describeReuse(&reuse)
	reuse.Outcome, reuse.Reason = audit.Failure, no.reason
	told, ended, err := s.sessions().end(ctx, s.audit, no.family, no.reason.String(), reuse)
	if ended {
		*event = told
	}
	return err
}
