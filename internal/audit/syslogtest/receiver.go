// Package syslogtest is a syslog receiver for tests, which reads what comes with
// a parser of somebody else's.
package syslogtest

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"

	gosyslog "github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/octetcounting"
	"github.com/leodido/go-syslog/v4/rfc5424"
)

// maxMessage is more than the longest line and its header.
const maxMessage = 128 << 10

// Receiver is a syslog receiver that writes down what each connection brought.
type Receiver struct {
	listener net.Listener
	done     sync.WaitGroup

	mu       sync.Mutex
	received []*bytes.Buffer // by connection
	open     map[net.Conn]bool
	cutAfter int
	changed  chan struct{} // closed at the next change
}

// Receive starts a receiver over plain TCP on an address.
func Receive(t *testing.T, address string) *Receiver {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return ReceiveFrom(t, l)
}

// ReceiveFrom starts a receiver. It ends with the test, if not before.
func ReceiveFrom(t *testing.T, l net.Listener) *Receiver {
	t.Helper()
	r := &Receiver{listener: l, open: map[net.Conn]bool{}, changed: make(chan struct{})}
	r.done.Go(r.accept)
	t.Cleanup(r.Stop)
	return r
}

// Address is where the receiver listens.
func (r *Receiver) Address() string { return r.listener.Addr().String() }

func (r *Receiver) accept() {
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			return
		}
		into := &bytes.Buffer{}
		r.change(func() {
			r.received = append(r.received, into)
			r.open[conn] = true
		})
		r.done.Go(func() { r.read(conn, into) })
	}
}

func (r *Receiver) read(conn net.Conn, into *bytes.Buffer) {
	defer conn.Close()
	b := make([]byte, 1000)
	for {
		n, err := conn.Read(b)
		cut := false
		r.change(func() {
			into.Write(b[:n])
			cut = r.cutAfter > 0 && into.Len() > r.cutAfter
		})
		if err != nil || cut {
			return // closed with unread data, if there is any: a reset
		}
	}
}

// change does something and wakes those who wait for it.
func (r *Receiver) change(do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do()
	close(r.changed)
	r.changed = make(chan struct{})
}

// Until waits until something is true of what came.
func (r *Receiver) Until(t *testing.T, what string, reached func() bool) {
	t.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if reached() {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		}
	}
}

// Cut ends all connections.
func (r *Receiver) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn := range r.open {
		_ = conn.Close()
	}
	clear(r.open)
}

// CutAfter has the receiver reset each connection after so many bytes, or not if
// that is zero.
func (r *Receiver) CutAfter(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cutAfter = n
}

// Stop ends the receiver, so that nobody can connect any more.
func (r *Receiver) Stop() {
	_ = r.listener.Close()
	r.Cut()
	r.done.Wait()
}

// Messages parses what all connections brought, in the order in which these
// were made. What a cut left of a message is no message.
func (r *Receiver) Messages() (all []*rfc5424.SyslogMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.received {
		octetcounting.NewParser(gosyslog.WithMaxMessageLength(maxMessage), gosyslog.WithListener(func(res *gosyslog.Result) {
			if res.Error == nil {
				all = append(all, res.Message.(*rfc5424.SyslogMessage))
			}
		})).Parse(bytes.NewReader(b.Bytes()))
	}
	return all
}

// Lines are the lines of the log that came, repeats included.
func (r *Receiver) Lines() (all []string) {
	for _, m := range r.Messages() {
		all = append(all, *m.Message)
	}
	return all
}

// Connections counts the connections that were made.
func (r *Receiver) Connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.received)
}
