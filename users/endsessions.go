package users

import (
	"context"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
)

// EndSessions ends every session of the account uid but except (may be empty),
// for an operator. It returns the number of ended sessions. The error is
// ErrNotFound, ErrNoSession (except is not live; nothing was ended), ErrConflict,
// decision.ErrOwed (the sessions have ended; only the event is missing),
// decision.ErrUnfinished or from the store.
func (s *Service) EndSessions(ctx context.Context, uid, except string) (int, error) {
	event := audit.Event{Action: audit.SessionsEnded, Reason: audit.ReasonLoggedOutByOperator, SessionID: except}
	if except != "" {
		event.Detail = "all but session " + except
	}
	return s.endSessions(ctx, event, uid)
}

// EndOtherSessions is EndSessions for the user, whose request came in the given
// session and from the given client.
func (s *Service) EndOtherSessions(ctx context.Context, uid, session, clientID string) (int, error) {
	return s.endSessions(ctx, audit.Event{
		Action: audit.SessionsEnded, Reason: audit.ReasonEndedByUser, SessionID: session, ClientID: clientID,
	}, uid)
}

func (s *Service) endSessions(ctx context.Context, event audit.Event, uid string) (int, error) {
	_, e, err := s.change(ctx, event, uid, false, func(_ *User, e *audit.Event) error {
		if e.SessionID == "" {
			return nil
		}
		live, err := s.Sessions.SessionOf(ctx, uid, e.SessionID)
		if err == nil && !live {
			err = ErrNoSession
		}
		return err
	})
	return e.Count, err
}

// EndSession ends one session of the account uid, for an operator, and reports
// whether it was live; repeating it is harmless. The error is ErrNotFound,
// ErrNoSession, decision.ErrOwed (the session has ended; only the event is
// missing) or from the store.
func (s *Service) EndSession(ctx context.Context, uid, id string) (bool, error) {
	event := audit.Event{Action: audit.SessionEnded, UserID: uid, SessionID: id, Reason: audit.ReasonLoggedOutByOperator, Outcome: audit.Success}
	u, err := s.Store.UserByID(ctx, uid)
	event.UserEmail = u.Email
	ended := false
	if err == nil {
		ended, err = s.Sessions.EndSession(ctx, event)
	}
	if err == nil || decision.Concluded(err) {
		return ended, err
	}
	return ended, s.conclude(ctx, event, err)
}
