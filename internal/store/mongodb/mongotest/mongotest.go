// Package mongotest gives tests a MongoDB to run against: the one that
// KEYTURN_TEST_MONGODB_URI names, or FerretDB, which it builds from the nested
// module in internal/store/mongodb/ferretdb and starts on this machine. A test
// for which neither can be had fails; none is skipped.
package mongotest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Variable names a real MongoDB, a replica set or a sharded cluster, for the
// tests to use.
const Variable = "KEYTURN_TEST_MONGODB_URI"

// The servers that a test process starts, each at first need. They stop when
// the process does.
var (
	atomicServer = sync.OnceValues(func() (string, error) { return start("-serialize") })
	bareServer   = sync.OnceValues(func() (string, error) { return start() })
)

// URI returns the URI of an empty database of the test's own, on a server that
// updates a document atomically: MongoDB, or FerretDB one command at a time.
func URI(t testing.TB) string {
	t.Helper()
	name := databaseName(t)
	if uri := os.Getenv(Variable); uri != "" {
		uri = withDatabase(uri, name)
		t.Cleanup(func() { drop(t, uri, name) })
		return uri
	}
	server, err := atomicServer()
	if err != nil {
		t.Fatalf("no MongoDB: %s is not set, and FerretDB does not start: %v", Variable, err)
	}
	return withDatabase(server, name)
}

// BareURI is like URI, but always names FerretDB as it is, on which of two
// conditional updates at the same time both may report success.
func BareURI(t testing.TB) string {
	t.Helper()
	server, err := bareServer()
	if err != nil {
		t.Fatalf("FerretDB does not start: %v", err)
	}
	return withDatabase(server, databaseName(t))
}

// Through returns uri as a network before its server has it, which listens on
// address. A member of a replica set names itself, and drivers go there; the
// stand-in for one (javaserver) names to an application of this name the address
// in it.
func Through(t testing.TB, uri, address string) string {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	given := u.Query()
	given.Set("appName", "via "+address)
	u.Host, u.RawQuery = address, strings.ReplaceAll(given.Encode(), "+", "%20")
	return u.String()
}

func databaseName(t testing.TB) string {
	t.Helper()
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		t.Fatal(err)
	}
	return "keyturn_test_" + hex.EncodeToString(random[:])
}

// withDatabase returns uri with the database name in its path. Where the URI
// has credentials, they stay those of the database that it named before.
func withDatabase(uri, name string) string {
	rest, query, _ := strings.Cut(uri, "?")
	scheme, rest, _ := strings.Cut(rest, "://")
	authority, database, _ := strings.Cut(rest, "/")
	if strings.Contains(authority, "@") && !strings.Contains(strings.ToLower(query), "authsource=") {
		if database == "" {
			database = "admin"
		}
		query = strings.TrimPrefix(query+"&authSource="+database, "&")
	}
	uri = scheme + "://" + authority + "/" + name
	if query != "" {
		uri += "?" + query
	}
	return uri
}

// drop removes the database of a test from a server that outlives it.
func drop(t testing.TB, uri, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Errorf("dropping the test's database: %v", err)
		return
	}
	defer client.Disconnect(ctx)
	if err := client.Database(name).Drop(ctx); err != nil {
		// mongo-java-server cannot once an index was dropped before; it ends
		// with the tests, and nothing of Keyturn's is wrong.
		t.Logf("dropping the test's database: %v", err)
	}
}
