package users

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

const (
	// settleBatch bounds the accounts that one Settle finishes.
	settleBatch = 256
	// settleGrace is how long an account is left alone because its change may still be
	// under way in another process, which ends the right sessions itself.
	settleGrace = 30 * time.Second
)

// Disable disables the account uid and ends its sessions; the event's Count is their
// number. Disabling a disabled account ends the sessions that it may still have. The
// error is ErrNotFound, ErrConflict, decision.ErrOwed (the account is disabled; only
// the event is missing), decision.ErrUnfinished or from the store.
func (s *Service) Disable(ctx context.Context, uid string) error {
	_, _, err := s.change(ctx, audit.Event{Action: audit.UserDisabled}, uid, false, func(u *User, _ *audit.Event) error {
		u.disable()
		return nil
	})
	return err
}

// disable also voids what could open the account once it is enabled.
func (u *User) disable() {
	u.voidReset()
	if !u.Disabled {
		u.Epoch++
	}
	u.Disabled = true
}

// Enable enables the account uid again, also one that its user closed. The error is ErrNotFound, ErrConflict,
// decision.ErrNotRecorded or from the store.
func (s *Service) Enable(ctx context.Context, uid string) error {
	_, _, err := s.change(ctx, audit.Event{Action: audit.UserEnabled}, uid, false, func(u *User, _ *audit.Event) error {
		u.Disabled, u.DeleteAt = false, time.Time{}
		return nil
	})
	return err
}

// Delete deletes the account uid for good and ends its sessions; the event's Count is
// the number of live ones. Its address and username become free; the audit log keeps
// its uid. Once the event is written the account is disabled, and it is removed when
// its sessions have ended. The error is ErrNotFound, ErrConflict,
// decision.ErrNotRecorded or from the store.
func (s *Service) Delete(ctx context.Context, uid string) error {
	return s.delete(ctx, audit.Event{Action: audit.UserDeleted}, uid)
}

func (s *Service) delete(ctx context.Context, event audit.Event, uid string) error {
	_, _, err := s.change(ctx, event, uid, true, func(u *User, e *audit.Event) (err error) {
		u.disable()
		e.Count, err = s.Sessions.CountSessionsOf(ctx, uid, "")
		return err
	})
	return err
}

// Settle completes changes that a process of a former version left unfinished because
// it died or could not reach the store. It ends all sessions of unsettled accounts,
// with a SessionsEnded event for each account, and returns the number of settled
// accounts. An account whose event cannot be written stays unsettled. Settle continues
// after an account that fails and returns the errors joined. Call it about every minute
// on every replica.
func (s *Service) Settle(ctx context.Context) (int, error) {
	unsettled, err := s.Store.Unsettled(ctx, settleBatch)
	if err != nil {
		return 0, fmt.Errorf("find unsettled accounts: %w", err)
	}
	settled := 0
	var errs []error
	for _, u := range unsettled {
		if s.Now().Sub(u.UpdatedAt) < settleGrace {
			continue
		}
		if err := s.settle(ctx, u); err != nil {
			errs = append(errs, fmt.Errorf("settle account %s: %w", u.UID, err))
			continue
		}
		settled++
	}
	return settled, errors.Join(errs...)
}

func (s *Service) settle(ctx context.Context, u User) error {
	reason := audit.ReasonAccountChanged
	if u.Disabled {
		reason = audit.ReasonUserDisabled
	}
	ended, err := s.Sessions.EndSessionsOf(ctx, u.UID, "", reason.String())
	event := audit.Event{
		Action: audit.SessionsEnded, Reason: reason, UserID: u.UID, UserEmail: u.Email, Count: ended,
		Detail: "finishing a change of the account that was interrupted",
	}
	if err := s.conclude(ctx, event, err); err != nil {
		return err
	}
	return s.Store.Settle(ctx, u.UID, u.Epoch)
}
