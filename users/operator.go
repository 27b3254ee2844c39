package users

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

const (
	// settleBatch is how many accounts one Settle finishes at most.
	settleBatch = 256
	// settleGrace leaves an account alone whose change may still be under way
	// in another process, which ends the right sessions itself.
	settleGrace = 30 * time.Second
)

// Disable takes the account uid out of use and ends its sessions; the event's
// Count says how many. Disabling a disabled account ends what sessions it may
// still have. The error is ErrNotFound, ErrConflict, decision.ErrOwed (the account
// is disabled, and only the event is missing), decision.ErrUnfinished or the
// store's.
func (s *Service) Disable(ctx context.Context, uid string) error {
	_, _, err := s.change(ctx, audit.Event{Action: audit.UserDisabled}, uid, false, func(u *User, _ *audit.Event) error {
		u.disable()
		return nil
	})
	return err
}

func (u *User) disable() {
	if !u.Disabled {
		u.Epoch++
	}
	u.Disabled = true
}

// Enable puts the account uid back into use. The error is ErrNotFound,
// ErrConflict, decision.ErrNotRecorded or the store's.
func (s *Service) Enable(ctx context.Context, uid string) error {
	_, _, err := s.change(ctx, audit.Event{Action: audit.UserEnabled}, uid, false, func(u *User, _ *audit.Event) error {
		u.Disabled = false
		return nil
	})
	return err
}

// Delete removes the account uid for good and ends its sessions; the event's
// Count says how many lived. Its address and username are free again; the audit
// log keeps its uid. The error is ErrNotFound, ErrConflict, decision.ErrNotRecorded, or
// the store's. Once the event is written the account is disabled first, and
// removed when its sessions have ended.
func (s *Service) Delete(ctx context.Context, uid string) error {
	_, _, err := s.change(ctx, audit.Event{Action: audit.UserDeleted}, uid, true, func(u *User, e *audit.Event) (err error) {
		u.disable()
		e.Count, err = s.Sessions.CountSessionsOf(ctx, uid, "")
		return err
	})
	return err
}

// Settle finishes what a process of a former version that died, or could not
// reach the store, left undone: it ends the sessions of unsettled accounts, all of
// them, and returns how many accounts it settled. Each leaves a SessionsEnded event; an account
// whose event cannot be written stays unsettled. It goes on past an account
// that fails and returns the errors joined. Run it every minute or so, on
// every replica.
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
