// Package store defines what a store is: the sum of the interfaces that the domain
// packages need. The stores are in sqlite and mongodb.
package store

import (
	"context"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/outbox"
	"github.com/keyturn/keyturn/internal/steady"
	"github.com/keyturn/keyturn/internal/throttle"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// Store is one open store. All methods are safe for concurrent use. An error that is
// not one of the domain packages' means that the store cannot answer now (it is down,
// hangs, is full or read-only); the HTTP layer answers 503.
type Store interface {
	users.Store
	throttle.Counters
	oauth.Store
	keys.Store
	audit.AnchorStore
	audit.PlaceStore
	steady.Store
	outbox.Store

	// Ping reports whether the store can answer and be written to.
	Ping(ctx context.Context) error
	// Sweep removes at most limit records of each kind that have expired at now
	// (families by PurgeAt, denied tokens, spent proofs, counters) and returns how many it
	// removed. A record with a decision stays until that is carried out, and a family that
	// has ended until its client is told. Sweep may run on several replicas at once.
	Sweep(ctx context.Context, now time.Time, limit int) (int, error)
	// AllFamilies returns at most limit families with an ID above after, by ID,
	// including ended ones. It is for copying and checking a store.
	AllFamilies(ctx context.Context, after string, limit int) ([]oauth.Family, error)
	// DeniedTokens returns at most limit denylist entries with a jti above
	// after, by jti.
	DeniedTokens(ctx context.Context, after string, limit int) ([]oauth.DeniedToken, error)
	// Put stores the records unchanged, for copying into a store that nothing else
	// uses. Each replaces the record with its ID and, because addresses and usernames
	// can pass from one account to another, those with its names. Put is not atomic: if
	// it fails, some records may be stored. Repeating it is harmless.
	Put(ctx context.Context, r Records) error
	// Sizes returns the approximate numbers of records, quickly.
	Sizes(ctx context.Context) (Sizes, error)
	// Check looks for faults of the store itself, independent of its records: damaged
	// pages, missing indexes. It returns one sentence for each fault, and may take
	// long.
	Check(ctx context.Context) ([]string, error)
	// Close waits for writes in progress and closes the store.
	Close() error
}
