package users

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/keyturn/keyturn/internal/audit"
)

// Reasons of ended sessions, for Sessions.
const (
	endPasswordChanged  = "password_changed"
	endPasswordReset    = "password_reset"
	endUserDisabled     = "user_disabled"
	endUserDeleted      = "user_deleted"
	endConsentWithdrawn = "consent_withdrawn"
	endLoggedOut        = "logged_out_by_operator"
)

// ChangePassword replaces the password of the account uid, for its user, and ends
// its sessions but keepSession (may be empty). The current password is checked and
// throttled as at a login. The error is a refusal (BadCredentials, Unacceptable,
// Throttled, Busy), ErrConflict (the account changed meanwhile: ask again),
// decision.ErrNotRecorded, decision.ErrUnfinished, or from the store. With
// decision.ErrToFollow the password is changed, and SettleDecisions ends the
// sessions that could not be ended at once.
func (s *Service) ChangePassword(ctx context.Context, uid, current, next, keepSession string) error {
	u, err := s.checkCurrent(ctx, uid, current)
	return s.replacePassword(ctx, passwordChange{uid: uid, user: u, next: next, keep: keepSession, action: audit.PasswordChanged}, err)
}

// ResetPassword replaces the password of the account uid, for an operator, and
// ends all its sessions. The error is ErrNotFound, a refusal (Unacceptable, Busy),
// ErrConflict, decision.ErrNotRecorded, ErrUnfinished and ErrToFollow as for
// ChangePassword, or from the store.
func (s *Service) ResetPassword(ctx context.Context, uid, next string) error {
	u, err := s.Store.UserByID(ctx, uid)
	return s.replacePassword(ctx, passwordChange{uid: uid, user: u, next: next, action: audit.PasswordReset}, err)
}

type passwordChange struct {
	uid, next, keep string
	user            User
	action          audit.Action
	// token is the one-time token that the change spends, or empty.
	token string
}

func (s *Service) checkCurrent(ctx context.Context, uid, current string) (User, error) {
	u, err := s.Store.UserByID(ctx, uid)
	if errors.Is(err, ErrNotFound) {
		return User{}, wrong(audit.ReasonUnknownUser, uid)
	}
	if err != nil {
		return User{}, fmt.Errorf("find the account: %w", err)
	}
	judged, err := s.judge(ctx, cmp.Or(u.EmailKey, u.UsernameKey), current, func() (User, error) { return u, nil })
	if err != nil {
		return u, err
	}
	return judged, nil
}

// errEpoch means that the password changed, or the account was disabled, since the
// change was judged; it must be judged anew.
var errEpoch = fmt.Errorf("%w", ErrConflict)

// replacePassword carries out a change unless err has refused it already, and
// records it in either case.
func (s *Service) replacePassword(ctx context.Context, c passwordChange, err error) error {
	event := audit.Event{Action: c.action, UserID: c.uid, UserEmail: c.user.Email, SessionID: c.keep}
	var hash string
	if err == nil {
		hash, err = s.newHash(ctx, c.next, c.user)
	}
	if err != nil {
		return s.conclude(ctx, event, err)
	}
	_, _, err = s.change(ctx, event, c.uid, false, func(u *User, e *audit.Event) (err error) {
		if u.Epoch != c.user.Epoch {
			return errEpoch
		}
		if c.token != "" && !s.opens(c.token, *u) {
			return errResetToken
		}
		u.Epoch++
		u.PasswordHash, u.PasswordChangedAt = hash, s.later(u.UpdatedAt)
		u.voidReset()
		u.Mailed.Barred = false
		e.Count, err = s.Sessions.CountSessionsOf(ctx, u.UID, c.keep)
		return err
	})
	return err
}

// newHash checks a new password of u and returns its hash.
func (s *Service) newHash(ctx context.Context, password string, u User) (string, error) {
	if err := s.Policy.Check(password, u); err != nil {
		return "", err
	}
	return s.hashAnew(ctx, password)
}

// hashAnew returns a hash that an account may have from now on.
func (s *Service) hashAnew(ctx context.Context, password string) (string, error) {
	hash, err := s.Hasher.Hash(ctx, password)
	if err != nil {
		return "", err
	}
	return hash, s.kinds.Announce(ctx, hash, s.now())
}
