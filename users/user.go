// Package users keeps the accounts, which is one idea because whatever decides who may
// log in, by which password and which second factor, decides over the same record.
package users

import (
	"context"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/factors"
	"github.com/keyturn/keyturn/internal/passwords"
)

// User is one account.
type User struct {
	// UID identifies the account for ever; it is the sub of its tokens.
	UID string
	// Email is the address as the user wrote it, EmailKey the form for
	// comparisons (see func EmailKey). An account has an address or a username,
	// or both; EmailKey is unique among accounts that have one.
	Email    string
	EmailKey string
	// VerifiedEmail is the address to which a link was sent that its user opened. It is
	// an address, not a flag, so that whatever changes Email, such as a former version,
	// leaves one that is not verified (see EmailVerified).
	VerifiedEmail string
	// EmailChange names the change of Email that the user asked for last: the link of no
	// other letter counts. It is empty if there is none, and once a change of Email or of
	// Epoch has made it void.
	EmailChange string
	// Username is optional; UsernameKey is unique among accounts that have one.
	Username    string
	UsernameKey string
	FirstName   string
	LastName    string
	// Roles and Claims are what resource servers may be told about the user, as
	// far as the client's registration allows (see checkRoles and checkClaims).
	// Claims is a JSON object; both may be empty.
	Roles  []string
	Claims string
	// PasswordHash is a PHC string (or an imported one, see passwords.Parse).
	PasswordHash string
	// ResetHash is the SHA-256 of the secret of a one-time token that an operator made at
	// ResetIssuedAt, with which the user may set a new password until ResetExpiresAt, or nil.
	ResetHash      []byte
	ResetIssuedAt  time.Time
	ResetExpiresAt time.Time
	// Mailed is the one-time token of a letter, which stands beside the operator's.
	Mailed MailedReset
	// Factors are the second factors, without which a password opens nothing.
	Factors factors.Set
	// Consents are what the user lets clients have, of each client one.
	Consents []Consent
	// Disabled accounts cannot log in and have no sessions.
	Disabled bool
	// DeleteAt is when an account that its user closed will be deleted.
	DeleteAt time.Time
	// Epoch grows whenever the account's sessions must end: at a password
	// change or when it is disabled. A login that began under an older epoch
	// fails.
	Epoch int64
	// Unsettled was set by former versions, in the write that advanced Epoch,
	// until the sessions of earlier epochs had ended. Store.Unsettled finds
	// those accounts.
	Unsettled bool
	// Times are UTC with milliseconds.
	CreatedAt         time.Time
	UpdatedAt         time.Time
	PasswordChangedAt time.Time
	// Held is the account's state of decisions.
	decision.Held
}

// Store keeps accounts. Every method is one atomic operation, durable when it
// returns nil, safe for concurrent use by many processes.
type Store interface {
	passwords.KindStore

	// CreateUser adds u, or returns ErrEmailTaken or ErrUsernameTaken and
	// adds nothing.
	CreateUser(ctx context.Context, u User) error
	// UserByID, UserByEmailKey and UserByUsernameKey return one account, or
	// ErrNotFound, also for an empty key.
	UserByID(ctx context.Context, uid string) (User, error)
	UserByEmailKey(ctx context.Context, key string) (User, error)
	UserByUsernameKey(ctx context.Context, key string) (User, error)
	// ListUsers returns at most limit accounts with a UID above after, by UID.
	ListUsers(ctx context.Context, after string, limit int) ([]User, error)
	// HeldUser returns one account, even an unborn one, or ErrNotFound. It sees
	// every write acknowledged before it began.
	HeldUser(ctx context.Context, uid string) (User, error)
	// ReplaceUser replaces the account seen by next, with the same UID, if its
	// Version and UpdatedAt are still seen's. It stores the Version after
	// seen's. Otherwise it changes nothing and returns ErrConflict, ErrNotFound
	// if there is no such account, or ErrEmailTaken or ErrUsernameTaken if
	// another account has a name of next's.
	ReplaceUser(ctx context.Context, seen, next User) error
	// RemoveUser removes the account seen on the same condition.
	RemoveUser(ctx context.Context, seen User) error
	// UsersToDelete returns at most limit accounts whose DeleteAt is at or before at, and
	// is not zero.
	UsersToDelete(ctx context.Context, at time.Time, limit int) ([]User, error)
	// PendingUsers returns at most limit accounts, including unborn ones, whose
	// slot is not empty.
	PendingUsers(ctx context.Context, limit int) ([]User, error)
	// RehashPassword replaces the hash from by to and changes nothing else but
	// the Version: the password is the same, under better parameters. It does
	// nothing and returns nil if the hash is no longer from, or if a decision
	// on the account is under way.
	RehashPassword(ctx context.Context, uid, from, to string) error
	// Settle clears Unsettled if the account's Epoch is still epoch.
	Settle(ctx context.Context, uid string, epoch int64) error
	// Unsettled returns at most limit accounts whose Unsettled is set.
	Unsettled(ctx context.Context, limit int) ([]User, error)
}

// Sessions ends the sessions (refresh-token families) of an account, and
// changes what their tokens say about its user.
type Sessions interface {
	// EndSessionsOf ends every live session of the user but except (may be
	// empty) and returns how many it ended.
	EndSessionsOf(ctx context.Context, uid, except, reason string) (int, error)
	// EndSessionsWith ends every live session that the user has with the client and
	// returns how many it ended.
	EndSessionsWith(ctx context.Context, uid, clientID, reason string) (int, error)
	// SessionOf reports whether the session id is live. It returns ErrNoSession
	// if the user has no session of that id.
	SessionOf(ctx context.Context, uid, id string) (live bool, err error)
	// EndSession ends the session that the event names and writes the event. It
	// reports whether this call ended the session; a session that is not live
	// is no error, and the event is written too. The error is ErrNoSession if
	// the user has no session of that id, or it is decision.Concluded.
	EndSession(ctx context.Context, e audit.Event) (bool, error)
	// OwesNotice reports whether the notice of a decision on the session id may still be
	// written by who carries that out.
	OwesNotice(ctx context.Context, id, decision string) (bool, error)
	// CountSessionsOf returns the number of the user's live sessions but
	// except.
	CountSessionsOf(ctx context.Context, uid, except string) (int, error)
	// SetClaimsOf sets the claims, a JSON object or empty, of every live
	// session of the user, and returns how many it changed.
	SetClaimsOf(ctx context.Context, uid, claims string) (int, error)
	// SetEmailOf sets the e-mail address of every live session of the user that
	// has one, and returns how many it changed.
	SetEmailOf(ctx context.Context, uid, email string) (int, error)
}
