package log

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit/line"
)

// Rotation says when a log in a file goes on in a new one, and which of the old
// ones are deleted. The zero value does neither.
//
// A rotated file is named after the file and the time when it was rotated, as in
// audit.log.20060102T150405.000000000Z, so that names sort by age. Nothing else
// is ever deleted.
type Rotation struct {
	// Size, in bytes, is what no file outgrows by more than one batch of
	// lines; Age is how long after its first line a file takes no more. 0 is
	// no bound.
	Size int64
	Age  time.Duration
	// Keep is how many rotated files are kept, KeepAge for how long; 0 is no
	// bound. What is beyond either is deleted at a rotation and when the log
	// is opened.
	Keep    int
	KeepAge time.Duration
	// Confirmed is the time that KeepAge goes by, which no wrong clock moves
	// (T1); nil means that the clock of the log is right.
	Confirmed func() time.Time
}

func (r Rotation) on() bool { return r.Size > 0 || r.Age > 0 }

// rotationPause is how long a rotation that failed is not tried again.
const rotationPause = time.Minute

// due says whether the file of that size, locked, is to be rotated before more
// bytes are written to it. An empty file never is.
func (s *file) due(size, more int64) bool {
	if size == 0 || !s.rotation.on() {
		return false
	}
	now := s.now()
	if now.Before(s.rotateFrom) {
		return false
	}
	return s.rotation.Size > 0 && size+more > s.rotation.Size || s.rotation.Age > 0 && now.Sub(s.begun()) >= s.rotation.Age
}

// begun returns the time of the file's first line, or of now where it has none.
func (s *file) begun() time.Time {
	if s.since.IsZero() {
		first := make([]byte, line.Max)
		n, err := s.f.ReadAt(first, 0)
		if err == nil || errors.Is(err, io.EOF) {
			text, _, _ := strings.Cut(string(first[:n]), "\n")
			s.since = line.Time([]byte(text))
		}
		if s.since.IsZero() {
			s.since = s.now()
		}
	}
	return s.since
}

// rotate renames the locked file and opens a new one in its place, which is not
// locked. Where that fails the log goes on in the file that it has.
func (s *file) rotate() {
	if err := s.renew(); err != nil {
		s.rotateFrom = s.now().Add(rotationPause)
		s.onError(fmt.Errorf("audit log %s could not be rotated; it goes on as it is: %w", s.path, err))
		return
	}
	s.prune()
}

func (s *file) renew() error {
	// A link stays where it is; what it leads to is renamed.
	path, err := filepath.EvalSymlinks(s.path)
	var name string
	if err == nil {
		name, err = s.rotatedName(path)
	}
	if err == nil {
		err = os.Rename(path, name)
	}
	// It is not there where an earlier attempt came as far as the renaming.
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.reopen(); err != nil {
		return err
	}
	// A power loss must take neither name, and both are where the link leads.
	if path, err = filepath.EvalSymlinks(s.path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

// rotatedName returns a name that no file has and that sorts behind all earlier
// ones, though the clock was set back. Nobody else rotates meanwhile: the file
// is locked.
func (s *file) rotatedName(path string) (string, error) {
	at := s.now().UTC()
	old, err := line.RotatedFiles(path)
	if len(old) > 0 && !at.After(old[0].At) {
		at = old[0].At.Add(1)
	}
	return path + "." + at.Format(line.RotatedLayout), err
}

func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// prune deletes the rotated files that are beyond what is kept.
func (s *file) prune() {
	if s.rotation.Keep == 0 && s.rotation.KeepAge == 0 {
		return
	}
	now := s.now
	if s.rotation.Confirmed != nil {
		now = s.rotation.Confirmed
	}
	path, err := filepath.EvalSymlinks(s.path)
	if err != nil {
		path = s.path
	}
	old, err := line.RotatedFiles(path)
	for i, f := range old {
		if s.rotation.Keep > 0 && i >= s.rotation.Keep || s.rotation.KeepAge > 0 && now().Sub(f.At) > s.rotation.KeepAge {
			if rerr := os.Remove(f.Path); !errors.Is(rerr, fs.ErrNotExist) { // another process may have been faster
				err = errors.Join(err, rerr)
			}
		}
	}
	if err != nil {
		s.onError(fmt.Errorf("old files of the audit log %s could not be deleted: %w", s.path, err))
	}
}
