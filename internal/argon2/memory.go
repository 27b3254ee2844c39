package argon2

import "sync"

// memory is what hashes give back for others to take: as much as was in use at
// once. What no hash has taken for two of the collector's rounds is left to it.
type memory struct{ free sync.Pool }

var pool memory

// take returns n blocks, which may hold anything.
func (m *memory) take(n uint32) []block {
	if b, ok := m.free.Get().(*[]block); ok && uint32(cap(*b)) >= n {
		return (*b)[:n]
	}
	return make([]block, n)
}

// give keeps b for the next hash.
func (m *memory) give(b []block) { m.free.Put(&b) }
