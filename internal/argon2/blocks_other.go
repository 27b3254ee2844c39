//go:build !linux

package argon2

// newBlocks returns n blocks for a.
func newBlocks(_ *area, n uint32) []block { return make([]block, n) }
