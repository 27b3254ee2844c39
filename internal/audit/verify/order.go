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

// sorted sorts the files of one log, so that they may be given in any order. It
// sorts files that the log rotated by their names. It sorts others, also among
// these, by the times of their first good lines and, for a syslog receiver that
// got the same lines twice, by their modification times. It returns false if it
// cannot sort them: standard input or a pipe can be read only once, and a file
// may not be a log.
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
	var names [][]dated // the files of each name
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
			// An empty file comes first, because its time is zero.
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

// dated is a file of a log with what determines its order.
type dated struct {
	path    string
	began   time.Time // the time of its first good line, or zero
	base    string    // the log's name
	rotated time.Time // when it was rotated; in the future for the log itself
}

// firstTime returns the time of a file's first good line, or zero if it has none.
func firstTime(path string) (at time.Time, err error) {
	first := func(_ int64, text []byte, _ kind) error {
		if _, err := line.Parse(text); err != nil {
			return nil
		}
		at = line.Time(text)
		return errFirst
	}
	if err := readLines(path, first); err != nil && err != errFirst {
		return at, err
	}
	return at, nil
}
