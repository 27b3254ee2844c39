package oauth

import (
	"context"
	"errors"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/refusal"
)

// refreshTokenGrant serves RFC 6749 §6.
var refreshTokenGrant = grant{name: clients.GrantRefreshToken, provesClient: true, decide: (*Service).refreshToken}

func (s *Service) refreshToken(ctx context.Context, q *tokenRequest) (issued, *refusal.Error) {
	token, err := s.families.tokens.parseToken(q.refreshToken)
	if err != nil {
		return issued{}, s.refuseUnread(ctx, q, err)
	}
	r := &refresh{families: s.families, ask: q, token: token, from: audit.RequestFrom(ctx)}
	r.end = func(ctx context.Context, dead *deadToken) error { return s.endReused(ctx, dead, &q.event) }
	successor, err := r.run(ctx)
	if err != nil {
		return issued{}, refreshRefused(err, &q.event)
	}
	q.event.UserID, q.event.SessionID = r.family.UserID, r.family.ID
	q.event.HasGeneration, q.event.Generation, q.event.Presented = true, r.family.Generation, r.token.generation
	undo := func(ctx context.Context) {
		ctx, cancel := audit.Outlast(ctx)
		defer cancel()
		if err := s.families.takeBack(ctx, r); err != nil {
			s.OnError(ctx, err)
		}
	}
	out, e := s.issue(&r.family, r.client, q.proof, r.scope, r.audience)
	if e == nil {
		e = s.identify(&out, q, r.client, profile{})
	}
	if e != nil {
		undo(ctx)
		return issued{}, e
	}
	q.event.Action = audit.TokenRefreshed
	if r.retried() {
		q.event.Reason = audit.ReasonRetry
	}
	out.carry(successor, r.family, s.now())
	out.undo = undo
	return out, nil
}

// refuseUnread refuses what is not a refresh token of ours, which leads to no
// family; but first whoever is not the client that it says it is.
func (s *Service) refuseUnread(ctx context.Context, q *tokenRequest, cause error) *refusal.Error {
	r := &refresh{families: s.families, ask: q}
	var err error
	if r.client, err = s.store.ClientByID(ctx, q.by.ID); err == nil || errors.Is(err, clients.ErrNotFound) {
		err = r.checkClient()
	}
	switch {
	case err != nil:
		return refusalOf(err)
	case q.refreshToken == "":
		return refusal.New(refusal.Malformed, audit.ReasonNoRefreshToken, "The parameter refresh_token is missing.")
	}
	return (&deadToken{reason: refusalReason(cause)}).tell(&q.event)
}

func refreshRefused(err error, event *audit.Event) *refusal.Error {
	if dead, ok := errors.AsType[*deadToken](err); ok {
		return dead.tell(event)
	}
	return refusalOf(err)
}

// endReused ends the family of a token that came from who must not have it (F3),
// durably, also for a thief who hangs up; with the event, unless another has
// ended it meanwhile.
func (s *Service) endReused(ctx context.Context, dead *deadToken, event *audit.Event) error {
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	reuse := *event
	dead.tell(&reuse)
	reuse.Outcome, reuse.Reason = audit.Failure, dead.reason
	notice := s.users.ReuseNotice(ctx, dead.family.UserID, dead.family.ID, s.ClientName(ctx, dead.family.ClientID), s.now(), reuse.Previous)
	told, ended, err := s.sessions().end(ctx, s.Audit, dead.family, dead.reason.String(), reuse, notice)
	if ended {
		*event = told
	}
	return err
}
