package mongodb

import (
	"context"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Check implements store.Store. It checks the indexes that Open creates, which
// somebody may have dropped or changed. The data files are the server's concern.
func (s *Store) Check(ctx context.Context) ([]string, error) {
	var wrong []string
	for _, i := range s.indexes() {
		problem, err := i.stands(ctx)
		if err != nil {
			return nil, err
		}
		if problem != "" {
			wrong = append(wrong, problem)
		}
	}
	return wrong, nil
}

// standing is an index as listed by a server.
type standing struct {
	Name    string        `bson:"name"`
	Keys    bson.Raw      `bson:"key"`
	Unique  bool          `bson:"unique"`
	Sparse  bool          `bson:"sparse"`
	Expire  bson.RawValue `bson:"expireAfterSeconds"`
	Partial bson.Raw      `bson:"partialFilterExpression"`
	Hidden  bool          `bson:"hidden"`

	Collation bson.Raw `bson:"collation"`
}

// stands returns what is wrong with the index on the server, or "".
func (i index) stands(ctx context.Context) (string, error) {
	all, err := standingOn(ctx, i.on)
	if err != nil {
		return "", err
	}
	return i.problem(all), nil
}

// problem returns what is wrong with the index, given all indexes of its
// collection, or "".
func (i index) problem(all []standing) string {
	for _, s := range all {
		if s.Name == i.name {
			return i.compare(s)
		}
	}
	return i.missing()
}

// standingOn lists the indexes of a collection. It returns none if the collection
// does not exist; an existing one has at least the index of _id.
func standingOn(ctx context.Context, c *mongo.Collection) (all []standing, err error) {
	cursor, err := c.Indexes().List(ctx)
	if errorCode(err) == codeNamespaceNotFound {
		return nil, nil
	}
	if err == nil {
		err = cursor.All(ctx, &all)
	}
	return all, failed("listing the indexes of "+c.Name(), err)
}

func (i index) missing() string {
	return fmt.Sprintf("the index %s of %s is missing: run keyturn store migrate, or start the server, which makes it", i.name, i.on.Name())
}

// compare returns how an existing index differs from the wanted one, or "".
func (i index) compare(s standing) string {
	var differs []string
	keys, err := bson.Marshal(i.keys)
	if err != nil || !sameKeys(keys, s.Keys) {
		differs = append(differs, "other fields")
	}
	for _, option := range []struct {
		name     string
		is, want bool
	}{{"unique", s.Unique, i.unique}, {"sparse", s.Sparse, i.sparse}} {
		switch {
		case option.want && !option.is:
			differs = append(differs, "not "+option.name)
		case option.is && !option.want:
			differs = append(differs, option.name)
		}
	}
	if !s.Expire.IsZero() {
		differs = append(differs, "with expireAfterSeconds, by which the server deletes")
	}
	if len(s.Partial) > 0 {
		differs = append(differs, "of a part of the documents")
	}
	if len(s.Collation) > 0 {
		differs = append(differs, "with a collation")
	}
	if s.Hidden {
		differs = append(differs, "hidden")
	}
	if len(differs) == 0 {
		return ""
	}
	return fmt.Sprintf("the index %s of %s is not what Keyturn makes (%s): drop it and run keyturn store migrate, or start the server",
		i.name, i.on.Name(), strings.Join(differs, ", "))
}

// sameKeys compares index keys, whose directions servers store as any type of
// number.
func sameKeys(a, b bson.Raw) bool {
	x, errX := a.Elements()
	y, errY := b.Elements()
	if errX != nil || errY != nil || len(x) != len(y) {
		return false
	}
	for i := range x {
		m, _ := x[i].Value().AsInt64OK()
		n, _ := y[i].Value().AsInt64OK()
		if x[i].Key() != y[i].Key() || m != n {
			return false
		}
	}
	return true
}
