package e2e

import (
	"crypto/tls"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/audit/syslogtest"
)

// collector is a syslog receiver that goes away and comes back where it was.
type collector struct {
	*syslogtest.Receiver
	t *testing.T
	// lines are what those before it received.
	lines []string
}

func newCollector(t *testing.T) *collector {
	return &collector{Receiver: syslogtest.Receive(t, freePort(t)), t: t}
}

// logsTo has servers and commands send their events to the collector.
func (d *deployment) logsTo(c *collector) *deployment {
	d.auditLog = "syslog+tcp://" + c.Address()
	return d
}

func (c *collector) leave() {
	c.Stop()
	c.lines = append(c.lines, c.Lines()...)
}

func (c *collector) comeBack() { c.Receiver = syslogtest.Receive(c.t, c.Address()) }

// check verifies what all of them received, and returns it.
func (c *collector) check(t *testing.T, d *deployment) string {
	t.Helper()
	c.leave()
	log, file := strings.Join(c.lines, "\n")+"\n", filepath.Join(d.dir, "received.log")
	writeFile(t, file, log)
	if o := d.run(t, "audit", "verify", "--repeats", file); o.code != 0 {
		t.Errorf("audit verify: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	checkNoSecrets(t, "what the receiver got", log)
	return log
}

// TestA3_SyslogReceiverGone ends the receiver of a server's events, and puts
// another in its place.
func TestA3_SyslogReceiverGone(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	s := openShop(t, newDeployment(t, "", strict...).logsTo(c))
	outage{
		fail: func() {
			c.leave()
			eventually(t, "the server knows that the receiver is gone", func() bool {
				a, err := postForm(s.url+"/oauth/token", s.confidential, values("grant_type", "client_credentials"))
				return err == nil && a.status == http.StatusServiceUnavailable
			})
		},
		heal: c.comeBack,
	}.check(t, s)
	s.stop(t)
	c.check(t, s.deployment)
}

// TestA3_ALossOverSyslogIsTold lets a server keep two events and lose three
// while there is no receiver: then its decisions stop. To the next receiver it
// sends what was kept and how much was lost.
func TestA3_ALossOverSyslogIsTold(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	s := openShop(t, newDeployment(t, "", "--audit-buffer", "2", "--audit-loss", "3").logsTo(c))
	shows := func(name, value string) bool {
		return strings.Contains(mustSend(t, "GET", s.admin+"/metrics", nil, "").body, "\n"+name+" "+value+"\n")
	}
	c.leave()
	granted := 0
	grant := func() {
		s.grant(t, s.confidential, "grant_type", "client_credentials")
		granted++
	}
	eventually(t, "an event is kept", func() bool {
		grant()
		return shows("keyturn_audit_held", "1")
	})
	for range 4 {
		grant()
	}
	s.refuses(t, "what is beyond both", s.confidential, "/oauth/token", "grant_type", "client_credentials")
	for name, want := range map[string]string{"keyturn_audit_held": "2", "keyturn_audit_lost_total": "3", "keyturn_audit_failures_total": "1"} {
		if !shows(name, want) {
			t.Errorf("/metrics does not show %s as %s", name, want)
		}
	}
	c.comeBack()
	c.Until(t, "the loss is told", func() bool {
		return strings.Contains(strings.Join(c.Lines(), "\n"), `"action":"audit-events-lost"`)
	})
	// The receiver has the line before the server knows that it was written.
	eventually(t, "decisions are made again", s.ready)
	grant()
	s.stop(t)
	log := c.check(t, s.deployment)
	if !strings.Contains(log, `"count":3,"detail":"from 20`) {
		t.Error("the log does not say that three events were lost, and when")
	}
	events := map[string]bool{}
	for line := range strings.Lines(log) {
		if strings.Contains(line, `"action":"token-issued"`) {
			events[line] = true
		}
	}
	if len(events) != granted-3 {
		t.Errorf("%d tokens were granted, and %d have an event; want all but three", granted, len(events))
	}
}

// TestSyslogStart has no server start that cannot reach its receiver or does not
// trust it, and says why.
func TestSyslogStart(t *testing.T) {
	t.Parallel()
	plain, gone := newCollector(t), newCollector(t)
	gone.leave()
	l, err := tls.Listen("tcp", freePort(t), &tls.Config{Certificates: []tls.Certificate{trust.certificate}})
	if err != nil {
		t.Fatal(err)
	}
	secured := syslogtest.ReceiveFrom(t, l)
	stranger, err := newAuthority(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct{ name, sink, caFile, want string }{
		{"nothing listens", "syslog+tcp://" + gone.Address(), "", "connection refused"},
		{"a receiver without TLS", "syslog+tls://" + plain.Address(), trust.caFile, "TLS with "},
		{"another authority", "syslog+tls://" + secured.Address(), stranger.caFile, "certificate signed by unknown authority"},
		{"no file of authorities", "syslog+tls://" + secured.Address(), "nowhere.pem", "audit_ca_file: open nowhere.pem"},
	} {
		d := newDeployment(t, "", "--audit-ca-file", one.caFile)
		d.auditLog = one.sink
		o := d.run(t, "serve", "--listen", freePort(t), "--admin-listen", "off", "--issuer", "http://127.0.0.1:1")
		if o.code == 0 || !strings.Contains(o.stderr, "audit_log "+one.sink) || !strings.Contains(o.stderr, one.want) {
			t.Errorf("%s: exit code %d\n%s\nwant %q", one.name, o.code, o.stderr, one.want)
		}
	}
	if got := secured.Lines(); len(got) != 0 {
		t.Errorf("a receiver that is not trusted got %q", got)
	}
}

// TestA3_ACommandWhoseLastLinesMayBeLostSaysThatItIsDone has a receiver that takes the
// event of a command, and is gone before it ends.
func TestA3_ACommandWhoseLastLinesMayBeLostSaysThatItIsDone(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	d.addClient(t, "first", "--public", "--grant", "password")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Read(make([]byte, 1<<16))
		_ = l.Close()
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}()
	away := *d
	away.auditLog = "syslog+tcp://" + l.Addr().String()
	o := away.run(t, "clients", "add", "app", "--public", "--grant", "password")
	if o.code != 1 || !strings.Contains(o.stderr, "it is done; its event may not have arrived") || !strings.Contains(o.stderr, "the last lines may not have reached") {
		t.Errorf("exit code %d, %s", o.code, o.stderr)
	}
	if list := d.run(t, "clients", "list"); !strings.Contains(list.stdout, `"app"`) {
		t.Errorf("it is not done: %s", list.stdout)
	}
}
