package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
)

// strict are settings under which a refresh whose event failed can be repeated
// only because it was taken back, and a stuck audit log shows soon.
var strict = []string{"--retry-window", "0s", "--request-timeout", "1s"}

// outage takes the audit log of a running server away and gives it back.
type outage struct{ fail, heal func() }

// check drives the shop through an outage: every decision gets 503 within its
// request's time and nothing stays half done; documents that decide nothing are
// served; and when the log is back the server goes on by itself, with the very
// refresh token that was refused.
func (o outage) check(t *testing.T, s *shop) {
	t.Helper()
	s.logAway.Store(true)
	held := s.login(t, s.public, email, password)
	held = s.grant(t, s.public, "grant_type", "refresh_token", "refresh_token", held.RefreshToken)
	o.fail()
	s.refuses(t, "refresh", s.public, "/oauth/token", "grant_type", "refresh_token", "refresh_token", held.RefreshToken)
	s.refuses(t, "login", s.public, "/oauth/token", "grant_type", "password", "username", email, "password", password)
	s.refuses(t, "client credentials", s.confidential, "/oauth/token", "grant_type", "client_credentials")
	s.refuses(t, "introspection", s.confidential, "/oauth/introspect", "token", held.AccessToken)
	s.refuses(t, "a refusal", s.public, "/oauth/token", "grant_type", "password", "username", email, "password", "no such password")
	if a := mustSend(t, "GET", s.url+"/.well-known/jwks.json", nil, ""); a.status != http.StatusOK {
		t.Errorf("the key set: status %d without an audit log; want 200", a.status)
	}
	if a := mustSend(t, "GET", s.url+"/readyz", nil, ""); a.status != http.StatusServiceUnavailable || !strings.Contains(string(a.body), `"audit":"unwritable"`) {
		t.Errorf("/readyz: status %d, %s without an audit log; want 503 and why", a.status, a.body)
	}
	if !strings.Contains(s.stderr.String(), "audit") {
		t.Errorf("the operational log says nothing:\n%s", s.stderr.String())
	}
	o.heal()
	eventually(t, "/readyz is 200 again, though no decision tried the log", s.ready)
	s.resumes(t, held)
}

// refuses checks that a request gets 503 that says when to come again.
func (s *shop) refuses(t *testing.T, what string, by credentials, path string, pairs ...string) {
	t.Helper()
	a, err := postForm(s.url+path, by, values(pairs...))
	if err != nil {
		t.Fatalf("%s while the audit log is away: %v", what, err)
	}
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("%s while the audit log is away: status %d, %s; want 503 with Retry-After", what, a.status, a.body)
	}
}

// granted repeats a refresh that may be refused for want of an audit log until
// it is granted.
func (s *shop) granted(t *testing.T, held tokens) (next tokens) {
	t.Helper()
	eventually(t, "a refresh is granted", func() bool {
		a, err := postForm(s.url+"/oauth/token", s.public, values("grant_type", "refresh_token", "refresh_token", held.RefreshToken))
		if err != nil || a.status == http.StatusServiceUnavailable {
			return false
		}
		if a.status != http.StatusOK {
			t.Fatalf("the session is lost: status %d, %s", a.status, a.body)
		}
		a.decode(t, &next)
		return true
	})
	return next
}

// resumes repeats the refresh that was refused until it is granted, and checks
// that the login that was refused left no session.
func (s *shop) resumes(t *testing.T, held tokens) {
	t.Helper()
	again := s.granted(t, held)
	s.grant(t, s.public, "grant_type", "refresh_token", "refresh_token", again.RefreshToken)
	var all []session
	s.must(t, &all, "users", "sessions", email)
	if len(all) != 1 {
		t.Errorf("%d sessions are there; want the one that was granted", len(all))
	}
}

// TestA3_NoSpaceLeft has the path of the audit log lead to a device that is
// always full (Linux's /dev/full answers every write with ENOSPC), and back.
func TestA3_NoSpaceLeft(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "", strict...)
	l := d.auditLink(t)
	s := openShop(t, d)
	outage{func() { l.lead("/dev/full") }, func() { l.lead(l.real) }}.check(t, s)
	s.stop(t)
	s.checkAudit(t)
}

// auditLink is the path of an audit log that can be made to lead elsewhere.
type auditLink struct {
	t          *testing.T
	path, real string
}

// auditLink puts a link in the place of the audit log, which it moves aside.
func (d *deployment) auditLink(t *testing.T) auditLink {
	t.Helper()
	l := auditLink{t, d.auditLog, filepath.Join(d.dir, "real.log")}
	if err := os.Rename(l.path, l.real); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	l.lead(l.real)
	return l
}

func (l auditLink) lead(to string) {
	l.t.Helper()
	link := l.path + ".link"
	if err := os.Symlink(to, link); err != nil {
		l.t.Fatal(err)
	}
	if err := os.Rename(link, l.path); err != nil {
		l.t.Fatal(err)
	}
}

