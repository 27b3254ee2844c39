package e2e

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
)

// TestAnEngineThatBreaksPromisesIsRefused opens a store on FerretDB 1 with the
// setting as it is by default, and once the risk was accepted has the commands say
// what it is.
func TestAnEngineThatBreaksPromisesIsRefused(t *testing.T) {
	t.Parallel()
	uri := mongotest.BareURI(t)
	for _, args := range [][]string{{"users", "list"}, {"store", "migrate"}, {"store", "check"}} {
		args = append(args, "--store", uri, "--mongodb-engine-risk", "refuse")
		got := execute(t, nil, "", args...)
		if got.code != 1 || !strings.Contains(got.stderr, "FerretDB 1") || !strings.Contains(got.stderr, "mongodb_engine_risk: accept") {
			t.Errorf("%v: exit code %d, %s", args[:2], got.code, got.stderr)
		}
	}
	got := execute(t, nil, "", "store", "migrate", "--store", uri, "--output", "json")
	if got.code != 0 || !strings.Contains(got.stdout, `"FerretDB 1"`) || !strings.Contains(got.stdout, "both can succeed") {
		t.Errorf("store migrate: exit code %d, %s%s", got.code, got.stdout, got.stderr)
	}
	file := newDeployment(t, "")
	file.addClient(t, "shop", "--grant", "client_credentials")
	if got := execute(t, nil, "", "store", "migrate", "--store", file.store); got.code != 0 || !strings.Contains(got.stdout, "up to date") {
		t.Errorf("store migrate of SQLite: exit code %d, %s%s", got.code, got.stdout, got.stderr)
	}
	d := newDeployment(t, uri)
	s := d.serve(t)
	if o := d.run(t, "doctor", "--issuer", s.url, "--inside"); !strings.Contains(o.stdout, "FerretDB 1") || !strings.Contains(o.stdout, "both can succeed") {
		t.Errorf("the doctor says %s%s", o.stdout, o.stderr)
	}
	s.stop(t)
	warned := false
	for line := range strings.Lines(s.stderr.String()) {
		warned = warned || strings.Contains(line, "the store stands on FerretDB 1") && strings.Contains(line, `"level":"warn"`)
	}
	if !warned {
		t.Errorf("the server said %s", s.stderr.String())
	}
}

// TestStoreCheckAndMigrateAgreeOnIndexes has somebody change an index: whatever the
// one command says of it the other says too, with the same words, and once it was
// dropped migrate makes it and both are content. No command that looks makes it.
func TestStoreCheckAndMigrateAgreeOnIndexes(t *testing.T) {
	t.Parallel()
	uri := mongotest.URI(t)
	run := func(command string) outcome { return execute(t, nil, "", "store", command, "--store", uri) }
	agree := func(says string) {
		t.Helper()
		for _, command := range []string{"migrate", "check"} {
			got := run(command)
			if (says == "") != (got.code == 0) || !strings.Contains(got.stderr, says) {
				t.Errorf("store %s: exit code %d, %s; want it to say %q", command, got.code, got.stderr, says)
			}
		}
	}
	// A store that holds nothing is not what is to be checked.
	if o := execute(t, nil, "", "clients", "add", "app", "--public", "--grant", "password", "--store", uri,
		"--audit-log", filepath.Join(t.TempDir(), "audit.log")); o.code != 0 {
		t.Fatal(o.stderr)
	}
	agree("")
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Disconnect(t.Context())
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ collection, index, by, says string }{
		{"families", "purge_at", "idle_expires_at", "the index purge_at of families is not what Keyturn makes (other fields)"},
		{"keys", "kid", "kid", "the index kid of keys is not what Keyturn makes (not unique)"},
	} {
		indexes := client.Database(strings.TrimPrefix(u.Path, "/")).Collection(c.collection).Indexes()
		drop := func() {
			if err := indexes.DropOne(t.Context(), c.index); err != nil {
				t.Fatal(err)
			}
		}
		drop()
		if _, err := indexes.CreateOne(t.Context(), mongo.IndexModel{
			Keys: bson.D{{Key: c.by, Value: 1}}, Options: options.Index().SetName(c.index),
		}); err != nil {
			t.Fatal(err)
		}
		agree(c.says)
		drop()
		for _, looks := range [][]string{{"users", "list"}, {"keys", "list"}, {"store", "check"}} {
			got := execute(t, nil, "", append(looks, "--store", uri)...)
			check := looks[0] == "store"
			if missing := "the index " + c.index + " of " + c.collection + " is missing"; (got.code != 0) != check || check != strings.Contains(got.stderr, missing) {
				t.Errorf("%v without %s: exit code %d, %s", looks, c.index, got.code, got.stderr)
			}
		}
		agree("")
	}
}
