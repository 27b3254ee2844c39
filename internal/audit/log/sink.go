package log

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// errUnsure is what an error of append is where nobody knows what of the lines
// stays written. The chain is then left as it is, and a new one begun: a number
// must not be used twice.
var errUnsure = errors.New("what became of a write is not known")

// sink is where the lines go. Only sync may be called beside another method.
type sink interface {
	// begin makes ready for an append of about that many bytes, which must follow:
	// nobody else writes meanwhile. It returns the hash of the line that what
	// comes will stand behind, where another chain wrote that, as far as known.
	begin(size int) (after string, err error)
	// append writes b, which ends in a newline, and returns how many of its
	// bytes stay written: len(b) exactly if err is nil.
	append(b []byte) (kept int, err error)
	// sync makes what was written survive a power loss, where that can be.
	sync() error
	// reopen opens the sink anew by its name.
	reopen() error
	// close syncs and closes.
	close() error
}

// stream is a sink that cannot be taken back: standard output, a pipe, any
// writer. Of a failed write the whole lines that got through count as written.
type stream struct {
	w      io.Writer
	closer io.Closer // nil where the stream is not ours to close
	torn   bool      // the last write ended inside a line
}

// begin has nothing to say: who else writes to the stream is not known.
func (s *stream) begin(int) (string, error) { return "", nil }

// openStream opens a device or a named pipe, which have no end to go back to. A pipe
// is not waited for: neither for a reader, who may never come, nor, but as the log
// waits for any sink, for room in it.
func openStream(path string, mode os.FileMode) (*os.File, error) {
	if mode.Type() != os.ModeNamedPipe {
		return os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ENXIO) {
		err = fmt.Errorf("%s is a pipe that nobody reads", path)
	}
	return f, err
}

// pipeBuf is how much is written to a pipe in one piece, whoever else writes to it:
// POSIX's PIPE_BUF, as Linux has it.
const pipeBuf = 4096

// write writes b in pieces of whole lines that nobody's lines can get into, since a
// command may share the pipe that a server's standard output is. A longer line, as
// the checkpoint that names many other chains, is exposed while the pipe is full.
func (s *stream) write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		piece := b[n:]
		if len(piece) > pipeBuf {
			whole := bytes.LastIndexByte(piece[:pipeBuf], '\n')
			if whole < 0 {
				whole = bytes.IndexByte(piece, '\n')
			}
			piece = piece[:whole+1]
		}
		var m int
		m, err = s.w.Write(piece)
		if err == nil && m < len(piece) {
			err = io.ErrShortWrite
		}
		n += min(max(m, 0), len(piece))
	}
	return n, err
}

func (s *stream) append(b []byte) (int, error) {
	if s.torn {
		// The next line must not become the end of a broken one.
		if _, err := s.w.Write([]byte{'\n'}); err != nil {
			return 0, err
		}
		s.torn = false
	}
	n, err := s.write(b)
	if n == 0 {
		return 0, err
	}
	s.torn = b[n-1] != '\n'
	return n, err
}

func (s *stream) sync() error {
	f, ok := s.w.(*os.File)
	if !ok {
		return nil
	}
	err := f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil // a pipe or a terminal has nothing to sync
	}
	return err
}

func (s *stream) reopen() error { return nil }

func (s *stream) close() error {
	err := s.sync()
	if s.closer != nil {
		err = errors.Join(err, s.closer.Close())
	}
	return err
}
