package e2e

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/keyturn/keyturn/internal/audit"
)

// TestA3_AnAccountInDoubtCanBeDisabledThoughTheLogHangs leaves a new password between
// its proposal and its event, in a log that answers nobody. The command that disables
// the account ends, and the account is disabled; the password is the one that it was,
// and the log says so in the end.
func TestA3_AnAccountInDoubtCanBeDisabledThoughTheLogHangs(t *testing.T) {
	t.Parallel()
	onBothStores(t, append([]string{"--first-party-client", "app"}, strict...), func(t *testing.T, d *deployment) {
		s := openShop(t, d)
		held := s.login(t, s.public, email, password)
		f, err := os.Open(s.auditLog)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		s.logAway.Store(true)
		a := postJSON(t, s.url+"/auth/password", bearer(held.AccessToken), map[string]string{"current_password": password, "new_password": another})
		if a.status != http.StatusServiceUnavailable {
			t.Errorf("a new password: %d %s", a.status, a.body)
		}
		if o := d.run(t, "users", "disable", email); o.code != 1 || !strings.Contains(o.stderr, "is owed") {
			t.Errorf("users disable: exit code %d, %s", o.code, o.stderr)
		}
		if !strings.Contains(d.listed(t, "users", email), `"disabled":true`) {
			t.Error("the account is not disabled")
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_UN); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the log tells of it", func() bool { return d.told(t, audit.UserDisabled) == 1 })
		d.must(t, nil, "users", "enable", email)
		s.login(t, s.public, email, password)
		last := ""
		for line := range strings.Lines(readFile(t, d.auditLog)) {
			if strings.Contains(line, `"action":"password-changed"`) {
				last = line
			}
		}
		if !strings.Contains(last, `"outcome":"failure"`) {
			t.Errorf("the log says last of the new password %q", last)
		}
		s.stop(t)
		s.checkAudit(t)
	})
}

// TestA3_EveryRouteAnswersThoughNobodyReadsTheLog has the reader of a server's log stay
// and read nothing, and then sends a request of each route: every one is answered, and
// what stands of it then is what the log tells of when it is read again.
func TestA3_EveryRouteAnswersThoughNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	onBothStores(t, []string{"--first-party-client", "app", "--login-throttle", "off", "--argon2-memory", "7168", "--argon2-time", "5", "--request-timeout", "10s"},
		func(t *testing.T, d *deployment) {
			p := newFIFO(t)
			s := stock(t, d)
			w := p.writeEnd(t)
			s.server = s.serveInto(t, w, "--audit-log", "stdout")
			s.issuer = s.url
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			type attempt struct {
				row hungUp
				v   *victim
			}
			var attempts []attempt
			for n, row := range hungUps() {
				attempts = append(attempts, attempt{row, s.victim(t, n, row)})
			}
			var texts []string
			for _, a := range attempts {
				texts = append(texts, s.written(t, a.row, a.v))
			}
			s.login(t, s.public, email, password)
			eventually(t, "what made the accounts is read", func() bool { return strings.Contains(p.text(), s.uid) })
			s.logAway.Store(true)
			s.fill(t, p)
			from := len(p.text())
			answers := make([]string, len(attempts))
			var all sync.WaitGroup
			for i := range attempts {
				all.Go(func() { answers[i] = s.answerTo(texts[i]) })
			}
			all.Wait()
			for i, a := range attempts {
				// What changes something says that it could not, or not to the end.
				want := "HTTP/1.1 "
				if len(a.row.actions) == 1 {
					want += "503"
				}
				if !strings.HasPrefix(answers[i], want) {
					t.Errorf("%s: %s; want %s", a.row.route, answers[i], want)
				}
			}
			p.pause(false)
			eventually(t, "/readyz is 200 again", s.ready)
			piped := *d
			piped.auditLog = filepath.Join(d.dir, "told.log")
			for _, a := range attempts {
				a.v.from = from
				want := a.row.stands(t, s, a.v)
				atOnce := a.row.actions[0].StandsAtOnce()
				if len(a.row.actions) == 1 && a.row.actions[0] != audit.TokenRefreshed && (want == 1) != atOnce {
					t.Errorf("%s: %d changes stand", a.row.route, want)
				}
				told := 0
				if !poll(nil, func() bool {
					writeFile(t, piped.auditLog, p.text())
					told = piped.toldOf(t, a.v, a.row.actions)
					return told == want
				}) {
					t.Errorf("%s of %s: %d changes stand, the log tells of %d %v", a.row.route, a.v.email, want, told, a.row.actions)
				}
			}
			s.stop(t)
			s.checkPiped(t, p)
		})
}

// answerTo sends a request and returns the beginning of the answer, or why there is none.
func (s *shop) answerTo(text string) string {
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	answer := make([]byte, 512)
	n := 0
	if _, err = conn.Write([]byte(text)); err == nil {
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		n, err = conn.Read(answer)
	}
	if err != nil {
		return err.Error()
	}
	return string(answer[:n])
}
