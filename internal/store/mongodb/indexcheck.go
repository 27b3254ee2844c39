package mongodb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Check implements store.Store. It checks the indexes that Open creates, which
// somebody may have dropped or changed. The data files are the server's concern.
func (s *Store) Check(ctx context.Context) ([]string, error) {
	standing, err := s.standing(ctx)
	if err != nil {
		return nil, err
	}
	wrong := s.strangers(standing)
	for _, i := range s.outlived() {
		if i.named(standing[i.on]) {
			wrong = append(wrong, fmt.Sprintf("the index %s of %s is of an earlier version: run keyturn store migrate, or start the server, which drops it", i.name, i.on.Name()))
		}
	}
	for _, i := range s.indexes() {
		if problem := i.problem(standing[i.on]); problem != "" {
			wrong = append(wrong, problem)
		}
	}
	return wrong, nil
}

// standing lists the indexes of every collection.
func (s *Store) standing(ctx context.Context) (map[*mongo.Collection][]standing, error) {
	found := map[*mongo.Collection][]standing{}
	for _, c := range s.collections() {
		all, err := standingOn(ctx, c)
		if err != nil {
			return nil, err
		}
		found[c] = all
	}
	return found, nil
}

// strangers returns what is wrong with indexes that Keyturn did not make: by some the
// server deletes documents by its own clock, which Keyturn does not trust (T1), and
// others make it refuse writes.
func (s *Store) strangers(found map[*mongo.Collection][]standing) (wrong []string) {
	ours := map[string]bool{}
	for _, i := range append(s.indexes(), s.outlived()...) {
		ours[i.on.Name()+"."+i.name] = true
	}
	for _, c := range s.collections() {
		for _, other := range found[c] {
			if ours[c.Name()+"."+other.Name] || other.Name == "_id_" {
				continue
			}
			if !other.Expire.IsZero() {
				wrong = append(wrong, fmt.Sprintf("the index %s of %s has expireAfterSeconds, by which the server deletes: drop it", other.Name, c.Name()))
			}
			if other.Unique {
				wrong = append(wrong, fmt.Sprintf("the index %s of %s is unique and not Keyturn's, so that writes fail: drop it", other.Name, c.Name()))
			}
		}
	}
	return wrong
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

// problem returns what is wrong with the index, given all indexes of its
// collection, or "".
func (i index) problem(all []standing) string {
	for _, s := range all {
		if s.Name == i.name {
			return i.compare(s)
		}
	}
	for _, s := range all {
		switch differs := i.differs(s); {
		case len(differs) == 0 && !i.unique:
			return "" // it serves as well
		case len(differs) == 0 || i.inTheWay(s):
			return fmt.Sprintf("the index %s of %s has the fields of Keyturn's %s, which cannot be made beside it: drop %[1]s and run keyturn store migrate, or start the server",
				s.Name, i.on.Name(), i.name)
		}
	}
	return i.missing()
}

// named reports whether an index with its name is among all.
func (i index) named(all []standing) bool {
	return slices.ContainsFunc(all, func(s standing) bool { return s.Name == i.name })
}

// inTheWay reports whether a server refuses the index because of one that differs only
// in what does not tell two indexes apart.
func (i index) inTheWay(s standing) bool {
	s.Expire, s.Hidden = bson.RawValue{}, false
	return len(i.differs(s)) == 0
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

// compare returns how an existing index differs from the wanted one, in words, or "".
func (i index) compare(s standing) string {
	differs := i.differs(s)
	if len(differs) == 0 {
		return ""
	}
	return fmt.Sprintf("the index %s of %s is not what Keyturn makes (%s): drop it and run keyturn store migrate, or start the server",
		i.name, i.on.Name(), strings.Join(differs, ", "))
}

// differs lists how an existing index differs from the wanted one, except in its name.
func (i index) differs(s standing) (differs []string) {
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
	return differs
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
