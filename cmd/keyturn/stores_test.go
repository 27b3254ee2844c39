package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/store/mongodb"
	"github.com/keyturn/keyturn/internal/store/storetest"
)

// TestACopyKnowsNoChainThatItsSourceDoesNot: otherwise the next attempt would
// take it for a store that something has worked on.
func TestACopyKnowsNoChainThatItsSourceDoesNot(t *testing.T) {
	var stores [2]*storetest.Faulty
	for i := range stores {
		s, err := openStore(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "keyturn.db"), mongodb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		stores[i] = storetest.NewFaulty(s)
	}
	source, target := stores[0], stores[1]
	source.Inject(func(string) storetest.Fault { return storetest.Fails })
	err := bothStores{source, target}.SetAnchor(t.Context(), audit.Anchor{Chain: "c"})
	anchors, aerr := target.Anchors(t.Context())
	if !errors.Is(err, storetest.ErrFault) || aerr != nil || len(anchors) > 0 {
		t.Errorf("the target has %v; errors are %v, %v", anchors, err, aerr)
	}
}

// TestAStoreIsNoCopyOfItself names the same file twice, the second time by a
// link, as the backup that somebody believes to have made.
func TestAStoreIsNoCopyOfItself(t *testing.T) {
	t.Chdir(t.TempDir())
	s, err := openStore(t.Context(), "sqlite:keyturn.db", mongodb.Options{})
	if err == nil {
		err = errors.Join(s.Close(), os.Symlink("keyturn.db", "backup.db"))
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &program{stdout: t.Output(), stderr: t.Output()}
	for _, to := range []string{"sqlite:keyturn.db", "sqlite:backup.db"} {
		if code := p.run(t.Context(), []string{"store", "copy", "--from", "sqlite:keyturn.db", "--to", to}); code != exitUsage {
			t.Errorf("%s: exit code %d", to, code)
		}
	}
}

// TestA1_AnInterruptedCopyIsRecorded writes the event of a command whose context
// is over, as Ctrl-C leaves it.
func TestA1_AnInterruptedCopyIsRecorded(t *testing.T) {
	t.Chdir(t.TempDir())
	s, err := openStore(t.Context(), "sqlite:keyturn.db", mongodb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	d := &deployment{ctx: ctx, cfg: &config.Config{AuditLog: "audit.log"}}
	if err := d.recordOnce(audit.Event{Action: audit.StoreCopied, Outcome: audit.Failure, Reason: audit.ReasonFailed}, s); err != nil {
		t.Fatal(err)
	}
	if log, err := os.ReadFile("audit.log"); err != nil || !strings.Contains(string(log), `"store-copied"`) {
		t.Errorf("the log is %q, %v", log, err)
	}
}
