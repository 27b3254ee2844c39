package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
)

// TestBackupDrill does what docs/operating.md says of backups: a store is backed
// up while its server runs, lost, and restored under the master key that was
// kept apart. Users who refreshed since the backup stay logged in by the tokens
// that the store has never seen; what was revoked since is not revoked any more,
// and what began since is gone.
func TestBackupDrill(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		d := newDeployment(t, "")
		drill(t, d, func() string {
			copied := filepath.Join(t.TempDir(), "copy.db")
			d.must(t, nil, "store", "backup", copied)
			return copied
		}, func(copied string) string {
			for _, suffix := range []string{"", "-wal", "-shm"} {
				if err := os.Remove(filepath.Join(d.dir, "keyturn.db"+suffix)); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
			owner := os.Getuid()
			if owner == 0 {
				owner = 65534 // root alone may give a directory away
			}
			if err := os.Chown(d.dir, owner, -1); err != nil {
				t.Fatal(err)
			}
			d.must(t, nil, "store", "restore", copied)
			info, err := os.Stat(filepath.Join(d.dir, "keyturn.db"))
			if err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != owner {
				t.Errorf("the restored file is not of the directory's owner, %d: %v", owner, err)
			}
			return d.store
		})
	})
	t.Run("MongoDB", func(t *testing.T) {
		t.Parallel()
		d := newDeployment(t, mongotest.URI(t))
		drill(t, d, func() string {
			copied := "sqlite:" + filepath.Join(t.TempDir(), "backup.db")
			d.must(t, nil, "store", "copy", "--from", d.store, "--to", copied)
			return copied
		}, func(copied string) string {
			empty := mongotest.URI(t)
			d.must(t, nil, "store", "copy", "--from", copied, "--to", empty)
			d.on(empty).must(t, nil, "store", "restored", d.auditLog)
			return empty
		})
	})
}

// drill backs up, goes on, loses the store and restores it.
func drill(t *testing.T, d *deployment, backup func() string, restore func(string) string) {
	t.Helper()
	s := openShop(t, d)
	issuer := s.url
	refresh := func(token string) tokens {
		return s.grant(t, s.public, "grant_type", "refresh_token", "refresh_token", token)
	}
	idle, busy, ended := s.login(t, s.public, email, password), s.login(t, s.public, email, password), s.login(t, s.public, email, password)
	spent := busy
	busy = refresh(busy.RefreshToken)
	copied := backup()
	for range 3 {
		busy = refresh(busy.RefreshToken)
	}
	late := s.login(t, s.public, email, password)
	if a, err := postForm(s.url+"/oauth/revoke", s.public, values("token", ended.RefreshToken)); err != nil || a.status != http.StatusOK {
		t.Fatalf("revocation: %v, %+v", err, a)
	}
	s.kill(t)

	d.store = restore(copied)
	d.must(t, nil, "store", "check")
	s.server = d.serveAs(t, issuer)
	for name, held := range map[string]tokens{"idle": idle, "busy": busy, "ended": ended} {
		if !s.active(t, s.confidential, held.AccessToken) {
			t.Errorf("%s: the access token does not count", name)
		}
		next := refresh(held.RefreshToken)
		if refresh(next.RefreshToken).RefreshToken == next.RefreshToken {
			t.Errorf("%s: the refresh token did not change", name)
		}
	}
	for name, held := range map[string]tokens{"begun after the backup": late, "spent before it": spent} {
		a, err := postForm(s.url+"/oauth/token", s.public, values("grant_type", "refresh_token", "refresh_token", held.RefreshToken))
		if err != nil || a.status != http.StatusBadRequest || a.member(t, "error") != "invalid_grant" {
			t.Errorf("a token %s: %v, %d %s; want invalid_grant", name, err, a.status, a.body)
		}
	}
	s.stop(t)
	restoredIsNoTampering(t, d)
}

