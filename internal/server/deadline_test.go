package server_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/server"
)

// step sets a deadline: at so long after the read began, due so long after it;
// none if due is 0.
type step struct{ at, due time.Duration }

// awaited is a read with what happens to its deadline, and when it has to end by
// itself, if it does.
type awaited struct {
	steps []step
	ends  bool
	end   time.Duration
}

// drawRead sets deadlines at even milliseconds that are due at odd ones.
func drawRead(t *rapid.T) (r awaited) {
	var at time.Duration
	for range rapid.IntRange(1, 6).Draw(t, "steps") {
		s := step{at: at}
		r.ends = false
		if rapid.IntRange(0, 4).Draw(t, "none") > 0 {
			s.due = at + time.Duration(2*rapid.IntRange(-3, 10_000).Draw(t, "in")+1)*time.Millisecond
			r.ends, r.end = true, max(s.due, s.at)
		}
		r.steps = append(r.steps, s)
		at += 2 * time.Duration(rapid.IntRange(1, 10_000).Draw(t, "wait")) * time.Millisecond
		if r.ends && r.end < at {
			break
		}
	}
	return r
}

// TestADeadlineIsTheOneSetLast moves the deadline before a read and while it
// waits, again and again on one connection: each read ends at the very moment
// that the deadline set last says.
func TestADeadlineIsTheOneSetLast(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var reads []awaited
		for range rapid.IntRange(1, 5).Draw(rt, "reads") {
			reads = append(reads, drawRead(rt))
		}
		failure := ""
		synctest.Test(t, func(*testing.T) { failure = endsWhenDue(reads) })
		if failure != "" {
			rt.Fatal(failure)
		}
	})
}

// endsWhenDue reads from one connection, one read after the other.
func endsWhenDue(reads []awaited) (failure string) {
	client, inner := net.Pipe()
	defer client.Close()
	defer inner.Close()
	c := server.NewLazyConn(inner)
	for _, r := range reads {
		begin := time.Now()
		for _, s := range r.steps {
			deadline := begin.Add(s.due)
			if s.due == 0 {
				deadline = time.Time{}
			}
			if s.at == 0 {
				_ = c.SetReadDeadline(deadline)
			} else {
				time.AfterFunc(s.at, func() { _ = c.SetReadDeadline(deadline) })
			}
		}
		end := r.end
		if !r.ends {
			end = r.steps[len(r.steps)-1].at + time.Hour
			time.AfterFunc(end, func() { _, _ = client.Write([]byte("x")) })
		}
		_, err := c.Read(make([]byte, 1))
		if took := time.Since(begin); took != end || errors.Is(err, os.ErrDeadlineExceeded) != r.ends {
			return fmt.Sprintf("%v: ended after %v with %v; want %v", r.steps, took, err, end)
		}
	}
	return ""
}

// TestAWriteGoesOnBehindATimerOfBefore has a reader that takes its time, and
// deadlines that move on: not a byte is lost or sent twice.
func TestAWriteGoesOnBehindATimerOfBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, inner := net.Pipe()
		c := server.NewLazyConn(inner)
		const text = "a text that is read a byte a second"
		go func() {
			defer c.Close()
			_ = c.SetWriteDeadline(time.Now().Add(2500 * time.Millisecond))
			time.AfterFunc(time.Second, func() { _ = c.SetWriteDeadline(time.Now().Add(10 * time.Second)) })
			time.AfterFunc(5*time.Second, func() { _ = c.SetWriteDeadline(time.Now().Add(time.Hour)) })
			if n, err := c.Write([]byte(text)); n != len(text) || err != nil {
				t.Errorf("%d of %d bytes were written: %v", n, len(text), err)
			}
		}()
		var got strings.Builder
		for b := make([]byte, 1); ; elapse(time.Second) {
			n, err := client.Read(b)
			if got.Write(b[:n]); err == io.EOF {
				break
			}
		}
		if got.String() != text {
			t.Errorf("%q arrived; want %q", got.String(), text)
		}
	})
}

// pipes is a listener whose connections are in memory.
type pipes struct{ conns chan net.Conn }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

func (p *pipes) Accept() (net.Conn, error) {
	c, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p *pipes) Close() error   { close(p.conns); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

// withPipes runs f in a bubble with a server of our settings that listens there.
func withPipes(t *testing.T, f func(t *testing.T, p *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		srv, serve := server.LazyServer(30*time.Second, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(w, r.Body); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
		}))
		p := &pipes{conns: make(chan net.Conn)}
		done := make(chan error)
		go func() { done <- serve(p) }()
		f(t, p)
		srv.Close()
		<-done
	})
}

