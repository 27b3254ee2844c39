package line

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// RotatedLayout is the time layout in the name of a rotated file, after the
// log's name and a dot.
const RotatedLayout = "20060102T150405.000000000Z"

// RotatedFile is a rotated file and when it was rotated.
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

// Unrotated returns the name of the log that a file was rotated from, and when.
// For a file that was not rotated it returns the name itself and a time in the
// far future. It ignores the extension of a compressed file.
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

// LogFiles returns all existing files of the log at path: the rotated ones,
// compressed or not, and the log itself.
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
