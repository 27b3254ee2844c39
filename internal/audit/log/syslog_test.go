package log_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/audit/line"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/audit/syslogtest"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// to sends the log to a receiver.
func to(sink string) func(*auditlog.Options) {
	return func(o *auditlog.Options) { o.Sink = sink }
}

// overTCP receives over plain TCP; the sink is how a log names it.
func overTCP(t *testing.T) (r *syslogtest.Receiver, sink string) {
	t.Helper()
	r = syslogtest.Receive(t, "127.0.0.1:0")
	return r, "syslog+tcp://" + r.Address()
}

// until asks again and again, since nothing tells when the kernel has passed on
// the end of a connection, or when the next may be tried.
func until(t *testing.T, what string, reached func() bool) {
	t.Helper()
	deadline, again := time.NewTimer(20*time.Second), time.NewTicker(5*time.Millisecond)
	defer deadline.Stop()
	defer again.Stop()
	for !reached() {
		select {
		case <-again.C:
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		}
	}
}

// TestSyslogMessages reads what comes with a parser of somebody else's.
func TestSyslogMessages(t *testing.T) {
	r, sink := overTCP(t)
	f := audittest.NewFixture(t)
	l := f.Open(t, to(sink))
	audittest.Record(t, l, 12)
	audittest.Close(t, l)
	r.Stop()
	rep := audittest.MustVerify(t, f.Options(), audittest.WriteLines(t, r.Lines()))
	if rep.Lines < 12 || len(rep.Notes) != 0 || r.Connections() != 1 {
		t.Errorf("%+v over %d connections", rep, r.Connections())
	}
	m := r.Messages()[0]
	at := line.Time([]byte(*m.Message)).Truncate(time.Microsecond)
	if *m.Facility != 13 || *m.Severity != 6 || *m.Hostname != "host" || *m.Appname != "keyturn" || *m.MsgID != string(audit.TokenIssued) || !m.Timestamp.Equal(at) {
		t.Errorf("the message is %+v", m)
	}
}