// restoredIsNoTampering verifies the log of a store that was restored, and finds
// what is done to the lines whose heads were lost with the former one all the same.
func restoredIsNoTampering(t *testing.T, d *deployment) {
	t.Helper()
	o := d.run(t, "audit", "verify", d.auditLog)
	if o.code != 0 || !strings.Contains(o.stdout, "the store was restored at ") {
		t.Errorf("the log of a restored store: exit code %d, %s%s", o.code, o.stdout, o.stderr)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(readFile(t, d.auditLog), "\n"), "\n")
	at := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, `"action":"store-copied"`) })
	restored := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, `"action":"store-restored"`) })
	if at < 0 || restored < at {
		t.Fatalf("store-copied is line %d, store-restored line %d", at, restored)
	}
	chain := func(l string) string { return l[:60] }
	own := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return chain(l) == chain(lines[at]) })
	edited := slices.Clone(lines)
	edited[at] = strings.Replace(edited[at], "success", "failure", 1)
	// The event of a restore of one's own, in a chain that the store never heard of.
	faked := append(slices.Clone(lines), strings.Replace(lines[restored], chain(lines[restored])[:40], chain(lines[restored])[:39]+"0", 1))
	if chain(faked[len(lines)]) == chain(lines[restored]) {
		faked[len(lines)] = strings.Replace(lines[restored], chain(lines[restored])[:40], chain(lines[restored])[:39]+"1", 1)
	}
	for what, bad := range map[string][]string{"the backup's chain taken out": own, "a line of the backup's chain edited": edited, "a restore made up": faked} {
		file := filepath.Join(t.TempDir(), "bad.log")
		writeFile(t, file, strings.Join(bad, ""))
		if o := d.run(t, "audit", "verify", file); o.code != 1 {
			t.Errorf("%s: exit code %d, %s%s", what, o.code, o.stdout, o.stderr)
		}
	}
}

// TestA2_AServerSaysThatItsLogIsAheadOfItsStore restores a store by means that know
// nothing of the log: the server says what to do, at its start and not again once it is
// done, and so does audit verify.
func TestA2_AServerSaysThatItsLogIsAheadOfItsStore(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		d.addUser(t, email, password)
		s := d.serve(t)
		s.stop(t)
		silent(t, s, "ahead of the store")
		copied := mongotest.URI(t)
		if strings.HasPrefix(d.store, "sqlite:") {
			copied = "sqlite:" + filepath.Join(t.TempDir(), "keyturn.db")
		}
		d.must(t, nil, "store", "copy", "--from", d.store, "--to", copied)
		d.addUser(t, "bob@example.com", password)
		// The last chain of the log is that of the copy back, which the store knows.
		back := "sqlite:" + filepath.Join(t.TempDir(), "back.db")
		d.must(t, nil, "store", "copy", "--from", copied, "--to", back)

		d = d.on(back)
		s = d.serve(t)
		if !strings.Contains(s.stderr.String(), "ahead of the store") || !strings.Contains(s.stderr.String(), "keyturn store restored") {
			t.Errorf("the server says %s", s.stderr.String())
		}
		if o := d.run(t, "audit", "verify", d.auditLog); o.code != 1 || !strings.Contains(o.stderr, "keyturn store restored") {
			t.Errorf("audit verify: exit code %d, %s", o.code, o.stderr)
		}
		d.must(t, nil, "store", "restored", d.auditLog)
		told := readFile(t, d.auditLog)
		if o := d.run(t, "store", "restored", d.auditLog); o.code != 1 || !strings.Contains(o.stderr, "was not restored") || readFile(t, d.auditLog) != told {
			t.Errorf("said again: exit code %d, %s%s", o.code, o.stdout, o.stderr)
		}
		s.stop(t)
		s = d.serve(t)
		s.stop(t)
		silent(t, s, "ahead of the store")
		d.checkAudit(t)
	})
}

