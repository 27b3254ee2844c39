package oauth

import (
	"context"
	"errors"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// Users know a family as a session, which they began by logging in.

// maxSessions bounds how many sessions are listed at once.
const maxSessions = 100

// Sessions lists the caller's live sessions, newest first.
func (s *Service) Sessions(ctx context.Context, by Caller) ([]Family, *refusal.Error) {
	event := audit.Event{Action: audit.SessionsListed, UserID: by.UserID, ClientID: by.ClientID, SessionID: by.SessionID}
	families, err := s.store.FamiliesOfUser(ctx, by.UserID, s.now(), maxSessions)
	event.Count = len(families)
	if e := s.Conclude(ctx, event, refusalOf(err)); e != nil {
		return nil, e
	}
	return families, nil
}

// LogOut ends the session of the access token.
func (s *Service) LogOut(ctx context.Context, by Caller) *refusal.Error {
	return s.endSession(ctx, by, by.SessionID, audit.ReasonLogout)
}

// EndSession ends one of the caller's sessions.
func (s *Service) EndSession(ctx context.Context, by Caller, id string) *refusal.Error {
	return s.endSession(ctx, by, id, audit.ReasonEndedByUser)
}

func (s *Service) endSession(ctx context.Context, by Caller, id string, reason audit.Reason) *refusal.Error {
	event := audit.Event{
		Action: audit.SessionEnded, Outcome: audit.Success, UserID: by.UserID, ClientID: by.ClientID, SessionID: id, Reason: reason,
	}
	f, err := s.store.FamilyByID(ctx, id)
	if err == nil && f.UserID != by.UserID {
		err = ErrNoFamily
	}
	if err == nil {
		var told audit.Event
		told, _, err = s.sessions().end(ctx, s.Audit, f, reason.String(), event, nil)
		event.ID = told.ID // empty if the session had ended before
	}
	if errors.Is(err, ErrNoFamily) {
		event.SessionID = "" // it is any text that the caller sent
		return s.Conclude(ctx, event, refusal.New(refusal.NotFound, audit.ReasonUnknownSession, "You have no such session."))
	}
	return s.Conclude(ctx, event, refusalOf(err))
}
