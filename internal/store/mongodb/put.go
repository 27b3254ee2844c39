package mongodb

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/outbox"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// Put implements store.Store. It makes one bulk insert for each kind, usually
// into an empty collection, and then one replacement for each record that
// existed.
func (s *Store) Put(ctx context.Context, r store.Records) error {
	return errors.Join(
		s.putUsers(ctx, r.Users),
		put(ctx, s.clients, r.Clients, func(c clients.Client) (any, any) { return c.ID, clientRecord(c) }),
		put(ctx, s.families, r.Families, func(f oauth.Family) (any, any) { return f.ID, familyRecord(f) }),
		put(ctx, s.keys, r.Keys, func(k keys.Record) (any, any) { return k.Seq, newKeyDocument(k) }),
		put(ctx, s.messages, r.Messages, func(m outbox.Message) (any, any) { return m.ID, messageRecord(m) }),
		put(ctx, s.denied, r.Denied, func(d oauth.DeniedToken) (any, any) { return d.JTI, deniedRecord(d) }),
	)
}

// putUsers stores accounts. Each replaces every other account that it conflicts
// with, because addresses and usernames may have passed from one account to
// another. Such another account is stored later, or no longer exists.
func (s *Store) putUsers(ctx context.Context, all []users.User) error {
	there, err := insert(ctx, s.users, all, func(u users.User) any { return userRecord(u) })
	if err != nil {
		return err
	}
	for _, u := range there {
		names := bson.A{}
		if u.EmailKey != "" {
			names = append(names, bson.M{"email_key": u.EmailKey})
		}
		if u.UsernameKey != "" {
			names = append(names, bson.M{"username_key": u.UsernameKey})
		}
		if len(names) == 0 {
			names = append(names, bson.M{"_id": u.UID})
		}
		if _, err := s.users.DeleteMany(ctx, bson.M{"_id": bson.M{"$ne": u.UID}, "$or": names}); err != nil {
			return failed("making way in "+s.users.Name(), err)
		}
		if err := replace(ctx, s.users, u.UID, userRecord(u)); err != nil {
			return err
		}
	}
	return nil
}

// put stores records in a collection; of returns a record's _id and document.
func put[T any](ctx context.Context, in *mongo.Collection, records []T, of func(T) (id, document any)) error {
	there, err := insert(ctx, in, records, func(r T) any { _, document := of(r); return document })
	if err != nil {
		return err
	}
	for _, r := range there {
		id, document := of(r)
		if err := replace(ctx, in, id, document); err != nil {
			return err
		}
	}
	return nil
}

// insert adds records to a collection and returns those that conflict with
// existing documents.
func insert[T any](ctx context.Context, in *mongo.Collection, records []T, document func(T) any) (there []T, err error) {
	if len(records) == 0 {
		return nil, nil
	}
	documents := make([]any, len(records))
	for i, r := range records {
		documents[i] = document(r)
	}
	_, err = in.InsertMany(ctx, documents, options.InsertMany().SetOrdered(false))
	var partial mongo.BulkWriteException
	switch {
	case err == nil:
		return nil, nil
	case !errors.As(err, &partial) || partial.WriteConcernError != nil:
		return nil, failed("writing to "+in.Name(), err)
	}
	for _, w := range partial.WriteErrors {
		if w.Code != codeDuplicateKey {
			return nil, failed("writing to "+in.Name(), err)
		}
		there = append(there, records[w.Index])
	}
	return there, nil
}

func replace(ctx context.Context, in *mongo.Collection, id, document any) error {
	return writeOrInsert(ctx, in, document, func() (bool, error) { return found(in.ReplaceOne(ctx, bson.M{"_id": id}, document)) })
}

// Sizes implements store.Store, with the collections' estimated counts.
func (s *Store) Sizes(ctx context.Context) (store.Sizes, error) {
	var sizes store.Sizes
	for of, n := range map[*mongo.Collection]*int64{
		s.users: &sizes.Users, s.clients: &sizes.Clients, s.families: &sizes.Families, s.denied: &sizes.Denied,
	} {
		var err error
		if *n, err = of.EstimatedDocumentCount(ctx); err != nil {
			return store.Sizes{}, failed("counting "+of.Name(), err)
		}
	}
	return sizes, nil
}