// TestA2_ARestoreVouchesForNoPlantedChain puts a chain into the log before the restore is
// said: it is named and not taken over, so that audit verify goes on to find it, until
// somebody says that it is the deployment's own.
func TestA2_ARestoreVouchesForNoPlantedChain(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		d.addUser(t, email, password)
		d.serve(t).stop(t)
		copied := "sqlite:" + filepath.Join(t.TempDir(), "copy.db")
		d.must(t, nil, "store", "copy", "--from", d.store, "--to", copied)
		d.addUser(t, "bob@example.com", password) // signed by a key that the copy has
		thief := newDeployment(t, "")
		thief.auditLog = d.auditLog
		thief.addUser(t, "eve@example.com", password)
		lines := strings.Split(strings.TrimSpace(readFile(t, d.auditLog)), "\n")
		var planted struct {
			Keyturn struct{ Chain struct{ ID string } }
		}
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &planted); err != nil {
			t.Fatal(err)
		}

		d = d.on(copied)
		for range 2 {
			if o := d.run(t, "store", "restored", d.auditLog); o.code != 1 || !strings.Contains(o.stderr, planted.Keyturn.Chain.ID) || !strings.Contains(o.stderr, "1 chain of the log without") {
				t.Errorf("store restored: exit code %d, %s%s", o.code, o.stdout, o.stderr)
			}
			if o := d.run(t, "audit", "verify", d.auditLog); o.code != 1 || !strings.Contains(o.stderr, planted.Keyturn.Chain.ID) {
				t.Errorf("audit verify: exit code %d, %s", o.code, o.stderr)
			}
		}
		d.must(t, nil, "store", "restored", "--unsigned", d.auditLog)
		d.checkAudit(t)
	})
}

func silent(t *testing.T, s *server, about string) {
	t.Helper()
	if said := s.stderr.String(); strings.Contains(said, about) {
		t.Errorf("the server says %s", said)
	}
}

// TestA3_ACopyStandsOnlyWithItsEvent makes a backup, a copy and a restore while the
// log is full: there is none, and the same again succeeds.
func TestA3_ACopyStandsOnlyWithItsEvent(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		d.addClient(t, "app", "--public", "--grant", "password")
		l := d.auditLink(t)
		to := filepath.Join(d.dir, "to.db")
		type step struct {
			*deployment
			args  []string
			store string // what is there in the end
		}
		steps := []step{{d, []string{"store", "copy", "--from", d.store, "--to", "sqlite:" + to}, "sqlite:" + to}}
		if strings.HasPrefix(d.store, "sqlite:") {
			backup, again := filepath.Join(d.dir, "backup.db"), filepath.Join(d.dir, "again.db")
			steps = append(steps, step{d, []string{"store", "backup", backup}, "sqlite:" + backup},
				step{d.on("sqlite:" + again), []string{"store", "restore", backup}, "sqlite:" + again})
		}
		for _, s := range steps {
			l.lead("/dev/full")
			if o := s.run(t, s.args...); o.code != 1 || !strings.Contains(o.stderr, "no space left") {
				t.Errorf("%v without its event: exit code %d, %s", s.args, o.code, o.stderr)
			}
			if left, _ := filepath.Glob(strings.TrimPrefix(s.store, "sqlite:") + "*"); len(left) > 0 {
				t.Errorf("%v without its event left %v", s.args, left)
			}
			there := func() int {
				var clients []any
				d.on(s.store).must(t, &clients, "clients", "list")
				return len(clients)
			}
			l.lead(l.real)
			if o := s.run(t, s.args...); o.code != 0 || there() != 1 {
				t.Errorf("%v once more: exit code %d, %s", s.args, o.code, o.stderr)
			}
		}
		if left, _ := filepath.Glob(filepath.Join(d.dir, ".keyturn-*")); len(left) > 0 {
			t.Errorf("there is left %v", left)
		}
		if log := readFile(t, l.real); strings.Count(log, `"action":"store-copied"`) != min(len(steps), 2) || strings.Count(log, `"action":"store-restored"`) != len(steps)/2 {
			t.Errorf("the log tells of other copies:\n%s", log)
		}
	})
}