// TestA3_ALossIsToldInTheChain lets a server keep two events and lose three
// while its disk is full: then its decisions stop. When the disk is back the
// log has what was kept, how much was lost, and verifies.
func TestA3_ALossIsToldInTheChain(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "", "--audit-buffer", "2", "--audit-loss", "3")
	l := d.auditLink(t)
	s := openShop(t, d)
	l.lead("/dev/full")
	for n := range 5 {
		s.grant(t, s.confidential, "grant_type", "client_credentials")
		a := mustSend(t, "GET", s.url+"/readyz", nil, "")
		if last := n == 4; a.status == http.StatusOK == last || strings.Contains(a.body, "audit_log_away") == last {
			t.Errorf("/readyz after %d events: status %d, %s; want 200 with a warning until nothing more may be lost", n+1, a.status, a.body)
		}
	}
	s.refuses(t, "what is beyond both", s.confidential, "/oauth/token", "grant_type", "client_credentials")
	for name, want := range map[string]string{"keyturn_audit_away": "1", "keyturn_audit_held": "2", "keyturn_audit_lost_total": "3", "keyturn_audit_failures_total": "1"} {
		if a := mustSend(t, "GET", s.admin+"/metrics", nil, ""); !strings.Contains(a.body, "\n"+name+" "+want+"\n") {
			t.Errorf("/metrics does not show %s as %s", name, want)
		}
	}
	for range 30 {
		s.refuses(t, "what is beyond both", s.confidential, "/oauth/token", "grant_type", "client_credentials")
	}
	if n := strings.Count(s.stderr.String(), "request failed"); n == 0 || n > 10 {
		t.Errorf("the operational log has %d lines about 31 requests that failed for the same outage", n)
	}
	l.lead(l.real)
	eventually(t, "the loss is in the log", func() bool {
		return strings.Contains(readFile(t, l.real), `"action":"audit-events-lost"`)
	})
	s.grant(t, s.confidential, "grant_type", "client_credentials")
	s.stop(t)
	s.checkAudit(t)
	log := readFile(t, l.real)
	if n := strings.Count(log, `"action":"token-issued"`); n != 3 {
		t.Errorf("the log has %d tokens; want the two that were kept and the last", n)
	}
	if !strings.Contains(log, `"count":3,"detail":"from 20`) {
		t.Error("the log does not say that three events were lost, and when")
	}
}

// TestA3_FileSizeLimit sets the server a limit on the size of its files in the
// midst of a line: part of a batch is written and must be taken back. The store
// is MongoDB, so that the audit log is the server's only file.
func TestA3_FileSizeLimit(t *testing.T) {
	t.Parallel()
	s := openShop(t, newDeployment(t, mongotest.URI(t), strict...))
	limit := func(size uint64) {
		if err := unix.Prlimit(s.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}, nil); err != nil {
			t.Fatal(err)
		}
	}
	outage{
		fail: func() {
			info, err := os.Stat(s.auditLog)
			if err != nil {
				t.Fatal(err)
			}
			limit(uint64(info.Size()) + 100)
		},
		heal: func() { limit(unix.RLIM_INFINITY) },
	}.check(t, s)
	s.stop(t)
	s.checkAudit(t)
}

// TestA3_DiskThatHangs holds the lock on the file: a write then waits as it does
// on a disk that does not answer.
func TestA3_DiskThatHangs(t *testing.T) {
	t.Parallel()
	s := openShop(t, newDeployment(t, "", strict...))
	f, err := os.Open(s.auditLog)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lock := func(how int) func() {
		return func() {
			if err := unix.Flock(int(f.Fd()), how); err != nil {
				t.Fatal(err)
			}
		}
	}
	outage{lock(unix.LOCK_EX), lock(unix.LOCK_UN)}.check(t, s)
	s.stop(t)
	s.checkAudit(t)
}

// openPiped is openShop with the audit log on standard output, into a pipe.
func openPiped(t *testing.T, p *fifo, flags ...string) *shop {
	t.Helper()
	s := stock(t, newDeployment(t, "", strict...))
	w := p.writeEnd(t)
	s.server = s.serveInto(t, w, append([]string{"--audit-log", "stdout"}, flags...)...)
	s.issuer = s.url
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return s
}

// checkPiped verifies what came out of the pipe.
func (s *shop) checkPiped(t *testing.T, p *fifo) {
	t.Helper()
	p.leave(t)
	file := filepath.Join(s.dir, "piped.log")
	writeFile(t, file, p.text())
	s.checkAudit(t, file)
}

// TestA3_ReaderGone closes the reader of a server's standard output, and puts
// another in its place.
func TestA3_ReaderGone(t *testing.T) {
	t.Parallel()
	p := newFIFO(t)
	s := openPiped(t, p)
	outage{func() { p.leave(t) }, func() { p.attach(t) }}.check(t, s)
	s.stop(t)
	s.checkPiped(t, p)
}

// TestA3_ReaderThatHangs has the reader of a server's standard output stay and
// read nothing, until the pipe is full.
func TestA3_ReaderThatHangs(t *testing.T) {
	t.Parallel()
	p := newFIFO(t)
	s := openPiped(t, p)
	outage{
		fail: func() { s.fill(t, p) },
		heal: func() { p.pause(false) },
	}.check(t, s)
	s.stop(t)
	s.checkPiped(t, p)
}

// fill lets the pipe run full.
func (s *shop) fill(t *testing.T, p *fifo) {
	t.Helper()
	p.pause(true)
	eventually(t, "the pipe is full", func() bool {
		a, err := postForm(s.url+"/oauth/token", s.confidential, values("grant_type", "client_credentials"))
		if err != nil {
			t.Fatal(err)
		}
		return a.status == http.StatusServiceUnavailable
	})
}

// TestA3_AServerEndsThoughItsLogHangs stops a server whose pipe is full.
func TestA3_AServerEndsThoughItsLogHangs(t *testing.T) {
	t.Parallel()
	p := newFIFO(t)
	s := openPiped(t, p)
	s.fill(t, p)
	s.end(t, syscall.SIGTERM)
	if code := s.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("the server ended with %v; want exit code 1: its last events are lost", s.cmd.ProcessState)
	}
}
