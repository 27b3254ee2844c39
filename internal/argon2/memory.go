package argon2

import (
	"sync"
	"time"
)

// keepFor is how long memory that no hash needs is kept.
const keepFor = 5 * time.Second

// memory is what hashes give back for others to take: as much as was in use at
// once, for as long as hashes go on.
type memory struct {
	mu    sync.Mutex
	free  [][]block
	timer *time.Timer
}

var pool memory

// take returns n blocks, which may hold anything.
func (m *memory) take(n uint32) []block {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, b := range m.free {
		if uint32(cap(b)) >= n {
			m.remove(i)
			return b[:n]
		}
	}
	if len(m.free) > 0 {
		m.remove(0) // too small: the new memory takes its place
	}
	return make([]block, n)
}

func (m *memory) remove(i int) {
	last := len(m.free) - 1
	m.free[i], m.free[last] = m.free[last], nil
	m.free = m.free[:last]
}

// give keeps b for the next hash.
func (m *memory) give(b []block) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = append(m.free, b)
	if m.timer == nil {
		m.timer = time.AfterFunc(keepFor, m.drop)
	} else {
		m.timer.Reset(keepFor)
	}
}

// drop leaves what is kept to the collector.
func (m *memory) drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = nil
}
