package mongodb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/keyturn/keyturn/keys"
)

type keyRecord struct {
	Seq          int64         `bson:"_id"`
	KID          string        `bson:"kid"`
	Alg          string        `bson:"alg"`
	Public       []byte        `bson:"public"`
	Sealed       []byte        `bson:"sealed"`
	CreatedAt    time.Time     `bson:"created_at"`
	ActivateAt   time.Time     `bson:"activate_at"`
	TokenTTL     time.Duration `bson:"token_ttl_ns"`
	Margin       time.Duration `bson:"margin_ns"`
	Lead         time.Duration `bson:"lead_ns"`
	Answers      time.Time     `bson:"answers,omitempty"`
	RevokedAt    time.Time     `bson:"revoked_at,omitempty"`
	RevokeReason string        `bson:"revoke_reason,omitempty"`
	Archived     bool          `bson:"archived"`
	Version      int64         `bson:"version"`
}

func (r keyRecord) domain() keys.Record { return keys.Record(r) }

// Keys implements keys.Store.
func (s *Store) Keys(ctx context.Context) ([]keys.Record, error) {
	return s.listKeys(ctx, false)
}

// ArchivedKeys implements keys.Store.
func (s *Store) ArchivedKeys(ctx context.Context) ([]keys.Record, error) {
	return s.listKeys(ctx, true)
}

func (s *Store) listKeys(ctx context.Context, archived bool) ([]keys.Record, error) {
	found, err := list[keyRecord](ctx, s.latest.keys, bson.M{"archived": archived}, byID())
	return found, failed("reading the keys", err)
}

// CreateKey implements keys.Store.
func (s *Store) CreateKey(ctx context.Context, r keys.Record) error {
	_, err := s.keys.InsertOne(ctx, keyRecord(r))
	if mongo.IsDuplicateKeyError(err) {
		return keys.ErrKeyExists
	}
	return failed("creating a key", err)
}

// UpdateKey implements keys.Store. The sequence number of a key never changes;
// a record with another one is in conflict with what is stored.
func (s *Store) UpdateKey(ctx context.Context, r keys.Record) error {
	next := keyRecord(r)
	next.Version++
	result, err := s.keys.ReplaceOne(ctx, bson.M{"_id": r.Seq, "kid": r.KID, "version": r.Version}, next)
	if err != nil {
		return failed("updating a key", err)
	}
	if result.MatchedCount > 0 {
		return nil
	}
	known, err := exists(ctx, s.keys, bson.M{"kid": r.KID})
	switch {
	case err != nil:
		return failed("updating a key", err)
	case known:
		return keys.ErrConflict
	}
	return keys.ErrNoKey
}
