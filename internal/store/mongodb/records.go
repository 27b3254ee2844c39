package mongodb

import (
	"context"
	"errors"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// A record is a document as it is stored; domain returns its domain value.
// Documents have times as BSON dates (UTC, milliseconds) and durations in
// nanoseconds.
type record[D any] interface{ domain() D }

// list returns the domain values of the records that match filter.
func list[R record[D], D any](
	ctx context.Context, c *mongo.Collection, filter any, o *options.FindOptionsBuilder,
) ([]D, error) {
	var records []R
	cursor, err := c.Find(ctx, filter, o)
	if err == nil {
		err = cursor.All(ctx, &records)
	}
	if err != nil {
		return nil, failed("reading "+c.Name(), err)
	}
	found := make([]D, len(records))
	for i, r := range records {
		found[i] = r.domain()
	}
	return found, nil
}

// page returns at most limit records whose _id is above after, by _id, without
// unborn ones. People and copies go by it, so c reads linearizably, in one batch.
func page[R record[D], D any](ctx context.Context, c *mongo.Collection, after string, limit int) ([]D, error) {
	if limit <= 0 {
		return nil, nil
	}
	return list[R](ctx, c, bson.M{"_id": bson.M{"$gt": after}, "unborn": absent}, byID().SetLimit(int64(limit)).SetBatchSize(int32(limit)))
}

func byID() *options.FindOptionsBuilder { return options.Find().SetSort(bson.M{"_id": 1}) }

// one decodes the only document of result. Without one the error is missing;
// doing describes the operation for other errors.
func one[R record[D], D any](result *mongo.SingleResult, doing string, missing error) (D, error) {
	var r R
	var none D
	switch err := result.Decode(&r); {
	case errors.Is(err, mongo.ErrNoDocuments):
		return none, missing
	case err != nil:
		return none, failed(doing, err)
	}
	return r.domain(), nil
}

// create adds a document. The error is taken if its id or one of its names
// exists already.
func create(ctx context.Context, c *mongo.Collection, document any, taken error) error {
	_, err := c.InsertOne(ctx, document)
	if mongo.IsDuplicateKeyError(err) {
		return taken
	}
	return failed("adding to "+c.Name(), err)
}

// exists reports whether a document matches filter.
func exists(ctx context.Context, c *mongo.Collection, filter any) (bool, error) {
	err := c.FindOne(ctx, filter, options.FindOne().SetProjection(bson.M{"_id": 1})).Err()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return false, nil
	}
	return err == nil, err
}

// returnNew makes a findAndModify return the changed document.
func returnNew() *options.FindOneAndUpdateOptionsBuilder {
	return options.FindOneAndUpdate().SetReturnDocument(options.After)
}

// found reports whether an update with that result found its document.
func found(result *mongo.UpdateResult, err error) (bool, error) {
	return err == nil && result.MatchedCount > 0, err
}

// insertAttempts bounds changeOrInsert: an insert may find that another was
// first, and the next change that the document is gone again.
const insertAttempts = 5

// changeOrInsert changes a document or, if change finds none, inserts it. It
// replaces an upsert, which is not atomic on every engine: of many concurrent
// ones for one _id some may be lost. An insert is atomic everywhere, and a
// second one gets an error.
func changeOrInsert(change func() (bool, error), insert func() error) (err error) {
	for range insertAttempts {
		done, err := change()
		if done || err != nil {
			return err
		}
		if err = insert(); !mongo.IsDuplicateKeyError(err) {
			return err
		}
	}
	return errors.New("there and gone again each time")
}

// writeOrInsert is changeOrInsert for one document.
func writeOrInsert(ctx context.Context, c *mongo.Collection, document any, change func() (bool, error)) error {
	return failed("writing to "+c.Name(), changeOrInsert(change, func() error {
		_, err := c.InsertOne(ctx, document)
		return err
	}))
}

// updateOrInsert is writeOrInsert with an update of the document with that _id.
func updateOrInsert(ctx context.Context, c *mongo.Collection, id string, update bson.M, document any) error {
	return writeOrInsert(ctx, c, document, func() (bool, error) { return found(c.UpdateOne(ctx, bson.M{"_id": id}, update)) })
}

// violatedIndex returns the name of the unique index in a duplicate-key error,
// or "" if the error has none, as with FerretDB.
func violatedIndex(err error) string {
	_, rest, _ := strings.Cut(err.Error(), " index: ")
	name, _, _ := strings.Cut(rest, " ")
	return name
}
