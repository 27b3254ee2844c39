package mongodb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

type hashKindRecord struct {
	Kind        string    `bson:"_id"`
	AnnouncedAt time.Time `bson:"announced_at"`
}

func (r hashKindRecord) domain() string { return r.Kind }

// AnnounceHashKind implements users.Store.
func (s *Store) AnnounceHashKind(ctx context.Context, kind string, at time.Time) error {
	err := changeOrInsert(func() (bool, error) {
		return found(s.hashKinds.UpdateOne(ctx, bson.M{"_id": kind}, bson.M{"$max": bson.M{"announced_at": at}}))
	}, func() error {
		_, err := s.hashKinds.InsertOne(ctx, hashKindRecord{kind, at})
		return err
	})
	return failed("announcing a kind of hash", err)
}

// HashKinds implements users.Store.
func (s *Store) HashKinds(ctx context.Context) ([]string, error) {
	found, err := list[hashKindRecord](ctx, s.hashKinds, bson.M{}, byID())
	return found, failed("reading the kinds of hashes", err)
}

// ForgetHashKind implements users.Store.
func (s *Store) ForgetHashKind(ctx context.Context, kind string, before time.Time) error {
	_, err := s.hashKinds.DeleteOne(ctx, bson.M{"_id": kind, "announced_at": bson.M{"$lt": before}})
	return failed("forgetting a kind of hash", err)
}
