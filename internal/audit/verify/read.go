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

// Lines calls fn with each line of the files, without its newline. "-" is standard
// input. Files compressed with gzip or zstd are decompressed. The files of one log are
// read one after another, in the order of Files; several logs are merged by time. The
// line is only valid during the call, and cut at line.Max bytes. An error of fn ends
// the reading and is returned.
func Lines(files []string, fn func(text []byte) error) error {
	return merge(sourcesOf(files), func(_ place, text []byte, as kind) error {
		if as == beside {
			return nil
		}
		return fn(text[:min(len(text), line.Max)])
	})
}

// kind says what a line is, as far as its file's form shows.
type kind int

const (
	whole  kind = iota // it ends in a newline
	piece              // it is the text after the file's last newline
	stray              // it is not in the form of the file's first line
	beside             // it is of the operational log, captured beside this one
)

// readLines calls fn with each line of a file and its number there. Of a line longer
// than line.Max it passes a beginning that is also longer, and not the rest.
func readLines(path string, fn func(number int64, text []byte, as kind) error) error {
	r, err := openLines(path)
	if err != nil {
		return err
	}
	defer r.close()
	for {
		text, as, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = fn(r.number, text, as)
		}
		if err != nil {
			return err
		}
	}
}

const (
	readSize = 256 << 10
	// maxWindow bounds the memory that a zstd file can demand.
	maxWindow = 128 << 20
)

// expand returns the content of r, decompressed if it is gzip (RFC 1952) or zstd (RFC
// 8878). The caller calls done after reading.
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
	f    *os.File // nil for standard input
	r    *bufio.Reader
	done func()
	long bool // the last line was a beginning, and its rest follows
	// shared is set if other processes may write to the file.
	shared bool
	over   bool // the last line ends the file
	// number is the number of the last line in the file, counted from 1.
	number int64
	// form is that of a captured file, or nil.
	form unwrap
	// parts holds the beginning of an incomplete line for each stream of a captured
	// log.
	parts map[string][]byte
}

// openLines opens a file, decompressed. The caller closes it.
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
	l.shared = l.shared && r == raw // nobody appends to a compressed file
	l.r, l.done = r, done
	return l, nil
}

func (l *lineReader) close() {
	l.done()
	if l.f != nil {
		_ = l.f.Close() // only read from
	}
}

// next returns the next line of the log, as rawNext does, without the wrapping of a
// container runtime.
func (l *lineReader) next() (text []byte, as kind, err error) {
	for {
		text, ended, err := l.rawNext()
		if errors.Is(err, io.EOF) {
			for stream, held := range l.parts {
				delete(l.parts, stream)
				if (captured{stream: stream}).operational(held) {
					return held, beside, nil
				}
				return held, piece, nil
			}
		}
		if err != nil {
			return nil, piece, err
		}
		if l.number++; l.number == 1 {
			l.form = formOf(text)
		}
		as := whole
		if !ended {
			as = piece
		}
		if l.form == nil {
			return text, as, nil
		}
		c, ok := l.form(text)
		switch {
		case !ok && ended:
			return text, stray, nil
		case !ok:
			return nil, piece, nil // of the wrapping
		}
		if held := l.parts[c.stream]; len(held) > 0 || c.more {
			if l.parts == nil {
				l.parts = map[string][]byte{}
			}
			// Keep of an overlong line only what shows that it is too long.
			held = append(held, c.text[:min(len(c.text), max(line.Max+1-len(held), 0))]...)
			if l.parts[c.stream] = held; c.more {
				continue
			}
			delete(l.parts, c.stream)
			c.text = held
		}
		if c.operational(c.text) {
			as = beside
		}
		return c.text, as, nil
	}
}

// rawNext returns the next line without its newline, and whether it had one. The text
// after the last newline comes last, and then io.EOF. Of a line longer than line.Max it
// returns a beginning that is also longer. The line is valid until the next call.
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

// A writer holds the lock of its file for one write, so a lock held longer than these
// tries means that the writer hangs.
const (
	lockTries = 100
	lockPause = 10 * time.Millisecond
)

// finish reads the rest of an incomplete last line, whose writer may be within its
// write.
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
	// Files that cannot be locked are read as they are.
	rest, rerr := l.r.ReadSlice('\n')
	_ = syscall.Flock(int(l.f.Fd()), syscall.LOCK_UN) // an open file can be unlocked
	if rerr != nil && !errors.Is(rerr, io.EOF) {
		return nil, false, fmt.Errorf("reading %s: %w", l.path, rerr)
	}
	if text = append(text, rest...); rerr != nil {
		return text, false, nil
	}
	l.over = false
	return text[:len(text)-1], true, nil
}
