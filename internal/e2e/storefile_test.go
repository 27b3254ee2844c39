package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
)

// TestAStoreThatWasLost begins nothing anew beside a master key that is in use:
// not without the file, not with an empty one, and not with one that holds no
// key. A backup brings everything back.
func TestAStoreThatWasLost(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	d.masterKeys = filepath.Join(d.dir, "keyturn.master-key")
	newMasterKeys(t, d.masterKeys)
	s := d.serve(t)
	copied := filepath.Join(t.TempDir(), "keyturn.db")
	writeFile(t, copied, readFile(t, filepath.Join(d.dir, "keyturn.db"))) // as cp does
	if o := d.on("sqlite:"+copied).run(t, "store", "check"); o.code != 1 || !strings.Contains(o.stderr, "holds nothing") {
		t.Errorf("store check of a copy without its log: exit code %d, %s", o.code, o.stderr)
	}
	restored := filepath.Join(t.TempDir(), "keyturn.db")
	if o := d.on("sqlite:"+restored).run(t, "store", "restore", copied); o.code != 1 || !strings.Contains(o.stderr, "holds nothing") {
		t.Errorf("store restore of a copy without its log: exit code %d, %s", o.code, o.stderr)
	}
	if made, err := os.ReadDir(filepath.Dir(restored)); err != nil || len(made) > 0 {
		t.Errorf("a restore that was refused has made %v (%v)", made, err)
	}
	s.stop(t)
	d.addUser(t, email, password)
	path, backup, empty := filepath.Join(d.dir, "keyturn.db"), filepath.Join(d.dir, "backup.db"), filepath.Join(d.dir, "empty.db")
	d.must(t, nil, "store", "backup", backup)
	if o := execute(t, nil, "", "clients", "add", "early", "--public", "--grant", "password", "--store", "sqlite:"+empty, "--audit-log", d.auditLog); o.code != 0 {
		t.Fatal(o.stderr)
	}
	for _, c := range []struct {
		name string
		put  func() error
	}{
		{"missing", func() error { return nil }},
		{"no bytes", func() error { return os.WriteFile(path, nil, 0o600) }},
		{"no key", func() error { return os.Rename(empty, path) }},
	} {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if err := c.put(); err != nil {
			t.Fatal(err)
		}
		before, _ := os.Stat(path)
		o := d.start(t, nil)
		if refusesToStart(t, o, path); o.code != 1 {
			t.Errorf("%s: exit code %d, though no setting is wrong", c.name, o.code)
		}
		for _, command := range [][]string{{"users", "list"}, {"store", "check"}} {
			if o := d.run(t, command...); o.code == 0 {
				t.Errorf("%s: %v finds nothing wrong", c.name, command)
			}
		}
		if after, _ := os.Stat(path); (before == nil) != (after == nil) {
			t.Errorf("%s: the file was made", c.name)
		}
	}
	if o := d.run(t, "store", "restore", backup); o.code == 0 {
		t.Error("a backup is written over what is there")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	d.must(t, nil, "store", "restore", backup)
	var list []struct{ Email string }
	if d.must(t, &list, "users", "list"); len(list) != 1 || list[0].Email != email {
		t.Errorf("after the restore the accounts are %v", list)
	}
	d.serve(t).stop(t)
}

// TestAStoreThatWasLostWhereItsMasterKeyIsElsewhere: the log of its audit chains tells
// that it was there. Where that is gone too, or elsewhere, the start is warned of loudly,
// with where store and master key are, unless store_must_exist refuses it; and no start
// with keys in the store is.
func TestAStoreThatWasLostWhereItsMasterKeyIsElsewhere(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		const warning = "THE STORE HOLDS NO KEYS"
		warned := func(want bool) {
			t.Helper()
			s := d.serve(t)
			s.stop(t)
			said := ""
			for line := range strings.SplitSeq(s.stderr.String(), "\n") {
				if strings.Contains(line, warning) {
					said += line
				}
			}
			if (said != "") != want || want && (!strings.Contains(said, `"level":"warn"`) || !strings.Contains(said, d.masterKeys)) {
				t.Errorf("it said %q", said)
			}
			file, isFile := strings.CutPrefix(d.store, "sqlite:")
			if want && isFile && !strings.Contains(said, file) {
				t.Errorf("it did not name the store: %q", said)
			}
		}
		refusesToStart(t, d.start(t, nil, "--store-must-exist", "true"), "store_must_exist")
		warned(true)
		warned(false)
		d.settings = append(d.settings, "--store-must-exist", "true")
		warned(false)
		lost := d.on(mongotest.URI(t))
		if file, isFile := strings.CutPrefix(d.store, "sqlite:"); isFile {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			lost = d
			if o := d.run(t, "clients", "add", "web", "--public", "--grant", "password"); o.code == 0 || !strings.Contains(o.stderr, "store_must_exist") {
				t.Errorf("a command on it: exit code %d %s", o.code, o.stderr)
			}
		}
		refusesToStart(t, lost.start(t, nil), "store_must_exist", "holds no keys")
		if _, err := os.Stat(lost.file()); lost == d && err == nil && strings.HasPrefix(d.store, "sqlite:") {
			t.Error("a start that was refused has made a store")
		}
		refusesToStart(t, lost.start(t, nil, "--store-must-exist", "false"), d.auditLog, "holds no keys", "never heard")
		if err := os.Remove(d.auditLog); err != nil {
			t.Fatal(err)
		}
		d = lost
		d.settings = append(d.settings, "--store-must-exist", "false")
		warned(true)
	})
}

