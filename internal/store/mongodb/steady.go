package mongodb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// steadyID is the id of the only document in its collection.
const steadyID = "steady"

type steadyRecord struct {
	ID string    `bson:"_id"`
	At time.Time `bson:"at"`
}

func (r steadyRecord) domain() time.Time { return r.At.UTC() }

// SetSteadyTime implements steady.Store.
func (s *Store) SetSteadyTime(ctx context.Context, t time.Time) error {
	return updateOrInsert(ctx, s.steady, steadyID, bson.M{"$set": bson.M{"at": t}}, steadyRecord{steadyID, t})
}

// SteadyTime implements steady.Store.
func (s *Store) SteadyTime(ctx context.Context) (time.Time, error) {
	return one[steadyRecord](s.steady.FindOne(ctx, bson.M{"_id": steadyID}), "reading the steady time", nil)
}
