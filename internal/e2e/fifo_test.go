package e2e

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fifo is a named pipe that a server writes its audit log to. Its reader can
// leave and come back, or stay and read nothing.
type fifo struct {
	path string

	mu     sync.Mutex
	turned *sync.Cond   // paused or left is another
	got    bytes.Buffer // all that was read
	r      *os.File
	paused bool
	left   bool
	done   chan struct{} // closed when the reader has left
}

// newFIFO makes a pipe with a reader.
func newFIFO(t *testing.T) *fifo {
	t.Helper()
	p := &fifo{path: filepath.Join(t.TempDir(), "audit.fifo")}
	p.turned = sync.NewCond(&p.mu)
	if err := syscall.Mkfifo(p.path, 0o600); err != nil {
		t.Fatal(err)
	}
	p.attach(t)
	t.Cleanup(func() { p.leave(t) })
	return p
}

// writeEnd opens the pipe for a server, as small as the kernel makes it.
func (p *fifo) writeEnd(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile(p.path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	return f
}

// attach begins to read. It could write too, so that there is no end to read
// while no server has the pipe open.
func (p *fifo) attach(t *testing.T) {
	t.Helper()
	r, err := os.OpenFile(p.path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	p.r, p.left, p.done = r, false, make(chan struct{})
	p.mu.Unlock()
	go p.read(r, p.done)
}

func (p *fifo) read(r *os.File, done chan struct{}) {
	defer close(done)
	buf := make([]byte, 32<<10)
	for {
		p.mu.Lock()
		for p.paused && !p.left {
			p.turned.Wait()
		}
		err := os.ErrClosed
		if !p.left {
			// The deadline lets others have the lock.
			_ = r.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			var n int
			n, err = r.Read(buf)
			p.got.Write(buf[:n])
		}
		p.mu.Unlock()
		if errors.Is(err, os.ErrClosed) {
			return
		}
	}
}

// pause has the reader stay and read nothing, or go on.
func (p *fifo) pause(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = on
	p.turned.Signal()
}

// leave closes the pipe's only reader.
func (p *fifo) leave(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	err := p.r.Close()
	p.left = true
	p.turned.Signal()
	done := p.done
	p.mu.Unlock()
	if err != nil && !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	<-done
}

// text is all that was read so far.
func (p *fifo) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got.String()
}
