package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much garbage the collector lets grow before it collects: while passwords
// are hashed on every slot, and while none is. The first keeps the memory of a
// server under attack within the hashes' own and 100 MiB (U2), program text
// and connections included; the second has a server whose live heap is a few MiB
// not collect many times a second, at a tenth of its processor time.
const (
	garbageHashing = 48 << 20
	garbageIdle    = 28 << 20
)

const (
	// largestBallast bounds what is asked of the address space.
	largestBallast = 512 << 20
	// leastPercent bounds the work of the collector where hashes may take
	// gigabytes.
	leastPercent = 5
	// besideHashes is the heap beside hashes under way and ballast above which
	// memory that lies idle is given back at once. It is more than the garbage:
	// small objects settle in the holes that large ones left, and a hash then
	// needs new memory. Program text is not of the heap.
	besideHashes = 74 << 20
	// watchHeap is how often that amount follows what is in use.
	watchHeap = time.Second
)

// collecting is how the collector is set: it lets the heap grow by percent of
// what was in use, ballast included.
type collecting struct {
	hashes, ballast int64
	percent         int
}

// collectingFor returns how to keep to both amounts of garbage where hashes
// under way take so many bytes: percent·(ballast+hashes) is to be
// garbageHashing, and percent·ballast garbageIdle.
func collectingFor(hashes int64) collecting {
	ballast := min(hashes*garbageIdle/(garbageHashing-garbageIdle), largestBallast)
	return collecting{hashes, ballast, max(int(100*garbageHashing/(ballast+hashes)), leastPercent)}
}

// limit returns the size of the heap above which idle memory is given back,
// where live bytes were in use after the last collection: one that the
// collector reaches of itself is never too low for what is in use.
func (c collecting) limit(live int64) int64 {
	base := c.ballast + c.hashes
	return base + max(besideHashes, 2*(live-base)+garbageHashing)
}

// set applies c and returns the ballast, which is to be kept for as long as the
// server runs. It is never touched, so it takes address space alone. Where the
// operator has set GOGC or GOMEMLIMIT, that stands and nothing is done.
func (c collecting) set() []byte {
	if operatorCollects() {
		return nil
	}
	debug.SetGCPercent(c.percent)
	debug.SetMemoryLimit(c.limit(0))
	return make([]byte, c.ballast)
}

// watch has the limit follow what is in use until ctx ends.
func (c collecting) watch(ctx context.Context) {
	if operatorCollects() {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	every(ctx, watchHeap, func() {
		metrics.Read(live)
		debug.SetMemoryLimit(c.limit(int64(live[0].Value.Uint64())))
	})
}

func operatorCollects() bool { return os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" }
