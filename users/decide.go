package users

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/refusal"
)

// maker returns the Maker for decisions on accounts. Servers of an older version see
// an unborn account as a disabled one, in which nobody can log in.
func (s *Service) maker() *decision.Maker[User] {
	return &decision.Maker[User]{Audit: s.Audit, Now: s.Now, Records: decision.Records[User]{
		Held:     func(u *User) *decision.Held { return &u.Held },
		Create:   s.Store.CreateUser,
		Read:     func(ctx context.Context, u User) (User, error) { return s.Store.HeldUser(ctx, u.UID) },
		Replace:  s.Store.ReplaceUser,
		Remove:   s.Store.RemoveUser,
		Pending:  s.Store.PendingUsers,
		Refused:  refusal.Among(ErrNotFound, ErrConflict, ErrEmailTaken, ErrUsernameTaken),
		Conflict: ErrConflict,
		Same:     func(now, after User) bool { return now.UpdatedAt.Equal(after.UpdatedAt) },
		Shell:    func(u User) User { u.Disabled = true; return u },
		Follow:   s.follow,
		Follows: func(a audit.Action) bool {
			return endings[a] != "" || a == audit.UserChanged || a == audit.EmailVerified || a == audit.ConsentWithdrawn
		},
		Notify: s.Notify,
	}}
}

// SettleDecisions completes decisions that a process left unfinished because it
// died, or could not reach the store or the audit log. Call it about every second on
// every replica.
func (s *Service) SettleDecisions(ctx context.Context) (int, error) { return s.maker().Settle(ctx) }

// change reads the account uid, lets alter change it, and carries that out. alter
// also fills in the event, may be called again, and can refuse with an error. change
// returns the changed account and the event.
func (s *Service) change(ctx context.Context, event audit.Event, uid string, ends bool, alter func(u *User, e *audit.Event) error) (User, audit.Event, error) {
	u, e, err := s.revise(ctx, event, uid, ends, alter)
	if err == nil || decision.Concluded(err) {
		return u, e, err
	}
	e.Count = 0
	return User{}, e, s.conclude(ctx, e, err)
}

// revise is change, but records no refusal.
func (s *Service) revise(ctx context.Context, event audit.Event, uid string, ends bool, alter func(u *User, e *audit.Event) error) (User, audit.Event, error) {
	event.UserID, event.Outcome = uid, audit.Success
	return s.reviseOwing(ctx, event, ends, alter, s.notice)
}

// reviseOwing is revise for a change of the account of the event that owes letters.
func (s *Service) reviseOwing(ctx context.Context, event audit.Event, ends bool, alter func(u *User, e *audit.Event) error, letters func(ctx context.Context, before, after User, e audit.Event) json.RawMessage) (User, audit.Event, error) {
	return s.maker().Revise(ctx, decision.Revision[User]{
		Event: event, Ends: ends, Notice: letters,
		Read: func(ctx context.Context) (User, error) { return s.byID(ctx, event.UserID) },
		Alter: func(u *User, e *audit.Event) error {
			e.UserEmail = u.Email
			before := *u
			err := alter(u, e)
			u.UpdatedAt = s.later(before.UpdatedAt)
			if u.Email != before.Email || u.Epoch != before.Epoch {
				u.EmailChange = ""
				s.voidMailed(u)
			}
			return err
		},
	})
}

// byID returns the account uid. Of one that is being made the error is
// decision.ErrUnderWay, and not ErrNotFound.
func (s *Service) byID(ctx context.Context, uid string) (User, error) {
	u, err := s.Store.UserByID(ctx, uid)
	if errors.Is(err, ErrNotFound) {
		if held, failed := s.Store.HeldUser(ctx, uid); failed == nil && held.Unborn {
			err = decision.ErrUnderWay
		}
	}
	return u, err
}

// later returns the current time, or a later time than than, which a clock ahead of
// this one may have written. The time of the last change distinguishes two states of
// an account.
func (s *Service) later(than time.Time) time.Time {
	now := s.now()
	if !now.After(than) {
		now = than.Add(time.Millisecond)
	}
	return now
}

// endings are the reasons for which a decision ends the sessions of its account.
var endings = map[audit.Action]string{
	audit.UserDisabled:    endUserDisabled,
	audit.UserDeleted:     endUserDeleted,
	audit.UserClosed:      endUserDeleted,
	audit.PasswordChanged: endPasswordChanged,
	audit.PasswordReset:   endPasswordReset,
	audit.ResetForced:     endPasswordReset,
	audit.ResetRedeemed:   endPasswordReset,
	audit.SessionsEnded:   endLoggedOut,
}

// follow makes the consequences of a decision: it ends sessions, or tells them what
// tokens have to say from now on.
func (s *Service) follow(ctx context.Context, u User, e *audit.Event) (err error) {
	if e.Action == audit.UserChanged || e.Action == audit.EmailVerified {
		claims := func() error { _, err := s.Sessions.SetClaimsOf(ctx, u.UID, u.TokenClaims()); return err }
		address := func() error { _, err := s.Sessions.SetEmailOf(ctx, u.UID, u.Email); return err }
		// No session may say of an address that it is verified before it is that one.
		steps := []func() error{claims, address}
		if u.EmailVerified() {
			slices.Reverse(steps)
		}
		if err = steps[0](); err == nil {
			err = steps[1]()
		}
		return err
	}
	if e.Action == audit.ConsentWithdrawn {
		n, err := s.Sessions.EndSessionsWith(ctx, u.UID, e.ClientID, endConsentWithdrawn)
		e.Count += n
		return err
	}
	n, err := s.Sessions.EndSessionsOf(ctx, u.UID, e.SessionID, endings[e.Action])
	e.Count += n
	return err
}
