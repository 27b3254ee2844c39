package mongodb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/keyturn/keyturn/internal/audit"
)

type placeRecord struct {
	ID   string    `bson:"_id"`
	Host string    `bson:"host"`
	Sink string    `bson:"sink"`
	At   time.Time `bson:"at"`
}

func (r placeRecord) domain() audit.Place {
	return audit.Place{Host: r.Host, Sink: r.Sink, At: r.At.UTC()}
}

// SetPlace implements audit.PlaceStore.
func (s *Store) SetPlace(ctx context.Context, p audit.Place) error {
	id := p.Host + ":" + p.Sink
	err := changeOrInsert(func() (bool, error) {
		return found(s.places.UpdateOne(ctx, bson.M{"_id": id}, bson.M{"$set": bson.M{"at": p.At}}))
	}, func() error {
		_, err := s.places.InsertOne(ctx, placeRecord{id, p.Host, p.Sink, p.At})
		return err
	})
	return failed("storing where the audit log is", err)
}

// Places implements audit.PlaceStore.
func (s *Store) Places(ctx context.Context) ([]audit.Place, error) {
	found, err := list[placeRecord](ctx, s.places, bson.M{},
		options.Find().SetSort(bson.D{{Key: "at", Value: -1}, {Key: "_id", Value: 1}}))
	return found, failed("reading where the audit logs are", err)
}
