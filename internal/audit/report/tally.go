package report

import (
	"cmp"
	"container/heap"
	"slices"
)

// tally counts the occurrences of each key while there is room. Then a new key
// takes over the place and the count of the rarest one ("space saving",
// Metwally, Agrawal and El Abbadi, ICDT 2005). So it never misses a frequent
// key, however many rare ones there are. A count can be too high by what the
// key took over, but never too low.
type tally[D any] struct {
	room int
	slot map[string]*slot[D]
	heap slots[D]
}

type slot[D any] struct {
	key    string
	count  int64
	over   int64 // the count taken over
	index  int   // in the heap
	detail D
}

func newTally[D any](room int) *tally[D] {
	return &tally[D]{room: room, slot: make(map[string]*slot[D])}
}

// add counts key once more and returns its detail.
func (t *tally[D]) add(key string) *D {
	s := t.slot[key]
	switch {
	case s != nil:
	case len(t.heap) < t.room:
		s = &slot[D]{key: key}
		t.slot[key] = s
		heap.Push(&t.heap, s)
	default:
		s = t.heap[0]
		delete(t.slot, s.key)
		var none D
		s.key, s.over, s.detail = key, s.count, none
		t.slot[key] = s
	}
	s.count++
	heap.Fix(&t.heap, s.index)
	return &s.detail
}

// find returns the detail of key, or nil if key is not counted.
func (t *tally[D]) find(key string) *D {
	if s := t.slot[key]; s != nil {
		return &s.detail
	}
	return nil
}

// top returns rows of the n most frequent keys.
func top[D, R any](t *tally[D], n int, row func(d *D, key string, count int64) R) Top[R] {
	all := slices.Clone(t.heap)
	slices.SortFunc(all, func(a, b *slot[D]) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.key, b.key))
	})
	out := Top[R]{Rows: []R{}, More: len(all) > n}
	for _, s := range all[:min(n, len(all))] {
		out.Rows = append(out.Rows, row(&s.detail, s.key, s.count))
		out.Inexact = max(out.Inexact, s.over)
	}
	return out
}

// slots is the heap of a tally, the rarest key on top.
type slots[D any] []*slot[D]

func (h slots[D]) Len() int           { return len(h) }
func (h slots[D]) Less(i, j int) bool { return h[i].count < h[j].count }
func (h slots[D]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *slots[D]) Push(x any) {
	s := x.(*slot[D])
	s.index = len(*h)
	*h = append(*h, s)
}

// Pop implements heap.Interface; a tally never calls it.
func (h *slots[D]) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
