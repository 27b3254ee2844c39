package users

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/refusal"
)

// maxTries bounds how often a change is tried on an account that others keep
// changing.
const maxTries = 5

// accounts are the records of accounts, to package decision.
type accounts struct{ *Service }

func (s *Service) maker() *decision.Maker[User] {
	return &decision.Maker[User]{Records: accounts{s}, Audit: s.Audit, Now: s.Now}
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
	for tries := 1; ; tries++ {
		e, after, err := event, User{}, error(nil)
		before, err := s.Store.UserByID(ctx, uid)
		if err == nil {
			e.UserEmail = before.Email
			after = before
			err = alter(&after, &e)
		}
		if err == nil {
			after.UpdatedAt = s.later(before.UpdatedAt)
			e, err = s.maker().Decide(ctx, decision.Change[User]{Event: e, Before: &before, After: after, Ends: ends})
		}
		switch {
		case err == nil || decision.Concluded(err):
			return after, e, err
		case tries < maxTries && errors.Is(err, ErrConflict) && !errors.Is(err, errEpoch):
			continue
		case tries < maxTries && errors.Is(err, decision.ErrUnderWay):
			if n, _ := s.SettleDecisions(ctx); n > 0 {
				continue
			}
			err = underWay()
		}
		e.Count = 0
		return User{}, e, s.conclude(ctx, e, err)
	}
}

// underWay is what a change is told that finds another one under way.
func underWay() error { return fmt.Errorf("%w: %w", ErrConflict, decision.ErrUnderWay) }

// later is now, or later than a record that a clock ahead of this one made: the
// time of the last change tells two states of an account apart.
func (s *Service) later(than time.Time) time.Time {
	now := s.now()
	if !now.After(than) {
		now = than.Add(time.Millisecond)
	}
	return now
}

// Held implements decision.Records.
func (accounts) Held(u *User) *decision.Held { return &u.Held }

// Create implements decision.Records.
func (a accounts) Create(ctx context.Context, u User) error { return a.Store.CreateUser(ctx, u) }

// Read implements decision.Records.
func (a accounts) Read(ctx context.Context, u User) (User, error) {
	return a.Store.HeldUser(ctx, u.UID)
}

// Replace implements decision.Records.
func (a accounts) Replace(ctx context.Context, seen, next User) error {
	return a.Store.ReplaceUser(ctx, seen, next)
}

// Remove implements decision.Records.
func (a accounts) Remove(ctx context.Context, seen User) error { return a.Store.RemoveUser(ctx, seen) }

// Pending implements decision.Records.
func (a accounts) Pending(ctx context.Context, limit int) ([]User, error) {
	return a.Store.PendingUsers(ctx, limit)
}

// Refused implements decision.Records.
func (accounts) Refused(err error) (audit.Reason, bool) {
	for _, e := range []error{ErrNotFound, ErrConflict, ErrEmailTaken, ErrUsernameTaken} {
		if errors.Is(err, e) {
			return refusal.Reason(e), true
		}
	}
	return audit.Reason{}, false
}

// Same implements decision.Records.
func (accounts) Same(now, after User) bool { return now.UpdatedAt.Equal(after.UpdatedAt) }

// Shell implements decision.Records: nobody can log in to a disabled account.
func (accounts) Shell(u User) User {
	u.Disabled = true
	return u
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

// Follows implements decision.Records.
func (accounts) Follows(a audit.Action) bool { return endings[a] != "" || a == audit.UserChanged }

// Follow implements decision.Records: sessions end, or learn what tokens are to
// say from now on.
func (a accounts) Follow(ctx context.Context, u User, e *audit.Event) (err error) {
	if e.Action == audit.UserChanged {
		_, err = a.tell(ctx, u)
		return err
	}
	e.Count, err = a.Sessions.EndSessionsOf(ctx, u.UID, e.SessionID, endings[e.Action])
	return err
}

func (a accounts) tell(ctx context.Context, u User) (int, error) {
	if n, err := a.Sessions.SetClaimsOf(ctx, u.UID, u.TokenClaims()); err != nil {
		return n, err
	}
	return a.Sessions.SetEmailOf(ctx, u.UID, u.Email)
}
