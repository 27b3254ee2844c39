package clients

import (
	"context"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// What a Store answers. Test with errors.Is.
var (
	// ErrNotFound means that no such client exists.
	ErrNotFound error = refusal.New(refusal.NotFound, audit.ReasonUnknownClient, "no such client")
	// ErrExists means that the client id is taken.
	ErrExists error = refusal.New(refusal.Taken, audit.ReasonClientExists, "client exists")
	// ErrChanged means that the client was changed since it was read.
	ErrChanged error = refusal.New(refusal.Conflict, audit.ReasonConflict, "client changed meanwhile")
)

// Store keeps clients. Every method is one atomic operation, durable when it returns
// nil (F5), safe for concurrent use by many processes. Times are kept to the
// millisecond. To every method that does not say so an unborn record (see
// decision.Held) is none, though it holds its id.
type Store interface {
	// CreateClient adds c, an unborn one too, or returns ErrExists.
	CreateClient(ctx context.Context, c Client) error
	// ClientByID returns one client or ErrNotFound.
	ClientByID(ctx context.Context, id string) (Client, error)
	// ListClients returns at most limit clients with an ID above after, by ID.
	ListClients(ctx context.Context, after string, limit int) ([]Client, error)
	// HeldClient returns one client, an unborn one too, or ErrNotFound. It sees
	// every write acknowledged before it began.
	HeldClient(ctx context.Context, id string) (Client, error)
	// ReplaceClient puts next in the place of the client seen, which has the
	// same ID, if its Version and its UpdatedAt are still seen's; it stores
	// the Version after seen's. ErrChanged if they are not, ErrNotFound if
	// there is no such client.
	ReplaceClient(ctx context.Context, seen, next Client) error
	// RemoveClient removes the client seen on the same condition.
	RemoveClient(ctx context.Context, seen Client) error
	// PendingClients returns at most limit clients, unborn ones too, whose slot
	// is not empty.
	PendingClients(ctx context.Context, limit int) ([]Client, error)

	// RevokeFamiliesOfClient ends every family of the client, unborn ones too, that
	// is not ended and was there when the call began, and returns how many it ended.
	RevokeFamiliesOfClient(ctx context.Context, clientID string, at time.Time, reason string) (int, error)
}
