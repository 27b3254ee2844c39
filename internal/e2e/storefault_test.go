//go:build linux

package e2e

import (
	"database/sql"
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	_ "modernc.org/sqlite"

	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
)

// storeFault is one way in which a running server loses its store.
type storeFault struct {
	name string
	// open makes an empty deployment whose store can be taken away.
	open func(t *testing.T) *deployment
	// strike takes the store away from the shop's server; what it returns
	// gives it back.
	strike func(t *testing.T, s *shop) (heal func())
	// says is what the server's own log then says of the cause, if it can know.
	says string
}

// storeFaults are all that can be made on this machine: mounting takes rights
// that not every user has.
func storeFaults(t *testing.T) []storeFault {
	onSQLite := func(t *testing.T) *deployment { return newDeployment(t, "") }
	all := []storeFault{
		{"SQLite and audit log on a full disk", onSQLite, func(t *testing.T, s *shop) func() {
			limitFiles(t, s, 1)
			return func() { limitFiles(t, s, unix.RLIM_INFINITY) }
		}, "file too large"},
		{"SQLite file locked", onSQLite, lockStore, ""},
		{"SQLite file read-only", func(t *testing.T) *deployment {
			d := newDeployment(t, "")
			d.launch = launchConfined
			return d
		}, forbidWriting, "must be readable and writable"},
	}
	if dir := smallDisk(t); dir != "" {
		all = append(all, storeFault{"SQLite on a full disk", func(t *testing.T) *deployment {
			return newDeployment(t, "sqlite:"+filepath.Join(dir, "keyturn.db"))
		}, fillDisk, "make room on its disk"})
	}
	for _, f := range []struct {
		name   string
		strike func(*cutter) (heal func())
		says   string
	}{
		// What hangs holds the few connections that there are, and others wait for one.
		{"MongoDB silent", func(c *cutter) func() { c.still.Lock(); return c.still.Unlock }, "checking out a connection from connection pool"},
		{"MongoDB away", func(c *cutter) func() { c.oneIn.Store(1); return func() { c.oneIn.Store(0) } }, ""},
	} {
		var before *cutter
		all = append(all, storeFault{f.name, func(t *testing.T) *deployment {
			var d *deployment
			d, before = newDeploymentBehindNetwork(t)
			return d
		}, func(*testing.T, *shop) func() { return f.strike(before) }, f.says})
	}
	return all
}

// TestF5_AStoreThatIsAwayLosesNoSession takes the store away under clients that
// refresh, each in one way that a machine does: they are told to try again, while
// their connection is still open (how soon is asserted in virtual time, in
// internal/server), and when the store is back all is as it was, without anybody's
// help.
func TestF5_AStoreThatIsAwayLosesNoSession(t *testing.T) {
	t.Parallel()
	for _, f := range storeFaults(t) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			d := f.open(t)
			// Every outage is longer than this window, so it saves nobody whose
			// refresh was written, or is written late, though the server said
			// to try again: the server has to know better.
			d.settings = append(d.settings, "--request-timeout", "2s", "--retry-window", "1s")
			s := openShop(t, d)
			begin := func() string {
				return s.insist(t, "/oauth/token", "grant_type", "password", "username", email, "password", password).member(t, "refresh_token")
			}
			all := make([]*refresher, 8)
			for i := range all {
				all[i] = &refresher{url: s.url, by: s.confidential, token: begin()}
				if strings.HasPrefix(d.store, "mongodb") {
					all[i].rest = 100 * time.Millisecond
				}
			}
			ended := begin()
			finish := runAll(all)
			defer finish()
			goOn(t, all, 2)
			heal := f.strike(t, s)
			waitUntilPutOff(t, all)
			s.checkAway(t, ended)
			waitUntilPutOff(t, all)
			heal()
			eventually(t, "the server is ready again", s.ready)
			goOn(t, all, 3)
			finish()
			s.insist(t, "/oauth/revoke", "token", ended)
			if s.active(t, s.confidential, ended) {
				t.Error("the session lives whose end was acknowledged")
			}
			begin()
			s.stop(t)
			if log := s.stderr.String(); !strings.Contains(log, f.says) {
				t.Errorf("the server's log does not say %q:\n%s", f.says, log)
			}
			s.checkAudit(t)
			s.checkNoReuse(t)
			s.must(t, nil, "store", "check")
		})
	}
}

