// Package users keeps the accounts: who may log in, with which password, and
// how often a wrong one may be tried.
package users

import (
	"context"
	"time"

	"github.com/keyturn/keyturn/internal/passwords"
)

// User is one account.
type User struct {
	// UID identifies the account for ever; it is the sub of its tokens.
	UID string
	// Email is the address as the user wrote it, EmailKey the form by which
	// addresses are compared (see EmailKey).
	Email    string
	EmailKey string
	// Username is optional; UsernameKey is unique among accounts that have one.
	Username    string
	UsernameKey string
	FirstName   string
	LastName    string
	// Roles and Claims are what resource servers may be told of the user, as
	// far as the client's registration says (see CheckRoles and CheckClaims).
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
	// Unsettled is set, in the write that grew Epoch, until the sessions of
	// earlier epochs have been ended. Should a process die in between, any
	// replica finds the account by Store.Unsettled and finishes the work.
	Unsettled bool
	// Times are UTC with milliseconds.
	CreatedAt         time.Time
	UpdatedAt         time.Time
	PasswordChangedAt time.Time
}

// ProfileChange is what of an account is to be replaced; nil leaves it. An
// empty Username takes the username away.
type ProfileChange struct {
	Email     *Name
	Username  *Name
	FirstName *string
	LastName  *string
}

// Name is an e-mail address or a username as the user wrote it, and the form by
// which it is compared.
type Name struct{ Text, Key string }

// Store keeps accounts. Every method is one atomic operation, durable when it
// returns nil, safe for concurrent use by many processes.
type Store interface {
	passwords.KindStore

	// CreateUser adds u, or returns ErrEmailTaken or ErrUsernameTaken and
	// adds nothing.
	CreateUser(ctx context.Context, u User) error
	// UserByID and UserByEmailKey return one account or ErrNotFound.
	UserByID(ctx context.Context, uid string) (User, error)
	UserByEmailKey(ctx context.Context, key string) (User, error)
	// UsernameTaken reports whether an account has the username.
	UsernameTaken(ctx context.Context, key string) (bool, error)
	// ListUsers returns at most limit accounts with a UID above after, by UID.
	ListUsers(ctx context.Context, after string, limit int) ([]User, error)
	// SetPassword replaces the hash if the account's Epoch is still epoch;
	// it grows Epoch by one, voids a one-time token, sets Unsettled,
	// PasswordChangedAt and UpdatedAt, and returns the account as it now
	// stands. ErrConflict if the epoch moved, ErrNotFound if there is no such
	// account.
	SetPassword(ctx context.Context, uid string, epoch int64, hash string, at time.Time) (User, error)
	// SetReset replaces ResetHash and ResetExpiresAt, sets UpdatedAt and
	// returns the account as it now stands; a nil hash voids the token that
	// is out. ErrNotFound if there is no such account.
	SetReset(ctx context.Context, uid string, hash []byte, expires, at time.Time) (User, error)
	// SetClaims replaces Roles and Claims, sets UpdatedAt and returns the
	// account as it now stands. ErrNotFound if there is no such account.
	SetClaims(ctx context.Context, uid string, roles []string, claims string, at time.Time) (User, error)
	// DeleteUser removes the account, or returns ErrNotFound.
	DeleteUser(ctx context.Context, uid string) error
	// RehashPassword replaces the hash from by to, with nothing else changed:
	// the same password under better parameters. It does nothing, without an
	// error, if the hash is no longer from.
	RehashPassword(ctx context.Context, uid, from, to string) error
	// UpdateUser replaces what of the profile change names, all of it or
	// nothing, sets UpdatedAt and returns the account as it now stands.
	// ErrEmailTaken or ErrUsernameTaken if another account has the new
	// address or name, ErrNotFound if there is no such account.
	UpdateUser(ctx context.Context, uid string, change ProfileChange, at time.Time) (User, error)
	// SetDisabled disables or enables the account and returns it as it now
	// stands. Disabling an enabled account grows Epoch by one; disabling
	// always sets Unsettled. Enabling touches neither. ErrNotFound if there
	// is no such account.
	SetDisabled(ctx context.Context, uid string, disabled bool, at time.Time) (User, error)
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
	// EndSession ends the session id and reports whether this call did.
	EndSession(ctx context.Context, id, reason string) (bool, error)
	// SetClaimsOf has every live session of the user bear claims, a JSON
	// object or empty, and returns how many it changed.
	SetClaimsOf(ctx context.Context, uid, claims string) (int, error)
	// SetEmailOf has every live session of the user that bears the e-mail
	// address bear this one, and returns how many it changed.
	SetEmailOf(ctx context.Context, uid, email string) (int, error)
}
