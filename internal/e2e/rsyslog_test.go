//go:build interop

package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// rsyslog is Debian's rsyslogd, set up as docs/auditing.md says.
type rsyslog struct {
	config, pid, file string
	address           string
	cmd               *exec.Cmd
	exited            chan struct{}
	said              logBuffer
}

var rsyslogBlock = regexp.MustCompile("(?s)```rsyslog\n(.*?)```")

// newRsyslog starts a receiver that takes messages over TLS, or over plain TCP.
func newRsyslog(t *testing.T, overTLS bool) *rsyslog {
	t.Helper()
	block := rsyslogBlock.FindStringSubmatch(readFile(t, filepath.Join("..", "..", "docs", "auditing.md")))
	if block == nil {
		t.Fatal("docs/auditing.md has no configuration of rsyslog")
	}
	dir := t.TempDir()
	r := &rsyslog{
		config: filepath.Join(dir, "rsyslog.conf"), pid: filepath.Join(dir, "pid"),
		file: filepath.Join(dir, "keyturn-audit.log"), address: freePort(t),
	}
	host, port, err := net.SplitHostPort(r.address)
	if err != nil {
		t.Fatal(err)
	}
	stands := []string{
		"/etc/rsyslog.d/ca.pem", trust.caFile, "/etc/rsyslog.d/cert.pem", trust.certFile, "/etc/rsyslog.d/key.pem", trust.keyFile,
		"/var/log/keyturn-audit.log", r.file, `port="6514"`, `address="` + host + `" port="` + port + `"`,
	}
	if !overTLS {
		stands = append(stands, `streamDriver.mode="1"`, `streamDriver.mode="0"`)
	}
	for i := 0; i < len(stands); i += 2 {
		if !strings.Contains(block[1], stands[i]) {
			t.Errorf("the configuration of rsyslog in docs/auditing.md has no %s", stands[i])
		}
	}
	writeFile(t, r.config, strings.NewReplacer(stands...).Replace(block[1]))
	t.Cleanup(func() {
		r.end(t, syscall.SIGKILL)
		if t.Failed() {
			t.Logf("rsyslogd said:\n%s", r.said.String())
		}
	})
	r.start(t)
	return r
}

// start starts the receiver and waits until it listens.
func (r *rsyslog) start(t *testing.T) {
	t.Helper()
	r.cmd = exec.Command("/usr/sbin/rsyslogd", "-n", "-f", r.config, "-i", r.pid)
	r.cmd.Stdout, r.cmd.Stderr = &r.said, &r.said
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	r.exited = exited
	go func(cmd *exec.Cmd) {
		// How it ended does not matter: it is killed.
		_ = cmd.Wait()
		close(exited)
	}(r.cmd)
	if !poll(r.exited, r.listens) {
		t.Fatalf("rsyslogd does not listen:\n%s", r.said.String())
	}
}

func (r *rsyslog) listens() bool {
	conn, err := net.Dial("tcp", r.address)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// end ends the receiver, if it runs. What it has taken in it writes before it
// ends, unless it is killed.
func (r *rsyslog) end(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if r.exited == nil {
		return
	}
	if err := r.cmd.Process.Signal(signal); err != nil {
		t.Errorf("rsyslogd had ended already: %v", err)
	}
	<-r.exited
	r.exited = nil
	if signal == syscall.SIGKILL {
		r.dropHalf(t)
	}
}

// dropHalf takes away what a receiver that was killed had written of a line, as auditing.md
// tells operators: else it would go on behind that.
func (r *rsyslog) dropHalf(t *testing.T) {
	t.Helper()
	log := readFile(t, r.file)
	if err := os.Truncate(r.file, int64(strings.LastIndexByte(log, '\n')+1)); err != nil {
		t.Error(err)
	}
}

// count is how often a text is in what the receiver wrote, repeats not counted.
func (r *rsyslog) count(t *testing.T, text string) int {
	t.Helper()
	seen := map[string]bool{}
	for line := range strings.Lines(readFile(t, r.file)) {
		if strings.Contains(line, text) {
			seen[line] = true
		}
	}
	return len(seen)
}

// jti is the id of an access token.
func jti(t *testing.T, token string) string {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var c claims
	if err := parsed.UnsafeClaimsWithoutVerification(&c); err != nil {
		t.Fatal(err)
	}
	return c.ID
}

// TestA2_RsyslogIsKilled has servers and commands send their events to a real
// rsyslogd, which is killed while a server is at work and when it has nothing
// more to say: what rsyslog wrote in all its lives verifies against the store,
// and has an event of every token that was granted.
func TestA2_RsyslogIsKilled(t *testing.T) {
	for name, overTLS := range map[string]bool{"TCP": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRsyslog(t, overTLS)
			d := newDeployment(t, "", "--key-poll-interval", "200ms", "--clock-skew", "500ms", "--jwks-max-age", "1s", "--key-publish-lead", "2s")
			d.auditLog = "syslog+tcp://" + r.address
			if overTLS {
				d.auditLog = "syslog+tls://" + r.address
				d.settings = append(d.settings, "--audit-ca-file", trust.caFile)
			}
			s := openShop(t, d)
			var all []tokens
			held := s.login(t, s.public, email, password)
			refresh := func(n int) {
				for range n {
					all = append(all, held)
					held = s.granted(t, held)
				}
			}
			refresh(20)
			s.must(t, nil, "keys", "rotate")
			refresh(1)
			eventually(t, "the key turned", func() bool { return r.count(t, `"action":"key-activated"`) == 2 })
			r.end(t, syscall.SIGKILL)
			s.refuses(t, "a refresh", s.public, "/oauth/token", "grant_type", "refresh_token", "refresh_token", held.RefreshToken)
			r.start(t)
			refresh(20)
			r.end(t, syscall.SIGKILL)
			r.start(t)
			eventually(t, "the last events come again", func() bool { return r.count(t, `"action":"token-refreshed"`) >= len(all) })
			refresh(1)
			all = append(all, held)
			s.stop(t)
			r.end(t, syscall.SIGTERM)

			o := d.run(t, "audit", "verify", "--repeats", r.file)
			if o.code != 0 || !strings.Contains(o.stdout, `"repeated"`) {
				t.Fatalf("audit verify: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
			}
			log := readFile(t, r.file)
			checkNoSecrets(t, "the log", log)
			for _, one := range all {
				if id := jti(t, one.AccessToken); !strings.Contains(log, `"jti":"`+id+`"`) {
					t.Errorf("there is no event of token %s", id)
				}
			}
			if r.count(t, `"action":"server-stopped"`) != 1 {
				t.Error("the server's last event is missing")
			}
		})
	}
}
