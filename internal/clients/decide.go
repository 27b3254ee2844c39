package clients

import (
	"context"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/refusal"
)

// maker returns the Maker for decisions on clients. Servers of an older version see
// an unborn client as a disabled one, which nobody can use.
func (c *Registry) maker() *decision.Maker[Client] {
	return &decision.Maker[Client]{Audit: c.Audit, Now: c.Now, Records: decision.Records[Client]{
		Held:     func(c *Client) *decision.Held { return &c.Held },
		Create:   c.Store.CreateClient,
		Read:     func(ctx context.Context, r Client) (Client, error) { return c.Store.HeldClient(ctx, r.ID) },
		Replace:  c.Store.ReplaceClient,
		Remove:   c.Store.RemoveClient,
		Pending:  c.Store.PendingClients,
		Refused:  refusal.Among(ErrNotFound, ErrExists, ErrChanged),
		Conflict: ErrChanged,
		Same:     func(now, after Client) bool { return now.UpdatedAt.Equal(after.UpdatedAt) },
		Shell:    func(c Client) Client { c.Disabled = true; return c },
		Follow:   c.follow,
		Follows:  func(a audit.Action) bool { return endings[a] != audit.Reason{} },
	}}
}

// endings are the reasons for which a decision ends the sessions of its client.
var endings = map[audit.Action]audit.Reason{
	audit.ClientDisabled: audit.ReasonClientDisabled,
	audit.SessionsEnded:  audit.ReasonLoggedOutByOperator,
}

// follow ends the sessions of a client after a decision.
func (c *Registry) follow(ctx context.Context, client Client, e *audit.Event) error {
	n, err := c.Store.RevokeFamiliesOfClient(ctx, client.ID, c.Now(), endings[e.Action].String())
	e.Count += n
	return err
}
