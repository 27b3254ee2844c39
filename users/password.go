package users

import (
	"context"
	"errors"
	"fmt"

	"github.com/keyturn/keyturn/internal/audit"
)

// Why sessions were ended, as Sessions is told.
const (
	endPasswordChanged = "password_changed"
	endPasswordReset   = "password_reset"
	endUserDisabled    = "user_disabled"
	endUserDeleted     = "user_deleted"
	endLoggedOut       = "logged_out_by_operator"
)

// ChangePassword replaces the password of the account uid, on its user's
// behalf, and ends its sessions but the one named by keepSession (may be
// empty). The current password is checked and throttled just as at a login.
// The error is a refusal (BadCredentials, Unacceptable, Throttled, Busy),
// ErrConflict (the account changed meanwhile: ask again), ErrNotRecorded, or
// the store's.
//
// Once the new password is stored the change stands. Sessions that cannot be
// ended at once are ended by Settle, keepSession then with them. Where the
// event cannot be written the former password is put back; the other sessions
// stay ended.
func (s *Service) ChangePassword(ctx context.Context, uid, current, next, keepSession string) error {
	u, err := s.checkCurrent(ctx, uid, current)
	return s.replacePassword(ctx, passwordChange{
		uid: uid, user: u, next: next, keep: keepSession,
		action: audit.PasswordChanged, reason: endPasswordChanged,
	}, err)
}

// ResetPassword replaces the password of the account uid on an operator's
// behalf and ends all its sessions. The error is ErrNotFound, a refusal
// (Unacceptable, Busy), ErrConflict, ErrNotRecorded or the store's; what stands is as for
// ChangePassword.
func (s *Service) ResetPassword(ctx context.Context, uid, next string) error {
	u, err := s.Store.UserByID(ctx, uid)
	return s.replacePassword(ctx, passwordChange{
		uid: uid, user: u, next: next,
		action: audit.PasswordReset, reason: endPasswordReset,
	}, err)
}

type passwordChange struct {
	uid, next, keep string
	user            User
	action          audit.Action
	reason          string
}

func (s *Service) checkCurrent(ctx context.Context, uid, current string) (User, error) {
	u, err := s.Store.UserByID(ctx, uid)
	if errors.Is(err, ErrNotFound) {
		return User{}, wrong(audit.ReasonUnknownUser, uid)
	}
	if err != nil {
		return User{}, fmt.Errorf("find the account: %w", err)
	}
	judged, err := s.judge(ctx, u.EmailKey, current, func() (User, error) { return u, nil })
	if err != nil {
		return u, err
	}
	return judged, nil
}

// replacePassword carries out a change that err has not refused already, and
// records it either way.
func (s *Service) replacePassword(ctx context.Context, c passwordChange, err error) error {
	event := audit.Event{Action: c.action, UserID: c.uid, UserEmail: c.user.Email, SessionID: c.keep}
	if err != nil {
		return s.conclude(ctx, event, err)
	}
	changed, former, err := s.setPassword(ctx, c)
	if err != nil {
		return s.conclude(ctx, event, err)
	}
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	event.Count, event.Detail = s.endEarlier(ctx, changed, c.keep, c.reason)
	if err := s.conclude(ctx, event, nil); err != nil {
		back, undoErr := s.Store.SetPassword(ctx, c.uid, changed.Epoch, former, s.now())
		if undoErr == nil {
			s.endEarlier(ctx, back, c.keep, c.reason)
		}
		return errors.Join(err, undoErr)
	}
	return nil
}

// setPassword returns the account as changed, and the hash that it had.
func (s *Service) setPassword(ctx context.Context, c passwordChange) (changed User, former string, err error) {
	if err := s.Policy.Check(c.next, c.user); err != nil {
		return User{}, "", err
	}
	hash, err := s.Hasher.Hash(ctx, c.next)
	if err != nil {
		return User{}, "", err
	}
	if err := s.kinds.Announce(ctx, hash, s.now()); err != nil {
		return User{}, "", err
	}
	changed, err = s.Store.SetPassword(ctx, c.uid, c.user.Epoch, hash, s.now())
	return changed, c.user.PasswordHash, err
}

// endEarlier ends the sessions of an account whose epoch has just grown and
// settles it. It returns how many it ended and, if it could not finish, a
// detail for the event: the account then stays unsettled and Settle finishes.
func (s *Service) endEarlier(ctx context.Context, u User, keep, reason string) (ended int, detail string) {
	ended, err := s.Sessions.EndSessionsOf(ctx, u.UID, keep, reason)
	if err != nil {
		return ended, "sessions are still to be ended: " + err.Error()
	}
	if err := s.Store.Settle(ctx, u.UID, u.Epoch); err != nil {
		return ended, "still to be settled: " + err.Error()
	}
	return ended, ""
}
