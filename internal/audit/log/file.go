package log

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/keyturn/keyturn/internal/audit/line"
)

// file is a sink that several processes append to. Each batch is written under an
// exclusive flock(2), and a batch that cannot be written completely is taken back.
type file struct {
	path     string
	onError  func(error)
	now      func() time.Time
	rotation Rotation
	// rotateFrom is when rotation may be tried again after a failure. since is the time
	// of f's first line, or zero if not read yet.
	rotateFrom, since time.Time

	mu sync.Mutex // guards f against sync; only the writer changes it
	f  *os.File
	as syscall.Stat_t // f's identity when it was opened
	// size is the file's size after our last write. Another size means that another
	// process has written since, and may have died within a line.
	size int64
	// after is the hash of the file's last line if another chain wrote it.
	after string

	// write, truncate and readAt are those of os.File; tests replace them to fail.
	write    func(f *os.File, b []byte) (int, error)
	truncate func(f *os.File, size int64) error
	readAt   func(f *os.File, b []byte, at int64) (int, error)
}

func openFile(path string, o Options) (*file, error) {
	s := &file{path: path, onError: o.OnError, now: o.Now, rotation: o.Rotation, write: (*os.File).Write, truncate: (*os.File).Truncate, readAt: (*os.File).ReadAt}
	var err error
	if s.f, s.as, err = s.open(); err != nil {
		return nil, err
	}
	s.prune()
	return s, nil
}

// formerRead is how much of the end of a file is read for its chains, in bytes: enough
// for the commands of a restore and what went before them.
const formerRead = 4 << 20

// Former returns the ids of the chains at the end of a file. There are none in a sink
// that is no file, or is missing.
func Former(path string) (chains []string, err error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	end := make([]byte, min(info.Size(), formerRead))
	n, err := f.ReadAt(end, info.Size()-int64(len(end)))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for text := range bytes.Lines(end[:n]) {
		// The first may be a piece, and the last is being written perhaps.
		k, err := line.Parse(bytes.TrimSuffix(text, []byte{'\n'}))
		if err == nil && !slices.Contains(chains, string(k.ID)) {
			chains = append(chains, string(k.ID))
		}
	}
	return chains, nil
}

// open opens the file at the path. If it creates the file in place of another, the new
// one gets the other's owner and mode, so that a command run by root does not take the
// log away from the server.
func (s *file) open() (*os.File, syscall.Stat_t, error) {
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = os.OpenFile(s.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
		if err == nil && s.f != nil {
			err = s.handOver(f)
		}
	}
	if err != nil {
		return nil, syscall.Stat_t{}, err
	}
	as, err := stat(f)
	if err != nil {
		return nil, as, errors.Join(err, f.Close())
	}
	return f, as, nil
}

// handOver gives a new file the owner and mode of the current one. A process that may
// not change the owner remains the owner.
func (s *file) handOver(f *os.File) error {
	as, err := stat(s.f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	_ = f.Chown(int(as.Uid), int(as.Gid))
	if err := f.Chmod(fs.FileMode(as.Mode) & fs.ModePerm); err != nil {
		return errors.Join(err, f.Close())
	}
	return nil
}

// stat returns the current state of f.
func stat(f *os.File) (now syscall.Stat_t, err error) {
	for {
		err = syscall.Fstat(int(f.Fd()), &now)
		if err != syscall.EINTR {
			return now, os.NewSyscallError("fstat", err)
		}
	}
}

// lock locks the file against writes of other processes and other Logs, and returns its
// size. If the path now names another file, or the file was deleted, it opens the path
// anew first: not every writer is told of a rotation, and writes to a deleted file are
// lost.
func (s *file) lock() (size int64, err error) {
	for {
		if err := flock(s.f, syscall.LOCK_EX); err != nil {
			return 0, err
		}
		// This is asked before every write, and package os's way would show in the cost
		// of a decision.
		var named syscall.Stat_t
		nerr := syscall.Stat(s.path, &named)
		if nerr == nil && same(named, s.as) {
			return named.Size, nil
		}
		// A renamed file is still the right one until the path names a new file.
		now, err := stat(s.f)
		if err == nil && nerr != nil && now.Nlink > 0 {
			return now.Size, nil
		}
		if err == nil {
			err = s.reopen()
		}
		if err != nil {
			s.unlock()
			return 0, err
		}
	}
}

func same(a, b syscall.Stat_t) bool { return a.Dev == b.Dev && a.Ino == b.Ino }

// unlock cannot fail on an open file.
func (s *file) unlock() { _ = flock(s.f, syscall.LOCK_UN) }

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if err != syscall.EINTR {
			return os.NewSyscallError("flock", err)
		}
	}
}

