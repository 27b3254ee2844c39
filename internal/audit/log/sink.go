package log

import (
	"errors"
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

func (s *stream) append(b []byte) (int, error) {
	if s.torn {
		// The next line must not become the end of a broken one.
		if _, err := s.w.Write([]byte{'\n'}); err != nil {
			return 0, err
		}
		s.torn = false
	}
	n, err := s.w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if n = min(max(n, 0), len(b)); n == 0 {
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
