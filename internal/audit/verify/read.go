package verify

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/keyturn/keyturn/internal/audit/line"
)

// Lines calls fn with each line of the files, without its newline; "-" is
// standard input, and a file compressed with gzip or zstd is read as what it
// holds. The files of one log are read one after another, in the order in which
// Files reads them; several logs are merged by time. The line is only valid
// during the call. An error of fn ends the reading and is returned; a line
// longer than line.Max is cut.
func Lines(files []string, fn func(text []byte) error) error {
	return merge(sourcesOf(files), func(_ place, text []byte, _ bool) error { return fn(text[:min(len(text), line.Max)]) })
}

// readLines calls fn with each line, and its number in the file, that ends in a newline and last with what
// follows the last newline, if anything does. Of a line longer than line.Max it
// passes a piece that is longer too, and not the rest.
func readLines(path string, fn, last func(number int64, text []byte) error) error {
	r, err := openLines(path)
	if err != nil {
		return err
	}
	defer r.close()
	for {
		text, whole, err := r.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case whole:
			err = fn(r.number, text)
		default:
			err = last(r.number, text)
		}
		if err != nil {
			return err
		}
	}
}

const (
	readSize = 256 << 10
	// maxWindow bounds the memory that a zstd file can ask for.
	maxWindow = 128 << 20
)

// expand returns what r holds, decompressed where it is gzip (RFC 1952) or
// zstd (RFC 8878). The caller calls done when it has read enough.
func expand(r *bufio.Reader) (expanded *bufio.Reader, done func(), err error) {
	magic, _ := r.Peek(4) // a shorter file is not compressed
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		return bufio.NewReaderSize(z, readSize), func() {}, nil
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, err
		}
		return bufio.NewReaderSize(z, readSize), z.Close, nil
	}
	return r, func() {}, nil
}

// lineReader reads the lines of one file.
type lineReader struct {
	path string
	f    *os.File // nil where it is standard input
	r    *bufio.Reader
	done func()
	long bool // the line passed last was a piece, and its rest is to come
	// shared is set where others may write to what is read.
	shared bool
	over   bool // what was passed last is what the file ends in
	// number is that of the line passed last, counted from 1 as they stand in
	// the file.
	number int64
	// parts holds, for each stream of a captured log, the pieces of a line that
	// is not whole yet.
	parts map[string][]byte
}

// openLines begins to read a file, decompressed. The caller closes it.
func openLines(path string) (*lineReader, error) {
	l := &lineReader{path: path, done: func() {}}
	in := os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		l.f, in = f, f
		info, err := f.Stat()
		l.shared = err == nil && info.Mode().IsRegular()
	}
	raw := bufio.NewReaderSize(in, readSize)
	r, done, err := expand(raw)
	if err != nil {
		l.close()
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	l.shared = l.shared && r == raw // nobody goes on with a compressed file
	l.r, l.done = r, done
	return l, nil
}

func (l *lineReader) close() {
	l.done()
	if l.f != nil {
		_ = l.f.Close() // only read from
	}
}

// next returns the next line of the log, as rawNext does, freed from what a
// container's runtime put around it.
func (l *lineReader) next() (text []byte, whole bool, err error) {
	for {
		text, whole, err = l.rawNext()
		if errors.Is(err, io.EOF) {
			for stream, held := range l.parts {
				delete(l.parts, stream)
				return held, false, nil
			}
		}
		if err != nil {
			return nil, false, err
		}
		l.number++
		c, ok := uncapture(text)
		if !ok {
			return text, whole, nil
		}
		if held := l.parts[c.stream]; len(held) > 0 || c.more {
			if l.parts == nil {
				l.parts = map[string][]byte{}
			}
			// Of a line that is too long no more is kept than shows that.
			held = append(held, c.text[:min(len(c.text), max(line.Max+1-len(held), 0))]...)
			if l.parts[c.stream] = held; c.more {
				continue
			}
			delete(l.parts, c.stream)
			c.text = held
		}
		if !c.foreign(c.text) {
			return c.text, whole, nil
		}
	}
}

// rawNext returns the next line without its newline, and whether it had one or is
// what follows the last. After that comes io.EOF. Of a line longer than line.Max
// it returns a piece that is longer too. The line is valid until the next call.
func (l *lineReader) rawNext() (text []byte, whole bool, err error) {
	for l.long {
		_, err := l.r.ReadSlice('\n')
		l.long = errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !l.long && !errors.Is(err, io.EOF) {
			return nil, false, fmt.Errorf("reading %s: %w", l.path, err)
		}
	}
	if l.over {
		return nil, false, io.EOF
	}
	text, err = l.r.ReadSlice('\n')
	switch {
	case err == nil:
		return text[:len(text)-1], true, nil
	case errors.Is(err, bufio.ErrBufferFull):
		l.long = true
		return text, true, nil
	case !errors.Is(err, io.EOF):
		return nil, false, fmt.Errorf("reading %s: %w", l.path, err)
	case len(text) == 0:
		return nil, false, io.EOF
	}
	l.over = true
	if !l.shared {
		return text, false, nil
	}
	return l.finish(bytes.Clone(text))
}

// A writer holds the lock of its file for one write, so that who has waited for it
// so long waits for one that hangs.
const (
	lockTries = 100
	lockPause = 10 * time.Millisecond
)

// finish reads what follows the beginning of a line that the file ended in: its
// writer may have been in the midst of it.
func (l *lineReader) finish(text []byte) ([]byte, bool, error) {
	err := syscall.EINTR
	for try := 0; (err == syscall.EINTR || err == syscall.EWOULDBLOCK) && try < lockTries; try++ {
		if try > 0 {
			time.Sleep(lockPause)
		}
		err, _ = syscall.Flock(int(l.f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB).(syscall.Errno)
	}
	if err == syscall.EWOULDBLOCK {
		return nil, false, fmt.Errorf("reading %s: its last line is not finished, and its writer hangs", l.path)
	}
	// Where files cannot be locked, they are read as they are.
	rest, rerr := l.r.ReadSlice('\n')
	_ = syscall.Flock(int(l.f.Fd()), syscall.LOCK_UN) // what is open can be unlocked
	if rerr != nil && !errors.Is(rerr, io.EOF) {
		return nil, false, fmt.Errorf("reading %s: %w", l.path, rerr)
	}
	if text = append(text, rest...); rerr != nil {
		return text, false, nil
	}
	l.over = false
	return text[:len(text)-1], true, nil
}