// TestA2_CutSyslogConnections resets connections all the time, in the midst of
// messages: no line is missing, and what was sent again verifies as repeats.
func TestA2_CutSyslogConnections(t *testing.T) {
	r, sink := overTCP(t)
	r.CutAfter(9_000)
	f := audittest.NewFixture(t)
	l := f.Open(t, to(sink))
	written := 0
	var all sync.WaitGroup
	var mu sync.Mutex
	for range 4 {
		all.Go(func() {
			for range 25 {
				if err := l.Record(context.Background(), audit.Event{Action: audit.UserRead, Outcome: audit.Success}); err == nil {
					mu.Lock()
					written++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	r.Until(t, "connections were cut", func() bool { return r.Connections() >= 3 })
	r.CutAfter(0)
	r.Cut()
	audittest.Close(t, l)
	r.Stop()
	lines := r.Lines()
	o := f.Options()
	o.Repeats = true
	path := audittest.WriteLines(t, lines)
	rep := audittest.MustVerify(t, o, path)
	events := 0
	seen := map[string]bool{}
	for _, text := range lines {
		if !seen[text] && strings.Contains(text, `"action":"user-read"`) {
			events++
		}
		seen[text] = true
	}
	if rep.Repeated == 0 || rep.Lines != int64(len(seen)) || events < written || written == 0 {
		t.Errorf("%d events acknowledged, %d there; %+v over %d connections", written, events, rep, r.Connections())
	}
	if _, err := verify.Files([]string{path}, f.Options()); err == nil {
		t.Error("repeats passed without the option")
	}
	passed := 0
	if _, err := verify.Each([]string{path}, o, func([]byte) error { passed++; return nil }); err != nil || passed != len(seen) {
		t.Errorf("%d lines passed on (%v); want each once, %d", passed, err, len(seen))
	}
}

// TestTheLastLineBeforeACutIsSentAgain has nothing to send after the cut.
func TestTheLastLineBeforeACutIsSentAgain(t *testing.T) {
	r, sink := overTCP(t)
	f := audittest.NewFixture(t)
	l := f.Open(t, to(sink))
	audittest.Record(t, l, 1)
	r.Until(t, "the first line comes", func() bool { return len(r.Lines()) > 0 })
	r.Cut()
	r.Until(t, "it comes again on a new connection", func() bool {
		lines := r.Lines()
		return r.Connections() == 2 && strings.Count(strings.Join(lines, "\n"), lines[0]) == 2
	})
	audittest.Close(t, l)
}

// TestA3_ASyslogReceiverThatIsAway fails events while nothing listens, and goes
// on with the same chain when something does.
func TestA3_ASyslogReceiverThatIsAway(t *testing.T) {
	r, sink := overTCP(t)
	f := audittest.NewFixture(t)
	l := f.Open(t, to(sink))
	audittest.Record(t, l, 3)
	r.Until(t, "the lines come", func() bool { return len(r.Lines()) >= 3 })
	r.Stop()
	until(t, "an event fails", func() bool {
		return l.Record(t.Context(), audit.Event{Action: audit.UserRead, Detail: "refused"}) != nil
	})
	if err := l.Record(t.Context(), audit.Event{Action: audit.UserRead, Detail: "refused"}); !errors.Is(err, audit.ErrNotRecorded) {
		t.Errorf("an event while nothing listens: %v", err)
	}
	second := syslogtest.Receive(t, r.Address())
	until(t, "events are written again", func() bool {
		return l.Record(t.Context(), audit.Event{Action: audit.UserRead, Outcome: audit.Success}) == nil
	})
	audittest.Close(t, l)
	second.Stop()
	o := f.Options()
	o.Repeats = true
	audittest.MustVerify(t, o, audittest.WriteLines(t, append(r.Lines(), second.Lines()...)))
}

// TestA3_ASyslogReceiverThatIsAwayIsBuffered keeps events as for a file.
func TestA3_ASyslogReceiverThatIsAwayIsBuffered(t *testing.T) {
	reserved, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := reserved.Addr().String()
	if err := reserved.Close(); err != nil {
		t.Fatal(err)
	}
	f := audittest.NewFixture(t)
	l := f.Open(t, to("syslog+tcp://"+address), func(o *auditlog.Options) { o.Keep = 5 })
	audittest.Record(t, l, 5)
	if err := l.Record(t.Context(), audit.Event{Action: audit.UserRead}); !errors.Is(err, auditlog.ErrBacklog) {
		t.Errorf("the sixth event: %v", err)
	}
	r := syslogtest.Receive(t, address)
	until(t, "what was kept is sent", func() bool { return l.Backlog().Held == 0 })
	audittest.Close(t, l)
	r.Stop()
	if rep := audittest.MustVerify(t, f.Options(), audittest.WriteLines(t, r.Lines())); rep.Lines < 5 {
		t.Errorf("%+v", rep)
	}
}

// TestSyslogOverTLS takes a receiver whose certificate is of the authority
// given, and no other.
func TestSyslogOverTLS(t *testing.T) {
	certificate, ca := selfSigned(t)
	_, otherCA := selfSigned(t)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	r := syslogtest.ReceiveFrom(t, listener)
	sink := "syslog+tls://" + r.Address()
	trust := func(file string) func(*auditlog.Options) { return func(o *auditlog.Options) { o.CAFile = file } }
	for name, file := range map[string]string{"another authority": otherCA, "the system's authorities": ""} {
		var unknown x509.UnknownAuthorityError
		if _, err := auditlog.Open(auditlog.Options{Sink: sink, Node: "host", CAFile: file}); !errors.As(err, &unknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var misnamed x509.HostnameError
	byName := strings.Replace(sink, "127.0.0.1", "localhost", 1)
	if _, err := auditlog.Open(auditlog.Options{Sink: byName, Node: "host", CAFile: ca}); !errors.As(err, &misnamed) {
		t.Errorf("a certificate for another name: %v", err)
	}
	f := audittest.NewFixture(t)
	l := f.Open(t, to(sink), trust(ca))
	audittest.Record(t, l, 9)
	r.Until(t, "the lines come", func() bool { return len(r.Lines()) >= 9 })
	r.Cut()
	r.Until(t, "there is a new connection", func() bool { return len(r.Lines()) >= 18 })
	audittest.Record(t, l, 3)
	audittest.Close(t, l)
	r.Stop()
	o := f.Options()
	o.Repeats = true
	if rep := audittest.MustVerify(t, o, audittest.WriteLines(t, r.Lines())); rep.Lines < 12 || rep.Repeated < 9 {
		t.Errorf("%+v", rep)
	}
	if _, err := auditlog.Open(auditlog.Options{Sink: sink, Node: "host", CAFile: f.Path}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(f.Path, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := auditlog.Open(auditlog.Options{Sink: sink, Node: "host", CAFile: f.Path}); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("a file without a certificate: %v", err)
	}
}

// selfSigned makes a certificate for loopback and the file of its authority.
func selfSigned(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "receiver"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// TestARepeatIsExact takes nothing for a repeat that differs in a byte.
func TestARepeatIsExact(t *testing.T) {
	f := audittest.NewFixture(t)
	f.Write(t, 9)
	lines := f.Lines(t)
	o := f.Options()
	o.Repeats = true
	rep := audittest.MustVerify(t, o, audittest.WriteLines(t, append(lines[:6:6], lines[2:]...)))
	if rep.Repeated != 4 || rep.Lines != int64(len(lines)) {
		t.Errorf("%+v", rep)
	}
	changed := strings.Replace(lines[3], "u1", "u2", 1)
	audittest.MustFind(t, o, 7, "repeated or out of order", audittest.WriteLines(t, append(append(lines[:6:6], changed), lines[6:]...)))
}

// TestRepeatsAtTheStartOfAFile has a receiver that is restarted when its file is
// rotated, so that the next file begins with the same lines, and grows longer than
// what is remembered.
func TestRepeatsAtTheStartOfAFile(t *testing.T) {
	const remembered = 1 << 14
	f := audittest.NewFixture(t)
	l := f.Open(t, func(o *auditlog.Options) { o.CheckpointLines = remembered })
	audittest.Record(t, l, remembered+100)
	audittest.Close(t, l)
	lines, dir := f.Lines(t), t.TempDir()
	older, newer := filepath.Join(dir, "log.1"), filepath.Join(dir, "log")
	for path, part := range map[string][]string{older: lines[:50], newer: lines} {
		if err := os.WriteFile(path, []byte(strings.Join(part, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	day := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(older, day, day); err != nil {
		t.Fatal(err)
	}
	o := f.Options()
	o.Repeats = true
	if rep := audittest.MustVerify(t, o, newer, older); rep.Repeated != 50 {
		t.Errorf("%+v", rep)
	}
}
