package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/store"
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
	if err := d.recordOnce("audit.log", audit.Event{Action: audit.StoreCopied, Outcome: audit.Failure, Reason: audit.ReasonFailed}, s); err != nil {
		t.Fatal(err)
	}
	if log, err := os.ReadFile("audit.log"); err != nil || !strings.Contains(string(log), `"store-copied"`) {
		t.Errorf("the log is %q, %v", log, err)
	}
}

// forgetful is a store that takes over no chain but those that begin in it.
type forgetful struct {
	store.Store
	foreign string
}

func (s forgetful) SetAnchor(ctx context.Context, a audit.Anchor) error {
	if strings.Contains(s.foreign, a.Chain) {
		return errors.New("the disk is full")
	}
	return s.Store.SetAnchor(ctx, a)
}

// TestA1_ARestoreThatFailsIsRecorded has a store that was restored not take the heads
// of the log: what was told of the restore is taken back under the same id.
func TestA1_ARestoreThatFailsIsRecorded(t *testing.T) {
	t.Chdir(t.TempDir())
	var stores []store.Store
	for _, uri := range []string{"sqlite:lost.db", "sqlite:keyturn.db"} {
		s, err := openStore(t.Context(), uri, mongodb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		stores = append(stores, s)
	}
	d := &deployment{ctx: t.Context(), cfg: &config.Config{AuditLog: "audit.log"}, store: stores[0]}
	if err := d.recordOnce("audit.log", auditDecision(audit.StoreCopied), stores[0]); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile("audit.log")
	if err != nil {
		t.Fatal(err)
	}
	d.store = forgetful{stores[1], string(before)}
	if _, _, err := d.takeOver("audit.log", "a backup", []string{"audit.log"}, false, true); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("%v", err)
	}
	after, err := os.ReadFile("audit.log")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for l := range strings.Lines(string(after[len(before):])) {
		if err := audittest.CheckLine([]byte(strings.TrimSpace(l))); err != nil {
			t.Error(err)
		}
		var e struct {
			Event struct{ ID, Action, Outcome string }
		}
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatal(err)
		}
		told = append(told, e.Event.Action+" "+e.Event.Outcome+" "+e.Event.ID)
	}
	if len(told) != 2 || !strings.HasPrefix(told[0], "store-restored success ") || told[1] != strings.Replace(told[0], "success", "failure", 1) {
		t.Errorf("told %q", told)
	}
}
