package mongodb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// steadyID is the one document of its collection.
const steadyID = "steady"

type steadyRecord struct {
	ID string    `bson:"_id"`
	At time.Time `bson:"at"`
}

func (r steadyRecord) domain() time.Time { return r.At.UTC() }

// SetSteadyTime implements steady.Store.
func (s *Store) SetSteadyTime(ctx context.Context, t time.Time) error {
	err := changeOrInsert(func() (bool, error) {
		return found(s.steady.UpdateOne(ctx, bson.M{"_id": steadyID}, bson.M{"$set": bson.M{"at": t}}))
	}, func() error {
		_, err := s.steady.InsertOne(ctx, steadyRecord{steadyID, t})
		return err
	})
	return failed("storing the steady time", err)
}

// SteadyTime implements steady.Store.
func (s *Store) SteadyTime(ctx context.Context) (time.Time, error) {
	return one[steadyRecord](s.steady.FindOne(ctx, bson.M{"_id": steadyID}), "reading the steady time", nil)
}
