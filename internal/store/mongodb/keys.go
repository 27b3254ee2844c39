package mongodb

import (
	"cmp"
	"context"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/keyturn/keyturn/internal/decision"
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
	EndAt        time.Time     `bson:"end_at,omitempty"`
	TokenTTL     time.Duration `bson:"token_ttl_ns"`
	Margin       time.Duration `bson:"margin_ns"`
	Lead         time.Duration `bson:"lead_ns"`
	Answers      time.Time     `bson:"answers,omitempty"`
	RevokedAt    time.Time     `bson:"revoked_at,omitempty"`
	RevokeReason string        `bson:"revoke_reason,omitempty"`
	Archived     bool          `bson:"-"` // see keyDocument
	Version      int64         `bson:"version"`
	Decision     decision.Held `bson:"decision,omitempty"`
}

// keyDocument is a key as it is stored. "archived" is true or false, as it always
// was, for keys of the main ring. It is one of two words for keys of the other
// rings, so that a Keyturn version which knows only one ring does not find them.
type keyDocument struct {
	Key  keyRecord `bson:",inline"`
	Mark any       `bson:"archived"`
}

const (
	besideKept     = "beside"
	besideArchived = "beside, archived"
)

func newKeyDocument(r keys.Record) keyDocument {
	d := keyDocument{keyRecord(r), r.Archived}
	if r.Beside() {
		d.Mark = besideKept
		if r.Archived {
			d.Mark = besideArchived
		}
	}
	return d
}

func (d keyDocument) domain() keys.Record {
	r := keys.Record(d.Key)
	r.Archived = d.Mark == true || d.Mark == besideArchived
	return r
}

// fullKey has every field that a key can have. An update uses it because it does not
// know which of them the stored key has.
var fullKey = newKeyDocument(keys.Record{
	EndAt: time.Unix(0, 0), Answers: time.Unix(0, 0), RevokedAt: time.Unix(0, 0), RevokeReason: "reason",
})

// Keys implements keys.Store.
func (s *Store) Keys(ctx context.Context) ([]keys.Record, error) {
	return s.listKeys(ctx, false, besideKept)
}

// ArchivedKeys implements keys.Store.
func (s *Store) ArchivedKeys(ctx context.Context) ([]keys.Record, error) {
	return s.listKeys(ctx, true, besideArchived)
}

func (s *Store) listKeys(ctx context.Context, marks ...any) ([]keys.Record, error) {
	found, err := list[keyDocument](ctx, s.latest.keys, bson.M{"archived": bson.M{"$in": marks}}, options.Find())
	slices.SortFunc(found, func(a, b keys.Record) int { return cmp.Compare(a.Seq, b.Seq) })
	return found, err
}

// CreateKey implements keys.Store.
func (s *Store) CreateKey(ctx context.Context, r keys.Record) error {
	return create(ctx, s.keys, newKeyDocument(r), keys.ErrKeyExists)
}

// UpdateKey implements keys.Store. The sequence number of a key never changes; a
// record with a different one conflicts with the stored one.
func (s *Store) UpdateKey(ctx context.Context, r keys.Record) error {
	next := newKeyDocument(r)
	next.Key.Version++
	changed, err := replaced(ctx, s.keys, bson.M{"_id": r.Seq, "kid": r.KID, "version": r.Version}, fullKey, next)
	if err != nil || changed {
		return failed("updating a key", err)
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
