// Package headroom keeps room in Go's scheduler for short requests while long
// computations hold every processor that it knows of.
//
// A password's hash computes for tens of milliseconds without a pause. With one
// on each processor (GOMAXPROCS), the scheduler starts nothing else before it
// takes one away, 10 ms later, and looks for what the network brought as seldom.
// So while the hashes hold everything there are more processors than cores, and
// the choice is the operating system's; at other times the surplus would only
// cost time, and there is none. That system would do no better by itself: it lets
// a thread that computes finish its slice, milliseconds, before one that has just
// woken. So hashes are computed on threads of low priority, and a pulse has the
// system look often whose turn it is.
//
// And it keeps room in memory: what the hashes fill meanwhile, garbage must not.
// They let little else happen, so that collecting more often costs next to
// nothing then; while a server without logins is fast it would cost a tenth.
package headroom

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"
)

// linger is how long there is room after the last sign that it was needed.
// Each change stops the program for some ten microseconds.
const linger = time.Second

// leanGC is the percentage (GOGC) at which the collector runs meanwhile, unless
// it is set lower.
const leanGC = 50

// Keep gives the scheduler room for extra processors, which may be none, has them
// make way quickly where they can hold every core, and has the collector let less
// garbage gather, from the moment that full receives until it has not received for
// a second. It returns when ctx is done, with scheduler and collector as it found
// them. One Keep may run in a process.
func Keep(ctx context.Context, full <-chan struct{}, extra int) {
	keep(ctx, full, extra, &goRuntime{})
}

// settings are those that Keep changes.
type settings interface {
	raise(by int)
	restore()
}

func keep(ctx context.Context, full <-chan struct{}, extra int, p settings) {
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

// goRuntime is the program's own scheduler and collector.
type goRuntime struct {
	processors, percent int
	pulse               *pulse
}

func (g *goRuntime) raise(by int) {
	g.processors = by
	if by > 0 {
		cores := pulseCores(by)
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + by + len(cores))
		g.pulse = startPulse(cores)
	}
	g.percent = debug.SetGCPercent(leanGC)
	if g.percent < leanGC { // or off, which is -1
		debug.SetGCPercent(g.percent)
	}
}

// restore goes back to following the cores that the process may use, unless
// the environment has fixed their number.
func (g *goRuntime) restore() {
	debug.SetGCPercent(g.percent)
	if g.processors == 0 {
		return
	}
	g.pulse.end()
	runtime.SetDefaultGOMAXPROCS()
	if n, err := strconv.Atoi(os.Getenv("GOMAXPROCS")); err == nil {
		runtime.GOMAXPROCS(n) // as it was at the start; changes nothing for n < 1
	}
}
