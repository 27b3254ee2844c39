package mongodb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/keyturn/keyturn/internal/audit"
)

type anchorRecord struct {
	Chain string    `bson:"_id"`
	Seq   int64     `bson:"seq"`
	Hash  string    `bson:"hash"`
	Node  string    `bson:"node"`
	At    time.Time `bson:"at"`
}

func (r anchorRecord) domain() audit.Anchor { return audit.Anchor(r) }

// SetAnchor implements audit.AnchorStore.
func (s *Store) SetAnchor(ctx context.Context, a audit.Anchor) error {
	below := bson.M{"_id": a.Chain, "seq": bson.M{"$lt": a.Seq}}
	forward := func() (bool, error) {
		return found(s.anchors.UpdateOne(ctx, below, bson.M{"$set": bson.M{"seq": a.Seq, "hash": a.Hash, "node": a.Node, "at": a.At}}))
	}
	moved, err := forward()
	if moved || err != nil {
		return failed("anchoring an audit chain", err)
	}
	_, err = s.anchors.InsertOne(ctx, anchorRecord(a))
	if mongo.IsDuplicateKeyError(err) {
		// The chain has a head, usually not below a. But if two replicas set
		// the first head at once it may be below, and is replaced now.
		_, err = forward()
	}
	return failed("anchoring an audit chain", err)
}

// Anchors implements audit.AnchorStore. Verification accuses by what it returns, so
// no deposed primary may answer.
func (s *Store) Anchors(ctx context.Context) ([]audit.Anchor, error) {
	return list[anchorRecord](ctx, s.latest.anchors, bson.M{},
		options.Find().SetSort(bson.D{{Key: "at", Value: 1}, {Key: "_id", Value: 1}}))
}

type placeRecord struct {
	ID    string    `bson:"_id"`
	Host  string    `bson:"host"`
	Sink  string    `bson:"sink"`
	Store string    `bson:"store,omitempty"`
	At    time.Time `bson:"at"`
}

func (r placeRecord) domain() audit.Place {
	return audit.Place{Host: r.Host, Sink: r.Sink, Store: r.Store, At: r.At.UTC()}
}

// SetPlace implements audit.PlaceStore.
func (s *Store) SetPlace(ctx context.Context, p audit.Place) error {
	id := p.Host + ":" + p.Sink
	return updateOrInsert(ctx, s.places, id, bson.M{"$set": bson.M{"store": p.Store, "at": p.At}}, placeRecord{id, p.Host, p.Sink, p.Store, p.At})
}

// Places implements audit.PlaceStore.
func (s *Store) Places(ctx context.Context) ([]audit.Place, error) {
	return list[placeRecord](ctx, s.places, bson.M{},
		options.Find().SetSort(bson.D{{Key: "at", Value: -1}, {Key: "_id", Value: 1}}))
}
