// Package users keeps the accounts: who may log in, with which password, and
// how often a wrong one may be tried.
package users

import (
	"context"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/passwords"
)

// User is one account.
type User struct {
	// UID identifies the account for ever; it is the sub of its tokens.
	UID string
	// Email is the address as the user wrote it, EmailKey the form by which
	// addresses are compared (see EmailKey). An account has an address or a
	// username, or both; EmailKey is unique among those that have one.
	Email    string
	EmailKey string
	// Username is optional; UsernameKey is unique among accounts that have one.
	Username    string
	UsernameKey string
	FirstName   string
	LastName    string
	// Roles and Claims are what resource servers may be told of the user, as
	// far as the client's registration says (see checkRoles and checkClaims).
	// Claims is a JSON object; both may be empty.
	Roles  []string
	Claims string
	// PasswordHash is a PHC string (or an imported one, see passwords.Parse).
	PasswordHash string
	// ResetHash is the SHA-256 of a one-time token by which the user may set a
	// new password until ResetExpiresAt; nil if none is out.
	ResetHash      []byte
	ResetExpiresAt time.Time
	// Disabled accounts cannot log in and have no sessions.
	Disabled bool
	// Epoch grows whenever the account's sessions must end: a password
	// change, a disabling. A login that began under an older epoch fails.
	Epoch int64
	// Unsettled was set by former versions, in the write that grew Epoch, until
	// the sessions of earlier epochs had been ended. Store.Unsettled finds what
	// they left.
	Unsettled bool
	// Times are UTC with milliseconds.
	CreatedAt         time.Time
	UpdatedAt         time.Time
	PasswordChangedAt time.Time
	// Held is what the account holds for the decisions on it.
	decision.Held
}

// Store keeps accounts. Every method is one atomic operation, durable when it
// returns nil, safe for concurrent use by many processes.
type Store interface {
	passwords.KindStore

	// CreateUser adds u, or returns ErrEmailTaken or ErrUsernameTaken and
	// adds nothing.
	CreateUser(ctx context.Context, u User) error
	// UserByID, UserByEmailKey and UserByUsernameKey return one account or
	// ErrNotFound, as they do for an empty key.
	UserByID(ctx context.Context, uid string) (User, error)
	UserByEmailKey(ctx context.Context, key string) (User, error)
	UserByUsernameKey(ctx context.Context, key string) (User, error)
	// ListUsers returns at most limit accounts with a UID above after, by UID.
	ListUsers(ctx context.Context, after string, limit int) ([]User, error)
	// HeldUser returns one account, an unborn one too, or ErrNotFound. It sees
	// every write acknowledged before it began.
	HeldUser(ctx context.Context, uid string) (User, error)
	// ReplaceUser puts next in the place of the account seen, which has the
	// same UID, if its Version and its UpdatedAt are still seen's; it stores
	// the Version after seen's. ErrConflict if they are not, ErrNotFound if
	// there is no such account, ErrEmailTaken or ErrUsernameTaken if another
	// has a name of next's; then nothing is changed.
	ReplaceUser(ctx context.Context, seen, next User) error
	// RemoveUser removes the account seen on the same condition.
	RemoveUser(ctx context.Context, seen User) error
	// PendingUsers returns at most limit accounts, unborn ones too, whose slot
	// is not empty.
	PendingUsers(ctx context.Context, limit int) ([]User, error)
	// RehashPassword replaces the hash from by to, with nothing else changed
	// but the Version: the same password under better parameters. It does
	// nothing, without an error, if the hash is no longer from or a decision on
	// the account is under way.
	RehashPassword(ctx context.Context, uid, from, to string) error
	// Settle clears Unsettled if the account's Epoch is still epoch.
	Settle(ctx context.Context, uid string, epoch int64) error
	// Unsettled returns at most limit accounts whose Unsettled is set.
	Unsettled(ctx context.Context, limit int) ([]User, error)
}

// Sessions ends the sessions (refresh-token families) of an account, and tells
// them what tokens say of its user.
type Sessions interface {
	// EndSessionsOf ends every live session of the user but the one named
	// by except (may be empty) and returns how many it ended.
	EndSessionsOf(ctx context.Context, uid, except, reason string) (int, error)
	// SessionOf reports whether the session id lives; ErrNoSession if the
	// user has none of that id.
	SessionOf(ctx context.Context, uid, id string) (live bool, err error)
	// EndSession ends the session that the event names and writes the event:
	// ErrNoSession if the user has none of that id, or an error that is
	// decision.Concluded. It reports whether this call ended it; one that does
	// not live is no error, and has its event too.
	EndSession(ctx context.Context, e audit.Event) (bool, error)
	// CountSessionsOf returns how many live sessions the user has but the one
	// named by except.
	CountSessionsOf(ctx context.Context, uid, except string) (int, error)
	// SetClaimsOf has every live session of the user bear claims, a JSON
	// object or empty, and returns how many it changed.
	SetClaimsOf(ctx context.Context, uid, claims string) (int, error)
	// SetEmailOf has every live session of the user that bears the e-mail
	// address bear this one, and returns how many it changed.
	SetEmailOf(ctx context.Context, uid, email string) (int, error)
}
