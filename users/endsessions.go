package users

import (
	"context"

	"github.com/keyturn/keyturn/internal/audit"
)

// EndSessions ends every session of the account uid but the one named except
// (may be empty), on an operator's behalf, and returns how many there were. The
// error is ErrNotFound, ErrNoSession (except does not live, so nothing was
// ended), ErrNotRecorded or the store's. Sessions once ended stay ended,
// recorded or not.
func (s *Service) EndSessions(ctx context.Context, uid, except string) (int, error) {
	event := audit.Event{Action: audit.SessionsEnded, UserID: uid, Reason: audit.ReasonLoggedOutByOperator}
	u, err := s.Store.UserByID(ctx, uid)
	event.UserEmail = u.Email
	if err == nil && except != "" {
		event.Detail = "all but session " + except
		var live bool
		if live, err = s.Sessions.SessionOf(ctx, uid, except); err == nil && !live {
			err = ErrNoSession
		}
	}
	if err == nil {
		event.Count, err = s.Sessions.EndSessionsOf(ctx, uid, except, endLoggedOut)
	}
	return event.Count, s.conclude(ctx, event, err)
}

// EndSession ends one session of the account uid, on an operator's behalf, and
// reports whether it lived; repeating it is harmless. The error is ErrNotFound,
// ErrNoSession, ErrNotRecorded or the store's. A session once ended stays
// ended, recorded or not.
func (s *Service) EndSession(ctx context.Context, uid, id string) (bool, error) {
	event := audit.Event{Action: audit.SessionEnded, UserID: uid, SessionID: id, Reason: audit.ReasonLoggedOutByOperator}
	u, err := s.Store.UserByID(ctx, uid)
	event.UserEmail = u.Email
	if err == nil {
		_, err = s.Sessions.SessionOf(ctx, uid, id)
	}
	ended := false
	if err == nil {
		ended, err = s.Sessions.EndSession(ctx, id, endLoggedOut)
	}
	if ended {
		event.Count = 1
	}
	return ended, s.conclude(ctx, event, err)
}
