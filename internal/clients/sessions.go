package clients

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/listing"
)

// settleGrace is how long a disabling is left to the process that began it.
const settleGrace = time.Minute

// Disable disables the client, ends its sessions (F7) and returns the number of
// live ones. It returns ErrNotFound if there is no such client. Repeating it is
// harmless. With decision.ErrOwed the client is disabled and only the event is
// missing.
func (c *Registry) Disable(ctx context.Context, id string) (int, error) {
	_, e, err := c.change(ctx, audit.Event{Action: audit.ClientDisabled}, id, func(client *Client, _ *audit.Event) error {
		client.Disabled = true
		return nil
	})
	return e.Count, err
}

// EndSessions ends every session of the client, for an operator, and returns
// their number. Users can log in again. It returns ErrNotFound if there is no
// such client. Repeating it is harmless. With decision.ErrOwed the sessions
// have ended and only the event is missing.
func (c *Registry) EndSessions(ctx context.Context, id string) (int, error) {
	event := audit.Event{Action: audit.SessionsEnded, Reason: audit.ReasonLoggedOutByOperator}
	_, e, err := c.change(ctx, event, id, func(*Client, *audit.Event) error { return nil })
	return e.Count, err
}

// Settle ends the sessions that disabled clients still have, because a Disable
// was interrupted when its process died, or because a login was in progress. It
// returns the number of ended sessions and writes a SessionsEnded event for
// each client that had any. It continues after a client that fails and returns
// the errors joined. Call it about every minute on every replica.
func (c *Registry) Settle(ctx context.Context) (int, error) {
	total := 0
	var errs []error
	for client, err := range listing.All(ctx, c.Store.ListClients, func(c Client) string { return c.ID }) {
		if err != nil {
			errs = append(errs, fmt.Errorf("find disabled clients: %w", err))
			continue
		}
		if !client.Disabled || c.Now().Sub(client.UpdatedAt) < settleGrace {
			continue
		}
		ended, err := c.settle(ctx, client.ID)
		if total += ended; err != nil {
			errs = append(errs, fmt.Errorf("end the sessions of client %s: %w", client.ID, err))
		}
	}
	return total, errors.Join(errs...)
}

// settle records an event only if it ended sessions; usually there are none.
func (c *Registry) settle(ctx context.Context, id string) (int, error) {
	ended, err := c.Store.RevokeFamiliesOfClient(ctx, id, c.Now(), audit.ReasonClientDisabled.String())
	if ended == 0 {
		return 0, err
	}
	event := audit.Event{
		Action: audit.SessionsEnded, ClientID: id, Reason: audit.ReasonClientDisabled,
		Detail: "finishing a disabling that was interrupted",
	}
	event.Outcome, event.Count = audit.Success, ended
	if err != nil {
		return ended, c.conclude(ctx, event, err)
	}
	record, cancel := audit.Outlast(ctx)
	defer cancel()
	return ended, c.Audit.Record(record, event)
}
