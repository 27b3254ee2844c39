package server

import (
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// lazyListener accepts connections whose deadlines cost next to nothing to move.
type lazyListener struct{ net.Listener }

// Accept implements net.Listener.
func (l lazyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return newLazyConn(c), nil
}

// lazyConn is a connection that keeps its deadlines, but asks for a timer only
// where none is set that ends sooner. net/http moves the deadlines of a
// connection half a dozen times for each request, nearly always further into the
// future: a timer that then comes too soon is set anew, once in seconds, and
// nobody sees it. One Read and one Write may be under way at a time: net/http, its
// HTTP/2 and crypto/tls begin no second one.
//
// Nor is it eager to read what cannot be there yet, see Read.
type lazyConn struct {
	net.Conn
	reads, writes lazyDeadline
	// answered is set from a Write to the next Read.
	answered atomic.Bool
}

func newLazyConn(c net.Conn) *lazyConn {
	return &lazyConn{Conn: c, reads: lazyDeadline{set: c.SetReadDeadline}, writes: lazyDeadline{set: c.SetWriteDeadline}}
}

// Read implements net.Conn. Right after an answer the client has not sent its next
// request: to look for it would be a system call for nothing, and then a wait. On a
// busy server other requests are ready, and when it is this one's turn again there
// may be something to read.
func (c *lazyConn) Read(p []byte) (int, error) {
	// One byte is what net/http reads to learn that a client has gone.
	if len(p) > 1 && c.answered.Load() {
		c.answered.Store(false)
		runtime.Gosched()
	}
	for {
		if err := c.reads.begin(); err != nil {
			return 0, err
		}
		n, err := c.Conn.Read(p)
		if !c.reads.end(err) {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
}

// Write implements net.Conn.
func (c *lazyConn) Write(p []byte) (n int, err error) {
	c.answered.Store(true)
	for {
		if err := c.writes.begin(); err != nil {
			return n, err
		}
		m, err := c.Conn.Write(p[n:])
		n += m
		if !c.writes.end(err) {
			return n, err
		}
	}
}

// SetReadDeadline implements net.Conn.
func (c *lazyConn) SetReadDeadline(t time.Time) error { return c.reads.move(t) }

// SetWriteDeadline implements net.Conn.
func (c *lazyConn) SetWriteDeadline(t time.Time) error { return c.writes.move(t) }

// SetDeadline implements net.Conn.
func (c *lazyConn) SetDeadline(t time.Time) error {
	return errors.Join(c.reads.move(t), c.writes.move(t))
}

// CloseWrite lets net/http end an answer before the connection, which a client
// that is still sending would otherwise lose.
func (c *lazyConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// lazyDeadline is the deadline of one direction of a connection. It is moved so
// often that even deferring the unlocking shows; nothing between panics.
type lazyDeadline struct {
	set func(time.Time) error // of the connection

	mu sync.Mutex
	// due is the deadline, armed the one that the connection knows of: while
	// something is under way it is never the later one. Zero means none.
	due, armed time.Time
	underWay   bool
}

// move makes t the deadline, of what is under way too.
func (d *lazyDeadline) move(t time.Time) error {
	d.mu.Lock()
	d.due = t
	var err error
	if d.underWay && d.late() {
		err = d.arm()
	}
	d.mu.Unlock()
	return err
}

// begin begins a read or a write, if there is time left.
func (d *lazyDeadline) begin() error {
	d.mu.Lock()
	var err error
	if d.late() {
		if d.over() {
			err = os.ErrDeadlineExceeded
		} else {
			err = d.arm()
		}
	}
	d.underWay = err == nil
	d.mu.Unlock()
	return err
}

// end ends a read or a write that failed with err, if it did, and reports
// whether it is to go on because the timer came too soon.
func (d *lazyDeadline) end(err error) (goOn bool) {
	d.mu.Lock()
	d.underWay = false
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) && !d.over() {
		goOn = d.arm() == nil
	}
	d.mu.Unlock()
	return goOn
}

// late reports whether the connection's own timer comes too late.
func (d *lazyDeadline) late() bool {
	return !d.due.IsZero() && (d.armed.IsZero() || d.due.Before(d.armed))
}

// over reports whether the deadline has passed.
func (d *lazyDeadline) over() bool { return !d.due.IsZero() && time.Until(d.due) <= 0 }

func (d *lazyDeadline) arm() error {
	d.armed = d.due
	return d.set(d.due)
}