// TestAFileThatIsReplacedUnderAServer stops all decisions until it is back.
func TestAFileThatIsReplacedUnderAServer(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "", "--key-poll-interval", "50ms")
	s := openShop(t, d)
	for _, name := range []string{"keyturn.db", "keyturn.db-wal"} {
		s.losesAFile(t, filepath.Join(d.dir, name))
	}
	s.login(t, s.public, email, password)
}

// losesAFile renames a file of the store and puts it back.
func (s *shop) losesAFile(t *testing.T, path string) {
	t.Helper()
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if !poll(s.exited, func() bool { return !s.ready() }) {
		t.Fatal("it is ready on a file that nobody finds: " + path)
	}
	a, err := postForm(s.url+"/oauth/token", s.confidential, values("grant_type", "client_credentials"))
	if err != nil || a.status != http.StatusServiceUnavailable {
		t.Errorf("a token: %+v, %v; want 503", a, err)
	}
	if err := os.Rename(path+".old", path); err != nil {
		t.Fatal(err)
	}
	if !poll(s.exited, s.ready) {
		t.Fatal("it is not ready though the file is back")
	}
}

// TestAFileThatIsOverwrittenUnderAServer copies a backup, or nothing, over the store
// of a running server, as cp does. The server decides nothing more, and what was
// copied is still whole when it has ended.
func TestAFileThatIsOverwrittenUnderAServer(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"a backup", "nothing"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t, "", "--key-poll-interval", "50ms")
			s := openShop(t, d)
			path, backup := filepath.Join(d.dir, "keyturn.db"), filepath.Join(t.TempDir(), "backup.db")
			d.must(t, nil, "store", "backup", backup)
			for range 20 {
				s.login(t, s.public, email, password)
			}
			text := ""
			if what == "a backup" {
				text = readFile(t, backup)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if !poll(s.exited, func() bool { return !s.ready() }) {
				t.Fatal("it is ready on a file that was overwritten")
			}
			a, err := postForm(s.url+"/oauth/token", s.confidential, values("grant_type", "client_credentials"))
			if err != nil || a.status != http.StatusServiceUnavailable {
				t.Errorf("a token: %+v, %v; want 503", a, err)
			}
			s.end(t, syscall.SIGTERM)
			if readFile(t, path) != text {
				t.Error("the file was written into")
			}
			if !strings.Contains(s.stderr.String(), "was overwritten under this process") {
				t.Error("the log does not say what happened")
			}
		})
	}
}

// TestNoFileIsNamedForAStream: - is standard input or output, or refused, and never a
// file of that name.
func TestNoFileIsNamedForAStream(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	d.addUser(t, email, password)
	for said, args := range map[string][]string{
		"not a stream": append([]string{"store", "backup", "-"}, d.flags()...), "name one": append([]string{"store", "restore", "-"}, d.flags()...),
		"sqlite:-": {"store", "copy", "--from", d.store, "--to", "sqlite:-"}, `store: "sqlite:-"`: {"serve", "--store", "sqlite:-"}, `audit_log: "-"`: {"serve", "--audit-log", "-"},
	} {
		if o := execute(t, nil, "", args...); o.code != 2 || !strings.Contains(o.stderr, said) {
			t.Errorf("%v: exit code %d, %s", args, o.code, o.stderr)
		}
		if _, err := os.Stat("-"); err == nil {
			t.Errorf("%v: made a file named -", args)
		}
	}
}
