package e2e

import (
	"strings"
	"testing"

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
	if got := execute(t, nil, "", "store", "migrate", "--store", "sqlite:"+t.TempDir()+"/k.db"); got.code != 0 || !strings.Contains(got.stdout, "up to date") {
		t.Errorf("store migrate of SQLite: exit code %d, %s%s", got.code, got.stdout, got.stderr)
	}
	s := newDeployment(t, uri).serve(t)
	s.stop(t)
	if said := s.stderr.String(); !strings.Contains(said, "the store stands on FerretDB 1") {
		t.Errorf("the server said %s", said)
	}
}
