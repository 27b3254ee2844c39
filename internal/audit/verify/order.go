package verify

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/keyturn/keyturn/internal/audit/line"
)

// errFirst ends the reading of a file at its first good line.
var errFirst = errors.New("the first good line")

// sorted sorts files of one log, so that they may be named in any order: those
// that the log rotated itself as their names say, and otherwise, also between
// these, by the times of their first good lines and, where a syslog receiver got
// the same lines again, by when they were written last. It says what it found out
// about each, and false where they cannot be sorted: standard input or a pipe can
// be read only once, and a file may be no log.
func sorted(files []string) ([]dated, bool) {
	all := make([]dated, 0, len(files))
	ended := map[string]time.Time{} // by base
	for _, path := range files {
		info, err := os.Stat(path)
		if path == "-" || err != nil || !info.Mode().IsRegular() {
			return nil, false
		}
		at, err := firstTime(path)
		if err != nil {
			return nil, false
		}
		f := dated{path: path, began: at}
		f.base, f.rotated = line.Unrotated(path)
		if written := info.ModTime(); written.After(ended[f.base]) {
			ended[f.base] = written
		}
		all = append(all, f)
	}
	slices.SortStableFunc(all, func(a, b dated) int {
		return cmp.Or(cmp.Compare(a.base, b.base), a.rotated.Compare(b.rotated))
	})
	var names [][]dated // the files of one name each
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].base == all[0].base {
			n++
		}
		names, all = append(names, all[:n:n]), all[n:]
	}
	var order []dated
	for len(names) > 0 {
		next := 0
		for i := range names {
			a, b := names[i][0], names[next][0]
			// An empty file comes first: it has nothing to say.
			if cmp.Or(a.began.Compare(b.began), ended[a.base].Compare(ended[b.base])) < 0 {
				next = i
			}
		}
		order = append(order, names[next][0])
		if names[next] = names[next][1:]; len(names[next]) == 0 {
			names = slices.Delete(names, next, next+1)
		}
	}
	return order, true
}

// dated is a file of a log with what tells its place among others.
type dated struct {
	path    string
	began   time.Time // when its first good line was written; zero if it has none
	base    string    // the log's name
	rotated time.Time // when it was rotated; the log itself has yet to be
}

// firstTime returns the time of a file's first good line, zero if it has none.
func firstTime(path string) (at time.Time, err error) {
	first := func(_ int64, text []byte) error {
		if _, err := line.Parse(text); err != nil {
			return nil
		}
		at = line.Time(text)
		return errFirst
	}
	if err := readLines(path, first, first); err != nil && err != errFirst {
		return at, err
	}
	return at, nil
}
