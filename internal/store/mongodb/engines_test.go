package mongodb

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// lacks is everything that an engine of the tests cannot do, by name; a test that
// needs it looks here, and says so. What is not listed must work.
var lacks = map[string]map[string]string{
	"FerretDB 1": {
		"atomic updates":     "an update is a read and then a write; storetest.Factory.LosesUpdates says what is still held to, and the proxy before it (mongotest.URI) makes up for it",
		"sparse":             "sparse indexes are not listed as such",
		"explain":            "a plan does not name its index",
		"replica set":        "it is one server: elections, deposed primaries and retried writes are played by the scripted replica set of these tests",
		"names of the index": "a duplicate key does not say of which index, so the store looks",
	},
	"mongo-java-server": {
		"several answers": "the first answer of a cursor holds all that is asked for, so none can die between two",
		"explain":         "there is no such command",
		"replica set":     "it says that it is the only member of one; its launcher has it say so",
		"durability":      "everything is in memory",
	},
}

// lacking returns what an engine cannot do, and whether it is listed so.
func lacking(t *testing.T, db *mongo.Database, what string) (why string, listed bool) {
	t.Helper()
	var build struct {
		FerretDB   string `bson:"ferretdbVersion"`
		JavaServer string `bson:"mongoJavaServer"`
	}
	if err := db.RunCommand(t.Context(), bson.M{"buildInfo": 1}).Decode(&build); err != nil {
		t.Fatal(err)
	}
	engine := "MongoDB"
	switch {
	case build.FerretDB != "":
		engine = "FerretDB 1"
	case build.JavaServer != "":
		engine = "mongo-java-server"
	}
	why, listed = lacks[engine][what]
	return why, listed
}
