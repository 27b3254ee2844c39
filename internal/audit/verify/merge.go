package verify

import (
	"container/heap"
	"errors"
	"io"
	"time"

	"github.com/keyturn/keyturn/internal/audit/line"
)

// maxApart is how many chains sourcesOf distinguishes.
const maxApart = 1 << 18

// source is the files of one log, which are read in order.
type source struct {
	files []string // not opened yet
	index int      // the order among sources at the same time

	// at is the time of the current line, or of the next one if r is nil. A line
	// without a time has that of the line before it.
	at    time.Time
	r     *lineReader
	place place
	line  []byte
	as    kind
}

// sourcesOf groups files by the log that they belong to. Files rotated from the
// same name, or with lines of the same chain, belong to one log and keep the
// order of sorted. If the files cannot be sorted, or have more chains than it
// distinguishes, it takes all for one log. The sources are in the order of their
// first files.
func sourcesOf(files []string) []*source {
	all, ok := sorted(files)
	if !ok {
		return []*source{{files: files}}
	}
	logs, ok := logsOf(all, maxApart)
	if !ok {
		logs = make([]int, len(all))
	}
	var sources []*source
	of := map[int]*source{}
	for i, f := range all {
		s := of[logs[i]]
		if s == nil {
			s = &source{index: len(sources), at: f.began}
			of[logs[i]] = s
			sources = append(sources, s)
		}
		s.files = append(s.files, f.path)
	}
	return sources
}

// logsOf returns, for each of the files, the index of the first file of the same
// log. It reads the files if their names do not decide, and fails if one cannot
// be read or there are more chains than room.
func logsOf(all []dated, room int) (logs []int, ok bool) {
	logs = make([]int, len(all))
	bases := map[string]int{}
	for i, f := range all {
		if _, ok := bases[f.base]; !ok {
			bases[f.base] = i
		}
		logs[i] = bases[f.base]
	}
	if len(bases) < 2 {
		return logs, true
	}
	join := func(a, b int) {
		a, b = min(logs[a], logs[b]), max(logs[a], logs[b])
		for i, log := range logs {
			if log == b {
				logs[i] = a
			}
		}
	}
	chains := map[[line.IDLen]byte]int{}
	for i, f := range all {
		var last [line.IDLen]byte
		look := func(_ int64, text []byte, _ kind) error {
			k, err := line.Parse(text)
			if err != nil || string(k.ID) == string(last[:]) {
				return nil
			}
			last = [line.IDLen]byte(k.ID)
			first, known := chains[last]
			switch {
			case !known && len(chains) == room:
				return errRoom
			case !known:
				chains[last] = i
			case logs[first] != logs[i]:
				join(first, i)
			}
			return nil
		}
		if err := readLines(f.path, look); err != nil {
			return nil, false
		}
	}
	return logs, true
}

var errRoom = errors.New("more chains than can be told apart")

// merge calls fn with each line of the sources in the order of time and, for equal
// times, of the sources. It holds one line of each open source. Within a source the order is kept: after a line
// whose clock was ahead, the lines wait until the other sources reach that time;
// after the clock was set back, the lines come at once. An error of fn ends the
// reading and is returned.
func merge(sources []*source, fn func(at place, text []byte, as kind) error) error {
	h := make(byTime, len(sources))
	copy(h, sources)
	heap.Init(&h)
	defer func() {
		for _, s := range h {
			s.close()
		}
	}()
	for len(h) > 0 {
		s := h[0]
		if s.r != nil {
			if err := fn(s.place, s.line, s.as); err != nil {
				return err
			}
		}
		more, err := s.next()
		switch {
		case err != nil:
			return err
		case !more:
			heap.Pop(&h)
			continue
		case len(h) == 1: // nothing to compare with
			continue
		}
		if at := line.Time(s.line); !at.IsZero() {
			s.at = at
		}
		heap.Fix(&h, 0)
	}
	return nil
}

// next reads the next line, and reports whether there is one.
func (s *source) next() (more bool, err error) {
	for {
		if s.r == nil {
			if len(s.files) == 0 {
				return false, nil
			}
			if s.r, err = openLines(s.files[0]); err != nil {
				return false, err
			}
			s.place, s.files = place{file: s.files[0]}, s.files[1:]
		}
		s.line, s.as, err = s.r.next()
		switch {
		case errors.Is(err, io.EOF):
			s.close()
			continue
		case err != nil:
			return false, err
		}
		s.place.line = s.r.number
		return true, nil
	}
}

func (s *source) close() {
	if s.r != nil {
		s.r.close()
	}
	s.r = nil
}

// byTime is a heap of sources.
type byTime []*source

func (h byTime) Len() int      { return len(h) }
func (h byTime) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h byTime) Less(i, j int) bool {
	if c := h[i].at.Compare(h[j].at); c != 0 {
		return c < 0
	}
	return h[i].index < h[j].index
}
func (h *byTime) Push(s any) { *h = append(*h, s.(*source)) }
func (h *byTime) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
