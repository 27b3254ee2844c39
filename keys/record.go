// Package keys owns the signing keys, which is one idea because their schedule,
// the rings that sign and verify, and the seal on private halves at rest all
// follow from one record for each key and the time.
package keys

import (
	"context"
	"errors"
	"time"

	"github.com/keyturn/keyturn/internal/decision"
)

// Record is a signing key as the store keeps it. What the key may do at a given
// time is a pure function of all records and that time (K5); see newView.
type Record struct {
	// Seq numbers the keys of a ring 0, 1, 2, …, from a number on that is the
	// ring's own; it is unique, so that of several replicas that create the
	// same key one wins and all agree.
	Seq int64
	// KID is the RFC 7638 thumbprint of the public key.
	KID string
	// Alg is the JWS algorithm, the only one that the key is used with.
	Alg string
	// Public is the public key as a JWK (RFC 7517), JSON.
	Public []byte
	// Sealed is the private key (PKCS #8, sealed); nil once it is erased (K4).
	Sealed []byte
	// CreatedAt is when the key was first published, ActivateAt when it
	// begins to sign.
	CreatedAt  time.Time
	ActivateAt time.Time
	// EndAt is when a key stops signing that no other follows, because its ring
	// is not wanted any more; else zero.
	EndAt time.Time
	// TokenTTL is the longest life of a token that the key may sign, Margin
	// how much longer the key stays published after it retired, by the
	// settings of the most generous replica. Both only grow.
	TokenTTL time.Duration
	Margin   time.Duration
	// Lead is a promise that binds whoever makes a key while this record is
	// there: that key will stand in the published set for at least so long
	// before it signs. Zero, in records of a version that made no promise,
	// means the lead of the reader's own policy.
	Lead time.Duration
	// Answers is when the latest revocation was made that whoever made this
	// key had read; zero if there was none. No copy of the key set that holds a
	// key revoked by then holds this one, so the first token that it signs makes
	// verifiers fetch that wait for a kid they do not know (K6).
	Answers time.Time
	// RevokedAt is zero unless the key was revoked, with RevokeReason.
	RevokedAt    time.Time
	RevokeReason string
	// Archived keys have left the JWKS for good; the record stays, so that
	// what the key signed in the audit log can be verified for ever.
	Archived bool
	// Version grows by one with each write; see Store.UpdateKey.
	Version int64
	// Decision is what the key holds for an operator's decision on it; its own
	// Version is not used.
	Decision decision.Held
}

// What a Store answers. Test with errors.Is.
var (
	// ErrKeyExists means that the sequence number or the kid is taken.
	ErrKeyExists = errors.New("key exists")
	// ErrNoKey means that no such key exists.
	ErrNoKey = errors.New("no such key")
	// ErrConflict means that the record changed since it was read.
	ErrConflict = errors.New("key was changed meanwhile")
)

// Store keeps key records. Every method is one atomic operation, durable when
// it returns nil, safe for concurrent use by many processes.
type Store interface {
	// Keys returns the records that are not archived, by Seq; one indexed read.
	Keys(ctx context.Context) ([]Record, error)
	// ArchivedKeys returns the archived records, by Seq.
	ArchivedKeys(ctx context.Context) ([]Record, error)
	// CreateKey adds r, or returns ErrKeyExists and adds nothing.
	CreateKey(ctx context.Context, r Record) error
	// UpdateKey replaces the record of r.KID by r if the stored Version is
	// still r.Version, storing Version r.Version+1. ErrConflict if it is not,
	// ErrNoKey if there is no such record.
	UpdateKey(ctx context.Context, r Record) error
}
