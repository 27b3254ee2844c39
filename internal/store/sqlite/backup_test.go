package sqlite

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestF5_ABackupIsOneMoment takes backups while somebody writes: each opens, is
// sound, and holds the clients from the first to some last one, without a gap.
func TestF5_ABackupIsOneMoment(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keyturn.db")
	s := open(t, path)
	ctx, stop := context.WithCancel(t.Context())
	written := make(chan int, 1)
	started := make(chan struct{})
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			if err := s.CreateClient(context.Background(), client(name(n))); err != nil {
				t.Errorf("a write beside a backup: %v", err)
				break
			}
			if n == 10 {
				close(started)
			}
		}
		written <- n
	}()
	<-started
	for i := range 5 {
		to := filepath.Join(dir, "backup"+name(i))
		sizes, err := Backup(t.Context(), path, to, func(string, int64, int64) {}, undecided)
		if err != nil {
			t.Fatal(err)
		}
		copied := open(t, to)
		list, err := copied.ListClients(t.Context(), "", 100000)
		if err != nil || int64(len(list)) != sizes.Clients || len(list) < 10 {
			t.Fatalf("%d clients, %v; want the %d that were counted", len(list), err, sizes.Clients)
		}
		for n, c := range list {
			if c.ID != name(n) {
				t.Fatalf("client %d is %s: there is a gap before it", n, c.ID)
			}
		}
	}
	stop()
	if n := <-written; n < 10 {
		t.Errorf("only %d clients were written", n)
	}
}

func undecided(string) error { return nil }

func name(n int) string { return "client-" + time.UnixMilli(int64(n)).UTC().Format("150405.000") }

func TestBackupFilesAreTheirOwnersOnly(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir) // names are relative where people type them
	path, to := "keyturn.db", "odd copy?#%20é.db"
	open(t, path)
	stages := map[string]bool{}
	if _, err := Backup(t.Context(), path, to, func(stage string, _, _ int64) { stages[stage] = true }, undecided); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want mode 600", info, err)
	}
	if !stages["verify"] {
		t.Errorf("stages %v; want verify among them", stages)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".keyturn-*")); err != nil || len(left) > 0 {
		t.Errorf("it left %v (%v)", left, err)
	}
}

// TestBackupsRefuse what would lose something, or copies nothing.
func TestBackupsRefuse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "keyturn.db")
	open(t, path)
	at := func(file string) string { return filepath.Join(dir, file) }
	for file, content := range map[string]string{"there.db": "x", "logged.db-wal": "x", "empty.db": "", "text.db": strings.Repeat("text", 1000)} {
		if err := os.WriteFile(at(file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ from, to, why string }{
		{path, at("there.db"), "there already"}, {path, at("logged.db"), "there already"}, {path, at("none/x.db"), "no such file"},
		{at("missing.db"), at("x.db"), "no such file"}, {at("text.db"), at("x.db"), "not a database"}, {at("empty.db"), at("x.db"), "holds nothing"},
	} {
		_, err := Backup(t.Context(), c.from, c.to, func(string, int64, int64) {}, undecided)
		if err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s to %s: %v; want %q", c.from, c.to, err, c.why)
		}
		if _, err := os.Stat(at("x.db")); err == nil {
			t.Fatalf("%s to %s left a file", c.from, c.to)
		}
	}
}

// TestABackupBesideAnotherFilesLogIsRefused: the log that a crashed server left is
// played into no other file, however large, and the error says which files to move.
func TestABackupBesideAnotherFilesLogIsRefused(t *testing.T) {
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "keyturn.db"), filepath.Join(dir, "backup.db")
	s := open(t, path)
	if _, err := Backup(t.Context(), path, backup, func(string, int64, int64) {}, undecided); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateClient(t.Context(), client("app")); err != nil {
		t.Fatal(err)
	}
	placed := filepath.Join(t.TempDir(), "keyturn.db")
	left := contents(t, path+"-wal")
	for name, data := range map[string][]byte{placed: contents(t, backup), placed + "-wal": left} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(left) == 0 {
		t.Fatal("there is no log")
	}
	_, err := Open(t.Context(), placed)
	if err == nil || !strings.Contains(err.Error(), "move "+placed+"-wal and "+placed+"-shm away") {
		t.Errorf("opened: %v", err)
	}
	if !bytes.Equal(contents(t, placed), contents(t, backup)) {
		t.Error("the backup was changed")
	}
	if err := os.Remove(placed + "-wal"); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(t.Context(), placed); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestACopyWithoutItsLogIsRefused copies the file of a running store as cp does.
func TestACopyWithoutItsLogIsRefused(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "keyturn.db"), filepath.Join(dir, "copied.db")
	s := open(t, path)
	if err := s.CreateClient(t.Context(), client("app")); err != nil {
		t.Fatal(err)
	}
	// A file that a version made before stores were made whole.
	bare := filepath.Join(dir, "bare.db")
	c, err := file(bare).connect(t.Context(), forWriting)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.script("CREATE TABLE t (x); DROP TABLE t"), c.Close()); err != nil {
		t.Fatal(err)
	}
	nothing := filepath.Join(dir, "nothing.db")
	if err := os.WriteFile(nothing, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, hollow := range []string{bare, nothing} {
		if _, err := Open(t.Context(), hollow); err == nil || !strings.Contains(err.Error(), "keyturn store backup") {
			t.Errorf("%s is opened (%v); want what to do", hollow, err)
		}
	}
	// One of this version has its schema at least.
	if err := os.WriteFile(copied, contents(t, path), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, copied)
}
