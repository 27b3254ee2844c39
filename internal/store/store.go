// Package store names what a store is: the sum of what the domain packages ask
// for. The stores themselves live in sqlite and mongodb.
package store

import (
	"context"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/steady"
	"github.com/keyturn/keyturn/internal/throttle"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// Store is one open store. All methods are safe for concurrent use. An error
// that is not one of the domain packages' means that the store cannot answer
// now (it is down, hangs, is full or read-only); the HTTP layer answers 503.
type Store interface {
	users.Store
	throttle.Counters
	oauth.Store
	keys.Store
	audit.AnchorStore
	audit.PlaceStore
	steady.Store

	// Ping reports whether the store can answer and be written to.
	Ping(ctx context.Context) error
	// Sweep removes at most limit records of each kind that have expired at
	// now (families by PurgeAt, denied tokens, counters) and returns how many
	// it removed. What holds a decision stays until that is carried out. Safe to
	// run on several replicas at once.
	Sweep(ctx context.Context, now time.Time, limit int) (int, error)
	// AllFamilies returns at most limit families with an ID above after, by
	// ID, ended ones included; for copying and checking a store.
	AllFamilies(ctx context.Context, after string, limit int) ([]oauth.Family, error)
	// DeniedTokens returns at most limit denylist entries with a jti above
	// after, by jti.
	DeniedTokens(ctx context.Context, after string, limit int) ([]oauth.DeniedToken, error)
	// Put stores the records as they are, each in place of the one with its
	// ID and, as addresses and usernames pass from account to account, of
	// those with its names, for copying into a store that nobody else works on. It is not one
	// step: where it fails, some may have been stored. Repeating it is
	// harmless.
	Put(ctx context.Context, r Records) error
	// Sizes returns about how many records there are, quickly.
	Sizes(ctx context.Context) (Sizes, error)
	// Check looks for what is wrong with the store itself, whatever its
	// records say: damaged pages, indexes that are missing. It returns one
	// sentence for each thing found, and may take its time.
	Check(ctx context.Context) ([]string, error)
	// Close waits for writes under way and closes the store.
	Close() error
}
