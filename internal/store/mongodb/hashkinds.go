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
	return updateOrInsert(ctx, s.hashKinds, kind, bson.M{"$max": bson.M{"announced_at": at}}, hashKindRecord{kind, at})
}

// HashKinds implements users.Store.
func (s *Store) HashKinds(ctx context.Context) ([]string, error) {
	return list[hashKindRecord](ctx, s.hashKinds, bson.M{}, byID())
}

// ForgetHashKind implements users.Store.
func (s *Store) ForgetHashKind(ctx context.Context, kind string, before time.Time) error {
	_, err := s.hashKinds.DeleteOne(ctx, bson.M{"_id": kind, "announced_at": bson.M{"$lt": before}})
	return failed("forgetting a kind of hash", err)
}
