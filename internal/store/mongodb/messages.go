package mongodb

import (
	"cmp"
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/keyturn/keyturn/internal/outbox"
)

type messageRecord struct {
	ID        string    `bson:"_id"`
	Kind      string    `bson:"kind"`
	To        string    `bson:"destination"`
	Payload   []byte    `bson:"payload"`
	CreatedAt time.Time `bson:"created_at"`
	DueAt     time.Time `bson:"due_at"`
	Tries     int64     `bson:"tries"`
	Holder    string    `bson:"holder"`
}

func (r messageRecord) domain() outbox.Message { return outbox.Message(r) }

// AddMessage implements outbox.Store.
func (s *Store) AddMessage(ctx context.Context, m outbox.Message, most int) error {
	if most > 0 {
		if n, err := s.messages.EstimatedDocumentCount(ctx); err != nil || n >= int64(most) {
			return cmp.Or(failed("counting messages", err), outbox.ErrFull)
		}
	}
	return create(ctx, s.messages, messageRecord(m), outbox.ErrQueued)
}

func dueIn(due outbox.Due) bson.M {
	return bson.M{"$or": bson.A{bson.M{"due_at": bson.M{"$lte": due.At}}, bson.M{"due_at": bson.M{"$gt": due.Never}}}}
}

// DueDestinations implements outbox.Store. It goes from one to the next, however many
// messages wait for one; not every engine's distinct takes a limit of time.
func (s *Store) DueDestinations(ctx context.Context, due outbox.Due, limit int) (found []string, err error) {
	filter := dueIn(due)
	filter["destination"] = bson.M{"$gt": ""}
	next := options.FindOne().SetSort(bson.M{"destination": 1}).SetProjection(bson.M{"destination": 1})
	for len(found) < limit {
		var m messageRecord
		if err := s.messages.FindOne(ctx, filter, next).Decode(&m); err != nil {
			return found, failed("reading messages", unlessNone(err))
		}
		found = append(found, m.To)
		filter["destination"] = bson.M{"$gt": m.To}
	}
	return found, nil
}

func unlessNone(err error) error {
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil
	}
	return err
}

// DueMessages implements outbox.Store.
func (s *Store) DueMessages(ctx context.Context, to string, due outbox.Due, limit int) ([]outbox.Message, error) {
	if limit <= 0 {
		return nil, nil
	}
	filter := dueIn(due)
	filter["destination"] = to
	return list[messageRecord](ctx, s.messages, filter, options.Find().SetSort(bson.M{"due_at": 1}).SetLimit(int64(limit)))
}

// ReplaceMessage implements outbox.Store.
func (s *Store) ReplaceMessage(ctx context.Context, seen, next outbox.Message) error {
	next.ID = seen.ID
	replaced, err := found(s.messages.ReplaceOne(ctx, heldBy(seen), messageRecord(next)))
	if err == nil && !replaced {
		return outbox.ErrChanged
	}
	return failed("changing a message", err)
}

// RemoveMessage implements outbox.Store.
func (s *Store) RemoveMessage(ctx context.Context, seen outbox.Message) error {
	gone, err := removed(s.messages.DeleteOne(ctx, heldBy(seen)))
	if err == nil && !gone {
		return outbox.ErrChanged
	}
	return failed("removing a message", err)
}

func heldBy(seen outbox.Message) bson.M { return bson.M{"_id": seen.ID, "holder": seen.Holder} }

// Messages implements outbox.Store.
func (s *Store) Messages(ctx context.Context, after string, limit int) ([]outbox.Message, error) {
	return page[messageRecord](ctx, s.messages, after, limit)
}
