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

// Rotation says when a log in a file continues in a new one, and which of the
// old ones are deleted. The zero value does neither.
//
// A rotated file is named after the file and the time of rotation, as in
// audit.log.20060102T150405.000000000Z, so that names sort by age. No other file
// is ever deleted.
type Rotation struct {
	// Size is the size of a file, in bytes, which is exceeded by at most one
	// batch of lines. Age is how long after its first line a file is written to.
	// 0 is no limit.
	Size int64
	Age  time.Duration
	// Keep is how many rotated files are kept, and KeepAge how long; 0 is no
	// limit. Files beyond either limit are deleted at a rotation and when the
	// log is opened.
	Keep    int
	KeepAge time.Duration
	// Confirmed returns the time for KeepAge, which a wrong clock does not move
	// (T1). If nil, the clock of the log is trusted.
	Confirmed func() time.Time
}

func (r Rotation) on() bool { return r.Size > 0 || r.Age > 0 }

// rotationPause is the pause after a failed rotation.
const rotationPause = time.Minute

// due reports whether the locked file of that size has to be rotated before more
// bytes are written to it. An empty file never has to.
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

// begun returns the time of the file's first line, or now if it has none.
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

// rotate renames the locked file and opens a new one in its place, unlocked. If
// that fails the log continues in the old file.
func (s *file) rotate() {
	if err := s.renew(); err != nil {
		s.rotateFrom = s.now().Add(rotationPause)
		s.onError(fmt.Errorf("audit log %s could not be rotated; it goes on as it is: %w", s.path, err))
		return
	}
	s.prune()
}

func (s *file) renew() error {
	// A link stays in place; its target is renamed.
	path, err := filepath.EvalSymlinks(s.path)
	var name string
	if err == nil {
		name, err = s.rotatedName(path)
	}
	if err == nil {
		err = os.Rename(path, name)
	}
	// The file is missing if an earlier attempt failed after the renaming.
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.reopen(); err != nil {
		return err
	}
	// Both names must survive a power loss, and both are in the directory of the
	// link's target.
	if path, err = filepath.EvalSymlinks(s.path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

// rotatedName returns an unused name that sorts behind all earlier ones, even if
// the clock was set back. The locked file keeps other processes from rotating
// meanwhile.
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

// prune deletes the rotated files beyond the limits.
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
