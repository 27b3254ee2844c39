package users

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// ChangeNames changes the first and the last name of the account uid, for its user, whose
// request came in the given session; nil leaves one as it is. What one logs in by is
// changed by an operator. The error is as UpdateProfile's.
func (s *Service) ChangeNames(ctx context.Context, uid, session string, first, last *string) (User, error) {
	return s.updateProfile(ctx, audit.Event{Action: audit.UserChanged, SessionID: session}, uid, Profile{FirstName: first, LastName: last})
}

// Close deletes the account uid for its user and ends its sessions: at once, or where
// there is a DeletionGrace by disabling it until then. It returns when it will be deleted,
// or the zero time. Only an operator takes that back, by Enable: a password opens the
// account no more. The error is as Delete's.
func (s *Service) Close(ctx context.Context, uid string) (time.Time, error) {
	event := audit.Event{Action: audit.UserClosed}
	if s.DeletionGrace == 0 {
		return time.Time{}, s.delete(ctx, audit.Event{Action: audit.UserDeleted, Reason: audit.ReasonEndedByUser}, uid)
	}
	u, _, err := s.change(ctx, event, uid, false, func(u *User, e *audit.Event) (err error) {
		u.disable()
		u.DeleteAt = s.now().Add(s.DeletionGrace)
		e.Detail = "to be deleted at " + u.DeleteAt.Format(time.RFC3339)
		e.Count, err = s.Sessions.CountSessionsOf(ctx, uid, "")
		return err
	})
	return u.DeleteAt, err
}

// DeleteClosed deletes the accounts that their users closed and whose grace was over at
// the time given, and returns their number. It goes on after one that fails. Call it
// about every minute on every replica.
func (s *Service) DeleteClosed(ctx context.Context, at time.Time) (int, error) {
	due, err := s.Store.UsersToDelete(ctx, at, settleBatch)
	if err != nil {
		return 0, fmt.Errorf("find accounts to delete: %w", err)
	}
	deleted := 0
	var errs []error
	for _, u := range due {
		event := audit.Event{Action: audit.UserDeleted, Reason: audit.ReasonGraceOver}
		_, _, err := s.revise(ctx, event, u.UID, true, func(u *User, _ *audit.Event) error {
			if u.DeleteAt.IsZero() || u.DeleteAt.After(at) {
				return ErrConflict // an operator took it back
			}
			return nil
		})
		switch {
		case err == nil:
			deleted++
		case !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrConflict): // another replica was faster
			errs = append(errs, fmt.Errorf("delete account %s: %w", u.UID, err))
		}
	}
	return deleted, errors.Join(errs...)
}
