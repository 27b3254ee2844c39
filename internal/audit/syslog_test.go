package audit

import (
	"bytes"
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

	gosyslog "github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/octetcounting"
	"github.com/leodido/go-syslog/v4/rfc5424"
)

// receiver is a syslog receiver that writes down what each connection brought.
type receiver struct {
	t        *testing.T
	listener net.Listener
	done     sync.WaitGroup

	mu       sync.Mutex
	received []*bytes.Buffer // by connection
	open     map[net.Conn]bool
	// cutAfter, if it is above zero, resets a connection after so many bytes.
	cutAfter int
}

func newReceiver(t *testing.T, listener net.Listener, err error) *receiver {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{t: t, listener: listener, open: map[net.Conn]bool{}}
	r.done.Go(r.accept)
	t.Cleanup(r.stop)
	return r
}

// receive starts a receiver over plain TCP.
func receive(t *testing.T) *receiver {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	return newReceiver(t, l, err)
}

func (r *receiver) accept() {
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		into := &bytes.Buffer{}
		r.received = append(r.received, into)
		r.open[conn] = true
		r.mu.Unlock()
		r.done.Go(func() { r.read(conn, into) })
	}
}

func (r *receiver) read(conn net.Conn, into *bytes.Buffer) {
	defer conn.Close()
	b := make([]byte, 1000)
	for {
		n, err := conn.Read(b)
		r.mu.Lock()
		into.Write(b[:n])
		cut := r.cutAfter > 0 && into.Len() > r.cutAfter
		r.mu.Unlock()
		if err != nil || cut {
			return // closed with unread data, if there is any: a reset
		}
	}
}

// cut ends all connections.
func (r *receiver) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn := range r.open {
		_ = conn.Close()
	}
	clear(r.open)
}

func (r *receiver) setCutAfter(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cutAfter = n
}

// stop ends the receiver, so that nobody can connect any more.
func (r *receiver) stop() {
	_ = r.listener.Close()
	r.cut()
	r.done.Wait()
}

// messages parses what all connections brought, in the order in which these
// were made. What a cut left of a message is no message.
func (r *receiver) messages() (all []*rfc5424.SyslogMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.received {
		octetcounting.NewParser(gosyslog.WithMaxMessageLength(2*MaxLine), gosyslog.WithListener(func(res *gosyslog.Result) {
			if res.Error == nil {
				all = append(all, res.Message.(*rfc5424.SyslogMessage))
			}
		})).Parse(bytes.NewReader(b.Bytes()))
	}
	return all
}

// lines are the lines of the log that came, repeats included.
func (r *receiver) lines() (all []string) {
	for _, m := range r.messages() {
		all = append(all, *m.Message)
	}
	return all
}

func (r *receiver) connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.received)
}

func (r *receiver) url() string { return syslogTCP + "://" + r.listener.Addr().String() }

// to sends the log to a receiver.
func to(sink string) func(*Options) {
	return func(o *Options) { o.Sink = sink }
}

