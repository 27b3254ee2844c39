package log

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// errUnsure is wrapped by an error of append if it is unknown which of the lines
// stay written. The chain is then abandoned and a new one begun, because a number
// must not be used twice.
var errUnsure = errors.New("what became of a write is not known")

// sink is the destination of the lines. Only sync may be called concurrently with
// another method.
type sink interface {
	// begin prepares an append of about that many bytes, which must follow; no other
	// process writes until then. It returns the hash of the last line before the
	// append if another chain wrote it, as far as known.
	begin(size int) (after string, err error)
	// append writes b, which ends in a newline, and returns how many of its bytes
	// stay written: len(b) exactly if err is nil.
	append(b []byte) (kept int, err error)
	// sync makes the written lines survive a power loss, if the sink can.
	sync() error
	// reopen opens the sink anew by its name.
	reopen() error
	// close syncs and closes.
	close() error
}

// stream is a sink whose writes cannot be undone: standard output, a pipe, any
// writer. Of a failed write the complete lines count as written.
type stream struct {
	w      io.Writer
	closer io.Closer // nil if the stream is not ours to close
	torn   bool      // the last write ended inside a line
}

// begin returns nothing: other writers of the stream are unknown.
func (s *stream) begin(int) (string, error) { return "", nil }

// openStream opens a device or a named pipe. It does not wait for a reader of a
// pipe, who may never come. Writes to the pipe wait as for any sink.
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

// pipeBuf is how many bytes are written to a pipe atomically among several writers:
// POSIX's PIPE_BUF, as on Linux.
const pipeBuf = 4096

// write writes b in pieces of complete lines that other writers cannot interrupt,
// because a command may share the pipe of a server's standard output. A longer line,
// such as a checkpoint with many other chains, is not protected while the pipe is
// full.
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
		// End the broken line, so that the next line does not continue it.
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

// absent is a sink that could not be opened.
type absent struct{ why error }

func (a absent) begin(int) (string, error)  { return "", a.why }
func (a absent) append([]byte) (int, error) { return 0, a.why }
func (absent) sync() error                  { return nil }
func (absent) reopen() error                { return nil }
func (absent) close() error                 { return nil }
