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
// still have. The error is ErrNotFound, ErrNotRecorded or the store's.
//
// Where the event cannot be written the account stays disabled all the same:
// undoing a protection would be the worse failure. Disabling it again writes
// the event.
func (s *Service) Disable(ctx context.Context, uid string) error {
	event := audit.Event{Action: audit.UserDisabled, UserID: uid}
	u, err := s.Store.SetDisabled(ctx, uid, true, s.now())
	if err != nil {
		return s.conclude(ctx, event, err)
	}
	event.UserEmail = u.Email
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	event.Count, event.Detail = s.endEarlier(ctx, u, "", endUserDisabled)
	return s.conclude(ctx, event, nil)
}

// Enable puts the account uid back into use. The error is ErrNotFound,
// ErrNotRecorded or the store's. Where the event cannot be written the account
// is disabled again if it was before.
func (s *Service) Enable(ctx context.Context, uid string) error {
	event := audit.Event{Action: audit.UserEnabled, UserID: uid}
	before, err := s.Store.UserByID(ctx, uid)
	if err != nil {
		return s.conclude(ctx, event, err)
	}
	event.UserEmail = before.Email
	if _, err := s.Store.SetDisabled(ctx, uid, false, s.now()); err != nil {
		return s.conclude(ctx, event, err)
	}
	err = s.conclude(ctx, event, nil)
	if err != nil && before.Disabled {
		ctx, cancel := audit.Outlast(ctx)
		defer cancel()
		u, undoErr := s.Store.SetDisabled(ctx, uid, true, s.now())
		if undoErr == nil {
			s.endEarlier(ctx, u, "", endUserDisabled)
		}
		return errors.Join(err, undoErr)
	}
	return err
}

// Delete removes the account uid for good, after disabling it and ending its
// sessions; the event's Count says how many. Its address and username are free
// again; the audit log keeps its uid. The error is ErrNotFound, ErrNotRecorded
// or the store's: the account may then be left disabled, and deleting it can be
// repeated. Where the event cannot be written the account is put back,
// disabled.
func (s *Service) Delete(ctx context.Context, uid string) error {
	event := audit.Event{Action: audit.UserDeleted, UserID: uid}
	u, err := s.Store.SetDisabled(ctx, uid, true, s.now())
	if err == nil {
		event.UserEmail = u.Email
		event.Count, err = s.Sessions.EndSessionsOf(ctx, uid, "", endUserDeleted)
	}
	if err == nil {
		err = s.Store.DeleteUser(ctx, uid)
	}
	deleted := err == nil
	err = s.conclude(ctx, event, err)
	if err != nil && deleted {
		ctx, cancel := audit.Outlast(ctx)
		defer cancel()
		return errors.Join(err, s.Store.CreateUser(ctx, u))
	}
	return err
}

// Settle finishes what a process that died, or could not reach the store, left
// undone: it ends the sessions of unsettled accounts, all of them, and returns
// how many accounts it settled. Each leaves a SessionsEnded event; an account
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