// waitUntilPutOff waits until every client has been told to try again.
func waitUntilPutOff(t *testing.T, all []*refresher) {
	t.Helper()
	least := make([]int64, len(all))
	for i, r := range all {
		least[i] = r.putOff.Load() + 1
	}
	eventually(t, "every client is told to try again", func() bool {
		done := true
		for i, r := range all {
			if how := r.lost.Load(); how != nil {
				t.Fatalf("client %d lost its session: %s", i, *how)
			}
			done = done && r.putOff.Load() >= least[i]
		}
		return done
	})
}

// checkAway looks at a server whose store is away: it says so, and goes on with
// what needs no store.
func (s *shop) checkAway(t *testing.T, token string) {
	t.Helper()
	for path, form := range map[string]url.Values{
		"/oauth/token":  values("grant_type", "password", "username", email, "password", password),
		"/oauth/revoke": values("token", token),
	} {
		a, err := postForm(s.url+path, s.confidential, form)
		if err != nil || a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %v, status %d %s, Retry-After %q; want 503 and a Retry-After", path, err, a.status, a.body, a.header.Get("Retry-After"))
		}
	}
	for path, want := range map[string]int{"/readyz": 503, "/healthz": 200, "/.well-known/jwks.json": 200} {
		if a := mustSend(t, "GET", s.url+path, nil, ""); a.status != want {
			t.Errorf("%s: status %d; want %d", path, a.status, want)
		}
	}
}

// limitFiles keeps the server from writing anything beyond that many bytes from
// the beginning of a file.
func limitFiles(t *testing.T, s *shop, bytes uint64) {
	t.Helper()
	var limit unix.Rlimit
	err := unix.Prlimit(s.cmd.Process.Pid, unix.RLIMIT_FSIZE, nil, &limit)
	limit.Cur = min(bytes, limit.Max)
	if err = errors.Join(err, unix.Prlimit(s.cmd.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil)); err != nil {
		t.Fatal(err)
	}
}

// file is the path of a SQLite store.
func (d *deployment) file() string { return strings.TrimPrefix(d.store, "sqlite:") }

// lockStore has another process, this one, begin to write and not end.
func lockStore(t *testing.T, s *shop) (heal func()) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+s.file()+"?_txlock=immediate&_pragma=busy_timeout(20000)")
	if err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(tx.Rollback(), db.Close()); err != nil {
			t.Error(err)
		}
	}
}

// forbidWriting takes the server's right to write the store's files, which it
// notices when a fault makes it open them anew.
func forbidWriting(t *testing.T, s *shop) (heal func()) {
	t.Helper()
	chmod := func(mode os.FileMode) {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if err := os.Chmod(s.file()+suffix, mode); err != nil {
				t.Error(err)
			}
		}
	}
	limitFiles(t, s, 1)
	chmod(0o400)
	eventually(t, "a write has failed", func() bool { return !s.ready() })
	limitFiles(t, s, unix.RLIM_INFINITY)
	return func() { chmod(0o600) }
}

// launchConfined starts a process that can do no more than the modes of files
// allow, even if the tests run as root.
func launchConfined(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock it: the thread ends here
		for _, right := range []uintptr{unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH} {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, right, 0, 0, 0); err != nil && os.Geteuid() == 0 {
				started <- err
				return
			}
		}
		started <- cmd.Start()
	}()
	return <-started
}

// smallDisk mounts a disk of 32 MiB and returns where; nothing if this user may
// not mount.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("none", dir, "tmpfs", 0, "size=32m")
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fillDisk leaves no room beside the store.
func fillDisk(t *testing.T, s *shop) (heal func()) {
	t.Helper()
	ballast, err := os.Create(filepath.Join(filepath.Dir(s.file()), "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = ballast.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(ballast.Close(), os.Remove(ballast.Name())); err != nil {
			t.Error(err)
		}
	}
}

// newDeploymentBehindNetwork is an empty deployment on MongoDB, with few
// connections, behind a network that can fail.
func newDeploymentBehindNetwork(t *testing.T) (*deployment, *cutter) {
	t.Helper()
	uri, err := url.Parse(mongotest.URI(t))
	if err != nil {
		t.Fatal(err)
	}
	before := newCutter(t, uri.Host)
	options := uri.Query()
	options.Set("maxPoolSize", "4")
	uri.RawQuery = options.Encode()
	return newDeployment(t, mongotest.Through(t, uri.String(), before.address)), before
}
