package mongodb

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

type counterRecord struct {
	Key      string    `bson:"_id"`
	Count    int64     `bson:"count"`
	ExpireAt time.Time `bson:"expire_at"`
}

func (r counterRecord) domain() counterRecord { return r }

// AddCount implements throttle.Counters. A counter lives until the latest
// expireAt given for it.
func (s *Store) AddCount(ctx context.Context, key string, n int64, expireAt time.Time) (int64, error) {
	first := counterRecord{Key: key, Count: n, ExpireAt: expireAt}
	counter := first
	err := writeOrInsert(ctx, s.counters, first, func() (bool, error) {
		err := s.counters.FindOneAndUpdate(ctx,
			bson.M{"_id": key},
			bson.M{"$inc": bson.M{"count": n}, "$max": bson.M{"expire_at": expireAt}},
			returnNew()).Decode(&counter)
		if errors.Is(err, mongo.ErrNoDocuments) {
			counter = first
			return false, nil
		}
		return err == nil, err
	})
	return counter.Count, err
}

// Counts implements throttle.Counters.
func (s *Store) Counts(ctx context.Context, keys []string) ([]int64, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	found, err := list[counterRecord](ctx, s.counters, bson.M{"_id": bson.M{"$in": keys}}, byID())
	if err != nil {
		return nil, err
	}
	values := make(map[string]int64, len(found))
	for _, c := range found {
		values[c.Key] = c.Count
	}
	counts := make([]int64, len(keys))
	for i, key := range keys {
		counts[i] = values[key]
	}
	return counts, nil
}

// ResetCounts implements throttle.Counters.
func (s *Store) ResetCounts(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	_, err := s.counters.DeleteMany(ctx, bson.M{"_id": bson.M{"$in": keys}})
	return failed("resetting counters", err)
}
