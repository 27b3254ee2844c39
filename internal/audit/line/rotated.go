package line

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// RotatedLayout is what follows the name of the file and a dot.
const RotatedLayout = "20060102T150405.000000000Z"

// RotatedFile is a file that a log went on from, and when that was.
type RotatedFile struct {
	Path string
	At   time.Time
}

// RotatedFiles returns the rotated files of the log at path, newest first.
func RotatedFiles(path string) ([]RotatedFile, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	var all []RotatedFile
	for _, e := range entries {
		stamp, ok := strings.CutPrefix(e.Name(), filepath.Base(path)+".")
		if !ok || !e.Type().IsRegular() {
			continue
		}
		at, err := time.Parse(RotatedLayout, stamp)
		if err != nil || at.Format(RotatedLayout) != stamp {
			continue
		}
		all = append(all, RotatedFile{filepath.Join(filepath.Dir(path), e.Name()), at})
	}
	slices.SortFunc(all, func(a, b RotatedFile) int { return b.At.Compare(a.At) })
	return all, err
}

// Unrotated returns the name of the log that a file was rotated from and when,
// or the file's own name and a time to come. A file that was compressed since
// has the ending of that.
func Unrotated(path string) (base string, at time.Time) {
	path = strings.TrimSuffix(strings.TrimSuffix(path, ".gz"), ".zst")
	cut := len(path) - len(RotatedLayout)
	if cut > 1 && path[cut-1] == '.' {
		if at, err := time.Parse(RotatedLayout, path[cut:]); err == nil {
			return path[:cut-1], at
		}
	}
	return path, time.Unix(1<<40, 0)
}

// LogFiles returns all files of the log at path: the rotated ones, compressed or
// not, and its own, if they are there.
func LogFiles(path string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	var all []string
	for _, e := range entries {
		name := filepath.Join(filepath.Dir(path), e.Name())
		if base, _ := Unrotated(name); base == filepath.Clean(path) && e.Type().IsRegular() {
			all = append(all, name)
		}
	}
	return all, err
}
