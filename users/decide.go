package users

import (
	"context"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/refusal"
)

// maker carries out decisions on accounts. Nobody can log in to a disabled one, as
// which servers of an older version see those that are unborn.
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
		Follows:  func(a audit.Action) bool { return endings[a] != "" || a == audit.UserChanged },
	}}
}

// SettleDecisions carries forward what a process that died, or could not reach
// the store or the audit log, left on its way. Run it every second or so, on
// every replica.
func (s *Service) SettleDecisions(ctx context.Context) (int, error) { return s.maker().Settle(ctx) }

// change reads the account uid, has alter make of it what it shall be, and
// carries that out. alter is given the event to fill in, may be called again, and
// refuses with an error. It returns the account as it stands then, and the event.
func (s *Service) change(ctx context.Context, event audit.Event, uid string, ends bool, alter func(u *User, e *audit.Event) error) (User, audit.Event, error) {
	event.UserID, event.Outcome = uid, audit.Success
	u, e, err := s.maker().Revise(ctx, decision.Revision[User]{
		Event: event, Ends: ends,
		Read: func(ctx context.Context) (User, error) { return s.Store.UserByID(ctx, uid) },
		Alter: func(u *User, e *audit.Event) error {
			e.UserEmail = u.Email
			last := u.UpdatedAt
			err := alter(u, e)
			u.UpdatedAt = s.later(last)
			return err
		},
	})
	if err == nil || decision.Concluded(err) {
		return u, e, err
	}
	e.Count = 0
	return User{}, e, s.conclude(ctx, e, err)
}

// later is now, or later than a record that a clock ahead of this one made: the
// time of the last change tells two states of an account apart.
func (s *Service) later(than time.Time) time.Time {
	now := s.now()
	if !now.After(than) {
		now = than.Add(time.Millisecond)
	}
	return now
}

// endings say why the sessions of an account end that a decision is about.
var endings = map[audit.Action]string{
	audit.UserDisabled:    endUserDisabled,
	audit.UserDeleted:     endUserDeleted,
	audit.PasswordChanged: endPasswordChanged,
	audit.PasswordReset:   endPasswordReset,
	audit.ResetRedeemed:   endPasswordReset,
	audit.SessionsEnded:   endLoggedOut,
}

// follow does what a decision asks for elsewhere: sessions end, or learn what tokens
// are to say from now on.
func (s *Service) follow(ctx context.Context, u User, e *audit.Event) (err error) {
	if e.Action == audit.UserChanged {
		if _, err = s.Sessions.SetClaimsOf(ctx, u.UID, u.TokenClaims()); err == nil {
			_, err = s.Sessions.SetEmailOf(ctx, u.UID, u.Email)
		}
		return err
	}
	n, err := s.Sessions.EndSessionsOf(ctx, u.UID, e.SessionID, endings[e.Action])
	e.Count += n
	return err
}