// TestSlowClientsAreCutOff says when a client that does nothing more loses its
// connection, whatever it did before.
func TestSlowClientsAreCutOff(t *testing.T) {
	const ask = "POST / HTTP/1.1\r\nHost: k\r\nContent-Length: 4\r\n\r\n"
	for _, c := range []struct {
		name, sends string
		reads       bool
		after       time.Duration
	}{
		{"nothing was asked", "", true, server.ReadHeaderTimeout},
		{"half a head", ask[:20], true, server.ReadHeaderTimeout},
		{"half a body", ask + "12", true, 30 * time.Second},
		{"an answer that it does not read", ask + "1234", false, 30*time.Second + server.ReadHeaderTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, before := range []int{0, 1, 3} {
				withPipes(t, func(t *testing.T, p *pipes) {
					client := p.dial()
					defer client.Close()
					in := bufio.NewReader(client)
					for range before {
						if _, err := io.WriteString(client, ask+"1234"); err != nil {
							t.Fatal(err)
						}
						if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != http.StatusOK {
							t.Fatal(resp, err)
						}
						in.Discard(in.Buffered())
						elapse(time.Second)
					}
					begin, want := time.Now(), c.after
					if c.sends == "" && before > 0 {
						want = server.IdleTimeout - time.Second
					}
					if _, err := io.WriteString(client, c.sends); err != nil {
						t.Fatal(err)
					}
					if !c.reads {
						elapse(want + time.Nanosecond)
						want = time.Since(begin)
					}
					_, _ = io.Copy(io.Discard, in)
					if took := time.Since(begin); took != want {
						t.Errorf("after %d requests it was cut off after %v; want %v", before, took, want)
					}
				})
			}
		})
	}
}

// counted counts how often the connection's own deadlines are set.
type counted struct {
	net.Conn
	sets int
}

func (c *counted) SetReadDeadline(t time.Time) error {
	c.sets++
	return c.Conn.SetReadDeadline(t)
}

func (c *counted) SetWriteDeadline(t time.Time) error {
	c.sets++
	return c.Conn.SetWriteDeadline(t)
}

// TestDeadlinesCostNoTimers moves deadlines as net/http does for each of the
// requests that a client sends within ten seconds.
func TestDeadlinesCostNoTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, inner := net.Pipe()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for b := make([]byte, 1); ; elapse(10 * time.Millisecond) {
				if _, err := client.Write(b); err != nil {
					return
				}
				if _, err := client.Read(b); err != nil {
					return
				}
			}
		}()
		watched := &counted{Conn: inner}
		c := server.NewLazyConn(watched)
		for begin, b := time.Now(), make([]byte, 1); time.Since(begin) < 10*time.Second; {
			in := func(d time.Duration) time.Time { return time.Now().Add(d) }
			err := errors.Join(c.SetReadDeadline(in(5*time.Second)), c.SetReadDeadline(in(30*time.Second)), c.SetWriteDeadline(in(35*time.Second)))
			if _, failed := c.Read(b); err != nil || failed != nil {
				t.Fatal(err, failed)
			}
			if _, err := c.Write(b); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(c.SetReadDeadline(time.Unix(1, 0)), c.SetReadDeadline(time.Time{}), c.SetReadDeadline(in(2*time.Minute))); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
		<-ended
		if watched.sets > 4 {
			t.Errorf("the connection's deadlines were set %d times", watched.sets)
		}
	})
}

// eagerConn notes whether other ran before it was read.
type eagerConn struct {
	net.Conn
	other  atomic.Bool
	waited bool
}

func (c *eagerConn) Write(p []byte) (int, error) { return len(p), nil }

func (c *eagerConn) Read(p []byte) (int, error) {
	c.waited = c.other.Load()
	return len(p), nil
}

// TestOthersGoFirstAfterAnAnswer reads with something else ready to run, on one
// processor: after an answer that goes first, nearly always (the scheduler sees to
// it that nobody waits for ever), and at other times hardly ever.
func TestOthersGoFirstAfterAnAnswer(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const rounds = 200
	pipe, other := net.Pipe()
	defer pipe.Close()
	defer other.Close()
	waits := func(length int, answered bool) (n int) {
		for range rounds {
			inner := &eagerConn{Conn: pipe}
			c := server.NewLazyConn(inner)
			if answered {
				if _, err := c.Write([]byte("answer")); err != nil {
					t.Fatal(err)
				}
			}
			ran := make(chan struct{})
			go func() { inner.other.Store(true); close(ran) }()
			if _, err := c.Read(make([]byte, length)); err != nil {
				t.Fatal(err)
			}
			if inner.waited {
				n++
			}
			<-ran
		}
		return n
	}
	if n := waits(4096, true); n < rounds/2 {
		t.Errorf("others went first before %d of %d reads after an answer", n, rounds)
	}
	if n := waits(4096, false) + waits(1, true); n > rounds/2 {
		t.Errorf("others went first before %d of %d other reads", n, 2*rounds)
	}
}
