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
	// Seq numbers the keys of a ring from 0 on, offset by the ring's number (see
	// ringSpan). It is unique, so that one of several replicas that create the
	// same key wins and all agree.
	Seq int64
	// KID is the RFC 7638 thumbprint of the public key.
	KID string
	// Alg is the only JWS algorithm that the key is used with.
	Alg string
	// Public is the public key as a JWK (RFC 7517), JSON.
	Public []byte
	// Sealed is the private key (PKCS #8, sealed); nil once it is erased (K4).
	Sealed []byte
	// CreatedAt is when the key was first published. ActivateAt is when it
	// begins to sign.
	CreatedAt  time.Time
	ActivateAt time.Time
	// EndAt is when a key without a successor stops signing, because its ring is
	// no longer wanted; otherwise zero.
	EndAt time.Time
	// TokenTTL is the longest life of a token that the key may sign. Margin is
	// how much longer the key stays published. Both come from the replica with
	// the longest settings, and only grow.
	TokenTTL time.Duration
	Margin   time.Duration
	// Lead is a promise about keys created while this record exists: they are
	// published for at least Lead before they sign. It is zero in records of a
	// version that made no promise, and then the reader's own policy counts.
	Lead time.Duration
	// Answers is the time of the latest revocation that the creator of this key
	// had read, or zero. No copy of the key set that holds a key revoked by then
	// holds this one. So its first token makes verifiers fetch that only do so
	// for an unknown kid (K6).
	Answers time.Time
	// RevokedAt is zero unless the key was revoked, for RevokeReason.
	RevokedAt    time.Time
	RevokeReason string
	// Archived keys have left the JWKS for good. The record stays, so that
	// signatures of the key in the audit log can be verified for ever.
	Archived bool
	// Version grows by one with each write; see Store.UpdateKey.
	Version int64
	// Decision is the state of an operator's decision about the key; its own
	// Version is not used.
	Decision decision.Held
}

// Errors of a Store, for errors.Is.
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
	// Keys returns the records that are not archived, by Seq, in one indexed
	// read.
	Keys(ctx context.Context) ([]Record, error)
	// ArchivedKeys returns the archived records, by Seq.
	ArchivedKeys(ctx context.Context) ([]Record, error)
	// CreateKey adds r, or returns ErrKeyExists and adds nothing.
	CreateKey(ctx context.Context, r Record) error
	// UpdateKey replaces the record of r.KID by r with Version r.Version+1 if
	// the stored Version is r.Version. It returns ErrConflict if it is not, and
	// ErrNoKey if there is no such record.
	UpdateKey(ctx context.Context, r Record) error
}
