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
// to list indexes, for it does nothing else.
func TestOpenRefusesServers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		hello, build bson.M
		accept       bool
		want         string
	}{
		{"standalone", nil, mongod(7), true, "standalone mongod; Keyturn needs a replica set"},
		{"too old", bson.M{"setName": "rs0"}, mongod(5), true, `MongoDB "5.0.9"; Keyturn needs 6.0 or later`},
		{"too old, sharded", bson.M{"msg": "isdbgrid"}, mongod(4), true, "6.0 or later"},
		{"without a version", bson.M{"setName": "rs0"}, nil, true, "6.0 or later"},
		{"replica set", bson.M{"setName": "rs0"}, mongod(6), false, "listing the indexes"},
		{"sharded cluster", bson.M{"msg": "isdbgrid"}, mongod(8), false, "listing the indexes"},
		{"FerretDB 1", nil, bson.M{"ferretdbVersion": "v1.24.0"}, false, "mongodb_engine_risk: accept"},
		{"FerretDB 1, sharded as it says", bson.M{"msg": "isdbgrid"}, bson.M{"ferretdbVersion": "v1.24.0"}, false, "mongodb_engine_risk: accept"},
		{"FerretDB 1, accepted", nil, bson.M{"ferretdbVersion": "v1.24.0"}, true, "listing the indexes"},
		{"FerretDB 2", nil, bson.M{"ferretdb": bson.M{"version": "v2"}}, false, "listing the indexes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			address := introduces(t, c.hello, c.build)
			st, err := Open(t.Context(), "mongodb://"+address+"/", Options{AcceptRisk: c.accept})
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

// TestEngines tells the products apart by what they answer to hello and buildInfo.
func TestEngines(t *testing.T) {
	ferret := bson.M{"version": "7.0.77", "versionArray": bson.A{int32(7)}, "ferretdbVersion": "v1.24.0"}
	for want, c := range map[string]struct{ hello, build bson.M }{
		"MongoDB 7.0.9, replica set rs0: nothing is known":         {bson.M{"setName": "rs0", "me": "db1:27017"}, mongod(7)},
		"MongoDB 8.0.9, sharded cluster: nothing is known":         {bson.M{"msg": "isdbgrid"}, mongod(8)},
		"FerretDB 1 v1.24.0, single server: of two conditional":    {bson.M{"msg": "isdbgrid"}, ferret},
		"FerretDB 2 v2.5.0, replica set rs0: nothing is known":     {bson.M{"setName": "rs0"}, with(mongod(7), "ferretdb", bson.M{"version": "v2.5.0"})},
		"FerretDB 1 v1.25.0, single server: of two conditional":    {nil, with(mongod(7), "ferretdb", bson.M{"version": "v1.25.0"})},
		"DocumentDB (Microsoft) 7.0.9, single server: nothing is":  {bson.M{"msg": "isdbgrid", "internal": bson.M{"documentdb_versions": bson.A{"0.117"}}}, mongod(7)},
		"DocumentDB (Microsoft) 8.0.9, single server: nothing is":  {bson.M{"hosts": bson.A{"c.x.mongocluster.cosmos.azure.com:10260"}}, mongod(8)},
		"Azure Cosmos DB (request units) 7.0.9, replica set g: re": {bson.M{"setName": "g", "me": "a.mongo.cosmos.azure.com:10255"}, mongod(7)},
		"Amazon DocumentDB 5.0.9, replica set rs0: it knows":       {bson.M{"setName": "rs0", "hosts": bson.A{"DB1.x.docdb.amazonaws.com:27017"}}, mongod(5)},
		"MongoDB 6.0.9, replica set rs1: nothing is known":         {bson.M{"setName": "rs1", "me": "docdb.amazonaws.com.example.org:27017"}, mongod(6)},
	} {
		e, err := engineOf(raw(t, c.hello), raw(t, c.build))
		if err != nil || !strings.HasPrefix(e.String(), want) {
			t.Errorf("%v, %v is %q, %v; want %q", c.hello, c.build, e, err, want)
		}
	}
}

// TestEnginesThatDoNotNameTheirHosts are known by those of the URI.
func TestEnginesThatDoNotNameTheirHosts(t *testing.T) {
	for host, want := range map[string]string{
		"a.mongo.cosmos.azure.com:10255":              cosmosDB,
		"c.global.mongocluster.cosmos.azure.com":      documentDB,
		"c-1.us-east-1.docdb-elastic.amazonaws.com:1": amazonDB,
		"acct.mongo.cosmos.azure.us:10255":            cosmosDB,
		"acct.mongo.cosmos.azure.com.":                cosmosDB,
		"c.x.docdb.cn-north-1.amazonaws.com.cn:27017": amazonDB,
		"db1.example.com:27017":                       mongoDB,
		"docdb.example.com:27017":                     mongoDB,
	} {
		e, err := engineOf(raw(t, bson.M{"msg": "isdbgrid"}), raw(t, mongod(7)), host)
		if err != nil || e.Product != want {
			t.Errorf("%s is %q, %v; want %q", host, e.Product, err, want)
		}
	}
}

// TestAnEngineWithoutSessionsHasNoRetryableWrites: the driver goes by the same number.
func TestAnEngineWithoutSessionsHasNoRetryableWrites(t *testing.T) {
	for announced, says := range map[any]bool{int32(30): false, int64(1): false, nil: true, "30": true} {
		hello := bson.M{"setName": "rs0"}
		if announced != nil {
			hello["logicalSessionTimeoutMinutes"] = announced
		}
		e, err := engineOf(raw(t, hello), raw(t, mongod(7)))
		if err != nil || e.NoRetries != says || strings.Contains(e.String(), "no retryable writes") != says {
			t.Errorf("announced %v: %q, %v", announced, e, err)
		}
	}
}

func FuzzEngineOf(f *testing.F) {
	hello, _ := bson.Marshal(bson.M{"setName": "rs0", "hosts": bson.A{"h:1"}, "internal": bson.M{"documentdb_versions": bson.A{"1"}}})
	build, _ := bson.Marshal(mongod(7))
	f.Add([]byte(hello), []byte(build))
	f.Fuzz(func(t *testing.T, hello, build []byte) {
		if e, err := engineOf(hello, build); err == nil && e.check(false) == nil && e.Breaks != "" {
			t.Errorf("%v was let in", e)
		}
	})
}

func with(m bson.M, name string, value any) bson.M {
	m[name] = value
	return m
}

func raw(t *testing.T, m bson.M) bson.Raw {
	t.Helper()
	doc, err := bson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return doc
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
