// Package headroom keeps room in Go's scheduler for short requests while long
// computations hold every processor that it knows of.
//
// A password's hash computes for tens of milliseconds without a pause. With one
// on each processor (GOMAXPROCS), the scheduler starts nothing else before it
// takes one away, 10 ms later, and looks for what the network brought as seldom.
// The operating system does better: it lets a thread that has just woken go
// before one that has computed for long. So while the hashes hold everything
// there are more processors than cores, and the choice is the system's; at other
// times the surplus would only cost time, and there is none.
package headroom

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"time"
)

// linger is how long there is room after the last sign that it was needed.
// Each change stops the program for some ten microseconds.
const linger = time.Second

// Keep gives the scheduler room for extra processors from the moment that full
// receives until it has not received for a second. It returns when ctx is done,
// with the scheduler as it found it. One Keep may run in a process.
func Keep(ctx context.Context, full <-chan struct{}, extra int) {
	keep(ctx, full, extra, scheduler{})
}

// processors is the setting that Keep changes.
type processors interface {
	raise(by int)
	restore()
}

func keep(ctx context.Context, full <-chan struct{}, extra int, p processors) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-full:
		}
		p.raise(extra)
		untilQuiet(ctx, full)
		p.restore()
	}
}

// untilQuiet returns when full has not received for the time linger.
func untilQuiet(ctx context.Context, full <-chan struct{}) {
	tick := time.NewTicker(linger)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		select {
		case <-full:
		default:
			return
		}
	}
}

// scheduler is Go's own.
type scheduler struct{}

func (scheduler) raise(by int) { runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + by) }

// restore goes back to following the cores that the process may use, unless
// the environment has fixed their number.
func (scheduler) restore() {
	runtime.SetDefaultGOMAXPROCS()
	if n, err := strconv.Atoi(os.Getenv("GOMAXPROCS")); err == nil {
		runtime.GOMAXPROCS(n) // as it was at the start; changes nothing for n < 1
	}
}
