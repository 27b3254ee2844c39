package main

import (
	"os"
	"runtime/debug"
)

// How much garbage the collector lets grow before it collects: while passwords
// are hashed on every slot, and while none is. The first keeps the memory of a
// server under attack within the hashes' own and 100 MiB (U2), program text
// and connections included; the second has a server whose live heap is a few MiB
// not collect many times a second, at a tenth of its processor time.
const (
	garbageHashing = 54 << 20
	garbageIdle    = 32 << 20
)

const (
	// largestBallast bounds what is asked of the address space.
	largestBallast = 512 << 20
	// leastPercent bounds the work of the collector where hashes may take
	// gigabytes.
	leastPercent = 5
)

// collecting is how the collector is set: it lets the heap grow by percent of
// what was in use, ballast included.
type collecting struct {
	ballast int64
	percent int
}

// collectingFor returns how to keep to both amounts of garbage where hashes
// under way take so many bytes: percent·(ballast+hashes) is to be
// garbageHashing, and percent·ballast garbageIdle.
func collectingFor(hashes int64) collecting {
	ballast := min(hashes*garbageIdle/(garbageHashing-garbageIdle), largestBallast)
	return collecting{ballast, max(int(100*garbageHashing/(ballast+hashes)), leastPercent)}
}

// set applies c, unless the operator has set GOGC, and returns the ballast,
// which is to be kept for as long as the server runs. It is never touched, so
// it takes address space alone.
func (c collecting) set() []byte {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	debug.SetGCPercent(c.percent)
	return make([]byte, c.ballast)
}
