package mongodb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Sweep implements store.Store.
func (s *Store) Sweep(ctx context.Context, now time.Time, limit int) (int, error) {
	removed := 0
	told := bson.A{bson.M{"tell_end": absent}, bson.M{"revoked_at": notEnded}}
	for _, kind := range []struct {
		in    *mongo.Collection
		field string
		past  bson.M
	}{
		{s.families, "purge_at", bson.M{"$or": told}},
		{s.denied, "expire_at", bson.M{}},
		{s.counters, "expire_at", bson.M{}},
	} {
		n, err := sweep(ctx, kind.in, kind.field, kind.past, now, limit)
		removed += n
		if err != nil {
			return removed, failed("removing what has expired from "+kind.in.Name(), err)
		}
	}
	return removed, nil
}

// sweep removes at most limit of the documents past whose field is past and that have no
// decision. The condition is repeated in the delete, so that a document whose
// life was extended meanwhile stays.
func sweep(ctx context.Context, c *mongo.Collection, field string, past bson.M, now time.Time, limit int) (int, error) {
	if limit <= 0 {
		return 0, nil
	}
	past[field], past["slot_id"] = bson.M{"$lte": now}, absent
	cursor, err := c.Find(ctx, past, options.Find().
		SetProjection(bson.M{"_id": 1}).SetSort(bson.M{field: 1}).SetLimit(int64(limit)))
	if err != nil {
		return 0, err
	}
	var found []struct {
		ID string `bson:"_id"`
	}
	if err := cursor.All(ctx, &found); err != nil || len(found) == 0 {
		return 0, err
	}
	ids := make([]string, len(found))
	for i, f := range found {
		ids[i] = f.ID
	}
	past["_id"] = bson.M{"$in": ids}
	result, err := c.DeleteMany(ctx, past)
	if err != nil {
		return 0, err
	}
	return int(result.DeletedCount), nil
}
