// Package store names what a store is: the sum of what the domain packages ask
// for. The stores themselves live in sqlite and mongodb.
package store

import (
	"context"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// Store is one open store. All methods are safe for concurrent use. An error
// that is not one of the domain packages' means that the store cannot answer
// now (it is down, hangs, is full or read-only); the HTTP layer answers 503.
type Store interface {
	users.Store
	users.Counters
	oauth.Store
	keys.Store
	audit.AnchorStore

	// Ping reports whether the store can answer and be written to.
	Ping(ctx context.Context) error
	// Sweep removes at most limit records of each kind that have expired at
	// now (families by PurgeAt, denied tokens, counters) and returns how many
	// it removed. Safe to run on several replicas at once.
	Sweep(ctx context.Context, now time.Time, limit int) (int, error)
	// AllFamilies returns at most limit families with an ID above after, by
	// ID, ended ones included; for copying and checking a store.
	AllFamilies(ctx context.Context, after string, limit int) ([]oauth.Family, error)
	// DeniedTokens returns at most limit denylist entries with a jti above
	// after, by jti.
	DeniedTokens(ctx context.Context, after string, limit int) ([]DeniedToken, error)
	// Close waits for writes under way and closes the store.
	Close() error
}

// DeniedToken is one entry of the denylist.
type DeniedToken struct {
	JTI      string
	ExpireAt time.Time
}
