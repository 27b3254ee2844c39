package decision

import (
	"context"

	"github.com/keyturn/keyturn/internal/audit"
)

// Records are the records of one kind, as a domain package keeps them.
type Records[T any] interface {
	// Held returns where a record holds its decision.
	Held(*T) *Held
	// Create adds a record, Held as it is. Read returns the one with r's id, an
	// unborn one included. Replace puts next in the place of seen if the store
	// still has that, and Remove takes seen away on the same condition; the
	// store gives what it writes the Version after seen's.
	Create(ctx context.Context, r T) error
	Read(ctx context.Context, r T) (T, error)
	Replace(ctx context.Context, seen, next T) error
	Remove(ctx context.Context, seen T) error
	// Pending returns at most limit records whose slot is not empty.
	Pending(ctx context.Context, limit int) ([]T, error)

	// Refused reports whether err says that a write was not done, and with
	// what reason; any other error leaves that open.
	Refused(err error) (audit.Reason, bool)
	// Same reports whether the store's record shows that a change to after was
	// made.
	Same(now, after T) bool
	// Shell returns what an unborn record is to those that know of no unborn
	// ones, servers of an older version: of no use to anybody.
	Shell(r T) T
	// Follow does what a decision asks for elsewhere once the record is as it
	// is to be, and notes in the event what it did. It may be called again.
	// Follows says whether there is anything for it to do.
	Follow(ctx context.Context, r T, e *audit.Event) error
	Follows(a audit.Action) bool
}

// Change is a decision to be carried out.
type Change[T any] struct {
	// Event is what the log is to be told.
	Event audit.Event
	// Before is the record as the store has it, nil for one to be born. After
	// is what it is to be.
	Before *T
	After  T
	// Ends says that the record is to be removed once it is as After says.
	Ends bool
	// Check, if not nil, has the last word before the event is written: it sees
	// what was changed by others before the proposal stood, while those who come
	// later see the proposal. Its error takes the proposal back.
	Check func(context.Context) error
}