// until polls, since nothing tells when a receiver has read.
func until(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !reached(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// TestSyslogMessages reads what comes with a parser of somebody else's.
func TestSyslogMessages(t *testing.T) {
	r := receive(t)
	f := newFixture(t)
	l := f.open(t, to(r.url()))
	record(t, l, 12)
	closeLog(t, l)
	r.stop()
	rep := mustVerify(t, f.options(), writeLines(t, r.lines()))
	if rep.Lines < 12 || len(rep.Notes) != 0 || r.connections() != 1 {
		t.Errorf("%+v over %d connections", rep, r.connections())
	}
	m := r.messages()[0]
	at := lineTime([]byte(*m.Message)).Truncate(time.Microsecond)
	if *m.Facility != 13 || *m.Severity != 6 || *m.Hostname != "host" || *m.Appname != "keyturn" || *m.MsgID != string(TokenIssued) || !m.Timestamp.Equal(at) {
		t.Errorf("the message is %+v", m)
	}
}

// TestA2_CutSyslogConnections resets connections all the time, in the midst of
// messages: no line is missing, and what was sent again verifies as repeats.
func TestA2_CutSyslogConnections(t *testing.T) {
	r := receive(t)
	r.setCutAfter(9_000)
	f := newFixture(t)
	l := f.open(t, to(r.url()))
	written := 0
	var all sync.WaitGroup
	var mu sync.Mutex
	for range 4 {
		all.Go(func() {
			for range 25 {
				if err := l.Record(context.Background(), Event{Action: UserRead, Outcome: Success}); err == nil {
					mu.Lock()
					written++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	until(t, "connections were cut", func() bool { return r.connections() >= 3 })
	r.setCutAfter(0)
	r.cut()
	closeLog(t, l)
	r.stop()
	lines := r.lines()
	o := f.options()
	o.Repeats = true
	path := writeLines(t, lines)
	rep := mustVerify(t, o, path)
	events := 0
	seen := map[string]bool{}
	for _, line := range lines {
		if !seen[line] && strings.Contains(line, `"action":"user-read"`) {
			events++
		}
		seen[line] = true
	}
	if rep.Repeated == 0 || rep.Lines != int64(len(seen)) || events < written || written == 0 {
		t.Errorf("%d events acknowledged, %d there; %+v over %d connections", written, events, rep, r.connections())
	}
	if _, err := Verify([]string{path}, f.options()); err == nil {
		t.Error("repeats passed without the option")
	}
	passed := 0
	if _, err := VerifyEach([]string{path}, o, func([]byte) error { passed++; return nil }); err != nil || passed != len(seen) {
		t.Errorf("%d lines passed on (%v); want each once, %d", passed, err, len(seen))
	}
}

// TestTheLastLineBeforeACutIsSentAgain has nothing to send after the cut.
func TestTheLastLineBeforeACutIsSentAgain(t *testing.T) {
	r := receive(t)
	f := newFixture(t)
	l := f.open(t, to(r.url()))
	record(t, l, 1)
	until(t, "the first line comes", func() bool { return len(r.lines()) > 0 })
	r.cut()
	until(t, "it comes again on a new connection", func() bool {
		lines := r.lines()
		return r.connections() == 2 && strings.Count(strings.Join(lines, "\n"), lines[0]) == 2
	})
	closeLog(t, l)
}

// TestA3_ASyslogReceiverThatIsAway fails events while nothing listens, and goes
// on with the same chain when something does.
func TestA3_ASyslogReceiverThatIsAway(t *testing.T) {
	r := receive(t)
	f := newFixture(t)
	l := f.open(t, to(r.url()))
	record(t, l, 3)
	until(t, "the lines come", func() bool { return len(r.lines()) >= 3 })
	r.stop()
	until(t, "an event fails", func() bool { return l.Record(t.Context(), Event{Action: UserRead, Detail: "refused"}) != nil })
	if err := l.Record(t.Context(), Event{Action: UserRead, Detail: "refused"}); !errors.Is(err, ErrNotRecorded) {
		t.Errorf("an event while nothing listens: %v", err)
	}
	again, err := net.Listen("tcp", r.listener.Addr().String())
	second := newReceiver(t, again, err)
	until(t, "events are written again", func() bool { return l.Record(t.Context(), Event{Action: UserRead, Outcome: Success}) == nil })
	closeLog(t, l)
	second.stop()
	o := f.options()
	o.Repeats = true
	mustVerify(t, o, writeLines(t, append(r.lines(), second.lines()...)))
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
	f := newFixture(t)
	l := f.open(t, to(syslogTCP+"://"+address), func(o *Options) { o.Keep = 5 })
	record(t, l, 5)
	if err := l.Record(t.Context(), Event{Action: UserRead}); !errors.Is(err, errBacklog) {
		t.Errorf("the sixth event: %v", err)
	}
	listener, err := net.Listen("tcp", address)
	r := newReceiver(t, listener, err)
	until(t, "what was kept is sent", func() bool { return l.Backlog().Held == 0 })
	closeLog(t, l)
	r.stop()
	if rep := mustVerify(t, f.options(), writeLines(t, r.lines())); rep.Lines < 5 {
		t.Errorf("%+v", rep)
	}
}

// TestSyslogOverTLS takes a receiver whose certificate is of the authority
// given, and no other.
func TestSyslogOverTLS(t *testing.T) {
	certificate, ca := selfSigned(t)
	_, otherCA := selfSigned(t)
	listen := func() *receiver {
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
		return newReceiver(t, l, err)
	}
	r := listen()
	sink := syslogTLS + "://" + r.listener.Addr().String()
	f := newFixture(t)
	trust := func(file string) func(*Options) { return func(o *Options) { o.CAFile = file } }
	for name, file := range map[string]string{"another authority": otherCA, "the system's authorities": ""} {
		stranger := f.open(t, to(sink), trust(file))
		var unknown x509.UnknownAuthorityError
		if err := stranger.Record(t.Context(), Event{Action: UserRead}); !errors.As(err, &unknown) {
			t.Errorf("%s: %v", name, err)
		}
		closeLog(t, stranger)
	}
	f = newFixture(t)
	l := f.open(t, to(sink), trust(ca))
	record(t, l, 9)
	until(t, "the lines come", func() bool { return len(r.lines()) >= 9 })
	r.cut()
	until(t, "there is a new connection", func() bool { return len(r.lines()) >= 18 })
	record(t, l, 3)
	closeLog(t, l)
	r.stop()
	o := f.options()
	o.Repeats = true
	if rep := mustVerify(t, o, writeLines(t, r.lines())); rep.Lines < 12 || rep.Repeated < 9 {
		t.Errorf("%+v", rep)
	}
	if _, err := Open(Options{Sink: sink, Node: "host", CAFile: f.path}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(f.path, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Sink: sink, Node: "host", CAFile: f.path}); err == nil || !strings.Contains(err.Error(), "no certificate") {
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
	f := newFixture(t)
	f.write(t, 9)
	lines := f.lines(t)
	o := f.options()
	o.Repeats = true
	rep := mustVerify(t, o, writeLines(t, append(lines[:6:6], lines[2:]...)))
	if rep.Repeated != 4 || rep.Lines != int64(len(lines)) {
		t.Errorf("%+v", rep)
	}
	changed := strings.Replace(lines[3], "u1", "u2", 1)
	mustFind(t, o, 7, "repeated or out of order", writeLines(t, append(append(lines[:6:6], changed), lines[6:]...)))
}
