package mongodb

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// The names of the unique indexes, which duplicate-key errors contain.
const (
	indexEmail    = "email_key_sparse"
	indexUsername = "username_key"
	indexKID      = "kid"
	// formerIndexEmail was not sparse, so that only one account could be without
	// an address.
	formerIndexEmail = "email_key"
)

// index is one index of a collection.
type index struct {
	on     *mongo.Collection
	name   string
	keys   bson.D
	unique bool
	// sparse omits documents without the field, so that accounts without an
	// address or a username do not conflict, and settled ones take no space.
	sparse bool
}

func (s *Store) indexes() []index {
	ascending := func(field string) bson.D { return bson.D{{Key: field, Value: 1}} }
	swept := func(field string) bson.D { return bson.D{{Key: field, Value: 1}, {Key: "_id", Value: 1}} }
	all := []index{
		{on: s.users, name: indexEmail, keys: ascending("email_key"), unique: true, sparse: true},
		{on: s.users, name: indexUsername, keys: ascending("username_key"), unique: true, sparse: true},
		{on: s.users, name: "unsettled", keys: ascending("unsettled"), sparse: true},
		{on: s.users, name: "delete_at", keys: ascending("delete_at"), sparse: true},
		{on: s.users, name: "slot_id", keys: ascending("slot_id"), sparse: true},
		{on: s.clients, name: "slot_id", keys: ascending("slot_id"), sparse: true},
		{on: s.families, name: "slot_id", keys: ascending("slot_id"), sparse: true},
		{on: s.denied, name: "slot_id", keys: ascending("slot_id"), sparse: true},
		// revoked_at in second place separates the ended families, of which there
		// can be many, from the live ones.
		{on: s.families, name: "user_live", keys: bson.D{
			{Key: "user_id", Value: 1}, {Key: "revoked_at", Value: 1}, {Key: "created_at", Value: -1}, {Key: "_id", Value: -1},
		}},
		{on: s.families, name: "client_live", keys: bson.D{{Key: "client_id", Value: 1}, {Key: "revoked_at", Value: 1}}},
		// Sparse: a live family without the field takes no place in it.
		{on: s.families, name: "untold", keys: bson.D{{Key: "tell_end", Value: 1}, {Key: "revoked_at", Value: 1}}, sparse: true},
		{on: s.messages, name: "due", keys: bson.D{{Key: "destination", Value: 1}, {Key: "due_at", Value: 1}}},
		{on: s.families, name: "purge_at", keys: swept("purge_at")},
		{on: s.keys, name: indexKID, keys: ascending("kid"), unique: true},
		{on: s.keys, name: "archived", keys: bson.D{{Key: "archived", Value: 1}, {Key: "_id", Value: 1}}},
		{on: s.denied, name: "expire_at", keys: swept("expire_at")},
		{on: s.counters, name: "expire_at", keys: swept("expire_at")},
	}
	if s.engine.Product == ferretDB1 {
		for n := range all {
			// FerretDB 1 has no sparse indexes; there documents without a field
			// never conflict.
			all[n].sparse = false
			if all[n].name == indexEmail {
				all[n].name = formerIndexEmail // which is the same index there
			}
		}
	}
	return all
}

// outlived returns the indexes of earlier versions. With the TTL indexes the
// server removed documents whose date was past by its own clock: one wrong minute
// there, and every session was gone (T1). Sweep removes expired documents
// instead. The former index of addresses allowed only one account without an
// address.
func (s *Store) outlived() []index {
	all := []index{{on: s.families, name: "purge"}, {on: s.denied, name: "expire"}, {on: s.counters, name: "expire"}}
	if s.engine.Product != ferretDB1 {
		all = append(all, index{on: s.users, name: formerIndexEmail})
	}
	return all
}

// drop removes the index if it exists.
func (i index) drop(ctx context.Context) error {
	all, err := standingOn(ctx, i.on)
	if err != nil || !i.named(all) {
		return err
	}
	err = i.on.Indexes().DropOne(ctx, i.name)
	if errorCode(err) == codeIndexNotFound {
		return nil // another replica was faster
	}
	return failed("dropping the index "+i.name+" of "+i.on.Name(), err)
}

func (i index) model() mongo.IndexModel {
	o := options.Index().SetName(i.name)
	if i.unique {
		o.SetUnique(true)
	}
	if i.sparse {
		o.SetSparse(true)
	}
	return mongo.IndexModel{Keys: i.keys, Options: o}
}

// indexAttempts bounds how often one index is requested, because on some servers
// replicas that start at once get into each other's way.
const indexAttempts = 5

// create creates the index unless it exists. It retries only after an error of
// the server that is not about the index itself.
func (i index) create(ctx context.Context) (err error) {
	for range indexAttempts {
		_, err = i.on.Indexes().CreateOne(ctx, i.model())
		switch errorCode(err) {
		case codeInternalError, codeNamespaceExists, codeIndexBuildAborted, codeWriteConflict:
		default:
			return err
		}
	}
	return err
}

// Server error codes.
const (
	codeInternalError     = 1
	codeNamespaceNotFound = 26
	codeIndexNotFound     = 27
	codeNamespaceExists   = 48
	codeWriteConflict     = 112
	codeDuplicateKey      = 11000
	codeIndexBuildAborted = 276
)

// errorCode returns the code of the command error in err, or 0.
func errorCode(err error) int32 {
	if answer, ok := errors.AsType[mongo.CommandError](err); ok {
		return answer.Code
	}
	return 0
}