func (s *file) begin(more int) (after string, err error) {
	size, err := s.lock()
	for err == nil && s.due(size, int64(more)) {
		s.rotate()
		size, err = s.lock()
	}
	if err != nil {
		return "", err
	}
	if err := s.measure(size); err != nil {
		s.unlock()
		return "", err
	}
	return s.after, nil
}

func (s *file) append(b []byte) (int, error) {
	defer s.unlock()
	n, err := s.write(s.f, b)
	if err == nil {
		s.size += int64(n)
		s.after = ""
		return n, nil
	}
	return s.takeBack(b, err)
}

// takeBack removes b from the end of the file after a write that failed because of
// cause, whatever number of bytes the system reported: on a network or user-space file
// system the bytes may have arrived despite an error. If the file cannot be truncated
// (chattr +a), takeBack reads how much of b stays in it; the next write ends a broken
// line.
func (s *file) takeBack(b []byte, cause error) (kept int, err error) {
	terr := s.truncate(s.f, s.size)
	if terr == nil {
		return 0, cause
	}
	there := make([]byte, len(b))
	n, rerr := s.readAt(s.f, there, s.size)
	if rerr != nil && !errors.Is(rerr, io.EOF) {
		return 0, errors.Join(errUnsure, cause, terr, rerr)
	}
	for kept < n && there[kept] == b[kept] {
		kept++
	}
	return kept, errors.Join(cause, terr)
}

// measure updates the size of the file and its last line, and makes the file end in a
// complete line.
func (s *file) measure(size int64) (err error) {
	switch {
	case size == s.size:
		return nil
	case size == 0:
		s.after = ""
	default:
		if size, s.after, err = s.mend(size); err != nil {
			return err
		}
	}
	s.size = size
	return nil
}

// mend completes the last line of a file of that size if a process died while writing
// it. It returns the new size and the last line's hash. It cuts off a piece of a
// Keyturn line, because its writer never reported it written, and left there it would
// look like a forgery for ever. Any other text gets the missing newline.
func (s *file) mend(size int64) (newSize int64, last string, err error) {
	if size == 0 {
		return 0, "", nil
	}
	tail := make([]byte, min(size, line.Max+2)) // the longest line with a newline on both sides
	if _, err := s.f.ReadAt(tail, size-int64(len(tail))); err != nil {
		return 0, "", err
	}
	text, whole := bytes.CutSuffix(tail, []byte{'\n'})
	text = text[bytes.LastIndexByte(text, '\n')+1:]
	if !whole && line.IsPiece(text) {
		if err := s.truncate(s.f, size-int64(len(text))); err == nil {
			s.onError(fmt.Errorf("audit log %s ended in an unfinished line of %d bytes, which nobody was told was written; it was cut off", s.path, len(text)))
			return s.mend(size - int64(len(text)))
		}
	}
	if !whole {
		if _, err := s.f.Write([]byte{'\n'}); err != nil {
			return 0, "", err
		}
		size++
	}
	sum := line.InHex(sha256.Sum256(text))
	return size, string(sum[:]), nil
}

// reopen may be called with the old file locked or not; closing it unlocks it.
func (s *file) reopen() error {
	f, as, err := s.open()
	if err != nil {
		return err
	}
	old := s.f
	// The order matters to the anchoring goroutine: once it sees the new file, every
	// line in the old one must be on disk.
	err = old.Sync()
	s.mu.Lock()
	s.f, s.as, s.size, s.after, s.since = f, as, 0, "", time.Time{}
	s.mu.Unlock()
	return errors.Join(err, old.Close())
}

func (s *file) sync() error {
	s.mu.Lock()
	f := s.f
	s.mu.Unlock()
	return f.Sync()
}

func (s *file) close() error {
	return errors.Join(s.f.Sync(), s.f.Close())
}
