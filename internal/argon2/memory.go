package argon2

import (
	"sync"
	"weak"
)

// memory is what hashes give back for others to take: as much as was in use at
// once, whichever core they run on. What no hash holds is the collector's in its
// next round.
type memory struct {
	mu   sync.Mutex
	free []weak.Pointer[area]
}

// area is the memory of one hash.
type area struct{ blocks []block }

var pool memory

// take returns an area of n blocks at least, which may hold anything.
func (m *memory) take(n uint32) *area {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.free) > 0 {
		last := len(m.free) - 1
		a := m.free[last].Value()
		m.free = m.free[:last]
		if a != nil && uint32(len(a.blocks)) >= n {
			return a
		}
	}
	a := new(area)
	a.blocks = newBlocks(a, n)
	return a
}

// give keeps a for the next hash.
func (m *memory) give(a *area) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = append(m.free, weak.Make(a))
}
