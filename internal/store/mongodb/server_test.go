package mongodb

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// TestOpenRefusesServers opens stores on servers that introduce themselves as
// what cannot keep a store's promises, and as what can: the latter then fails
// to create indexes, for it does nothing else.
func TestOpenRefusesServers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		hello, build bson.M
		want         string
	}{
		{"standalone", nil, mongod(7), "standalone mongod; Keyturn needs a replica set"},
		{"too old", bson.M{"setName": "rs0"}, mongod(5), `MongoDB "5.0.9"; Keyturn needs 6.0 or later`},
		{"too old, sharded", bson.M{"msg": "isdbgrid"}, mongod(4), "6.0 or later"},
		{"without a version", bson.M{"setName": "rs0"}, nil, "6.0 or later"},
		{"replica set", bson.M{"setName": "rs0"}, mongod(6), "creating the index"},
		{"sharded cluster", bson.M{"msg": "isdbgrid"}, mongod(8), "creating the index"},
		{"FerretDB 1", nil, bson.M{"ferretdbVersion": "v1.24.0"}, "creating the index"},
		{"FerretDB 2", nil, bson.M{"ferretdb": bson.M{"version": "v2"}}, "creating the index"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			address := introduces(t, c.hello, c.build)
			st, err := Open(t.Context(), "mongodb://"+address+"/")
			if err == nil {
				st.Close()
				t.Fatal("the server was accepted")
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is %q; want %q in it, in one line", err, c.want)
			}
		})
	}
}

func mongod(major int32) bson.M {
	return bson.M{"version": string('0'+rune(major)) + ".0.9", "versionArray": bson.A{major, int32(0), int32(9), int32(0)}}
}

// TestViolatedIndex reads the messages of MongoDB and of FerretDB.
func TestViolatedIndex(t *testing.T) {
	const mongo = `E11000 duplicate key error collection: keyturn.users index: `
	for message, want := range map[string]string{
		mongo + `username_key dup key: { username_key: "ada" }`:                            "username_key",
		mongo + `email_key collation: { locale: "x" } dup key: { email_key: " index: x" }`: "email_key",
		mongo + `_id_ dup key: { _id: "1" }`:                                               "_id_",
		`E11000 duplicate key error collection: keyturn.users`:                             "",
		"": "",
	} {
		if got := violatedIndex(errors.New(message)); got != want {
			t.Errorf("%q names the index %q; want %q", message, got, want)
		}
	}
}

func FuzzViolatedIndex(f *testing.F) {
	f.Add(`E11000 duplicate key error collection: keyturn.users index: email_key dup key: { email_key: "a" }`)
	f.Add("index: ")
	f.Fuzz(func(t *testing.T, message string) {
		if name := violatedIndex(errors.New(message)); strings.Contains(name, " ") || !strings.Contains(message, name) {
			t.Errorf("%q names the index %q", message, name)
		}
	})
}

// TestChangeOrInsert goes on only while a document is neither there to be changed
// nor missing when it is to be inserted.
func TestChangeOrInsert(t *testing.T) {
	duplicate := mongo.WriteException{WriteErrors: mongo.WriteErrors{{Code: 11000}}}
	for _, c := range []struct {
		name    string
		changes []bool
		inserts []error
		fails   bool
	}{
		{"there", []bool{true}, nil, false},
		{"new", []bool{false}, []error{nil}, false},
		{"another was first", []bool{false, true}, []error{duplicate}, false},
		{"the server is away", []bool{false}, []error{context.Canceled}, true},
		{"there and gone", make([]bool, insertAttempts), slices.Repeat([]error{duplicate}, insertAttempts), true},
	} {
		changes, inserts := 0, 0
		err := changeOrInsert(func() (bool, error) {
			changes++
			return c.changes[changes-1], nil
		}, func() error {
			inserts++
			return c.inserts[inserts-1]
		})
		if (err != nil) != c.fails || changes != len(c.changes) || inserts != len(c.inserts) {
			t.Errorf("%s: %v after %d changes and %d inserts", c.name, err, changes, inserts)
		}
	}
	if err := changeOrInsert(func() (bool, error) { return false, context.Canceled }, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}
