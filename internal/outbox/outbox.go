// Package outbox sends to others what is owed to them: durably, retried over restarts,
// by one replica at a time, and without anybody waiting for it.
package outbox

import (
	"context"
	"errors"
	"time"
)

// Message is something to be sent.
type Message struct {
	// ID names what is sent, so that it is sent once.
	ID string
	// Kind says how it is sent. To is the destination: one that hangs or refuses keeps
	// up no other.
	Kind string
	To   string
	// Payload is what the kind makes of it.
	Payload []byte
	// CreatedAt is when it was added, DueAt when it is to be tried next.
	CreatedAt time.Time
	DueAt     time.Time
	// Tries is how often it was taken up, Holder who did so last. The Holder is another
	// each time.
	Tries  int64
	Holder string
}

// What a Store answers. Test with errors.Is.
var (
	// ErrQueued means that a message has the ID.
	ErrQueued = errors.New("the message is in the outbox already")
	// ErrFull means that the outbox holds as many messages as it may.
	ErrFull = errors.New("the outbox is full")
	// ErrChanged means that the message is gone or was taken up by another.
	ErrChanged = errors.New("the message changed meanwhile")
)

// Due selects messages to be tried: those due at At, and those due after Never. No
// right clock makes a message wait for that long (T1).
type Due struct{ At, Never time.Time }

// Store keeps messages. Every method is one atomic operation, durable when it returns
// nil, safe for concurrent use by many processes. Times are kept to the millisecond.
type Store interface {
	// AddMessage adds m, or returns ErrQueued, or ErrFull if there are about most
	// messages and most is above 0.
	AddMessage(ctx context.Context, m Message, most int) error
	// DueDestinations returns at most limit destinations that have messages due.
	DueDestinations(ctx context.Context, due Due, limit int) ([]string, error)
	// DueMessages returns at most limit messages due to a destination, those due first
	// first.
	DueMessages(ctx context.Context, to string, due Due, limit int) ([]Message, error)
	// ReplaceMessage puts next, which has the same ID, in the place of seen, if the
	// Holder is still seen's, or returns ErrChanged.
	ReplaceMessage(ctx context.Context, seen, next Message) error
	// RemoveMessage removes seen on the same condition.
	RemoveMessage(ctx context.Context, seen Message) error
	// Messages returns at most limit messages with an ID above after, by ID.
	Messages(ctx context.Context, after string, limit int) ([]Message, error)
}
