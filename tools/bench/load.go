package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// maxErrors ends a run in which nearly nothing works: a closed loop on a server
// that refuses everything would otherwise turn without pause.
const maxErrors = 1000

// load is the closed loop.
type load struct {
	warmup, duration time.Duration
	// maxRequests bounds all requests of one run, the warm-up's included.
	maxRequests int64
}

// session is one client's part in a scenario: what it sends next and what it
// expects. A session is used by one goroutine at a time.
type session interface {
	// request returns the next request, whole; valid until the next call.
	request() []byte
	// accept reads the body of a 2xx answer and reports whether it is what
	// was asked for.
	accept(body []byte) bool
}

// preparer is a session that makes a part of its requests before a run.
type preparer interface {
	prepare(requests int)
}

// The phases of a run.
const (
	warming int32 = iota
	measuring
	finished
)

// loop is one run of a load.
type loop struct {
	target *target
	phase  atomic.Int32
	budget atomic.Int64
	errors atomic.Int64
	// spent is closed when the budget or the patience with errors is.
	spent     chan struct{}
	spentOnce sync.Once
}

// run sends the requests of the sessions, each session a client of its own, to
// the target. The server's cost is read from its process, if pid is not 0.
// Requests that fail are counted in the result; an error means that there is no
// result.
func (l load) run(ctx context.Context, t *target, sessions []session, pid int) (measurement, error) {
	r := &loop{target: t, spent: make(chan struct{})}
	r.budget.Store(l.maxRequests)
	l.prepare(sessions)
	tallies := make([]*tally, len(sessions))
	var clients sync.WaitGroup
	start := sync.OnceFunc(func() {
		for i, s := range sessions {
			tallies[i] = newTally()
			clients.Go(func() { r.client(ctx, s, tallies[i]) })
		}
	})
	w, err := l.watch(ctx, r, pid, start)
	r.phase.Store(finished)
	clients.Wait()
	if err != nil {
		return measurement{}, err
	}
	return w.measurement(tallies), nil
}

// prepare prepares the sessions for a run as fast as the machine could be.
func (l load) prepare(sessions []session) {
	seconds := min(l.warmup+l.duration, proofLife).Seconds()
	all := min(int64(seconds*float64(proofsPerCPU*runtime.NumCPU())), l.maxRequests)
	var makers sync.WaitGroup
	for _, s := range sessions {
		if s, ok := s.(preparer); ok {
			makers.Go(func() { s.prepare(int(all) / len(sessions)) })
		}
	}
	makers.Wait()
}

// watch takes a run through its phases, starting the clients with start, and
// returns what it cost between the end of the warm-up and the end. The window
// is the zero one where errors ended the run in the warm-up.
func (l load) watch(ctx context.Context, r *loop, pid int, start func()) (window, error) {
	if l.warmup > 0 {
		start()
		if err := r.wait(ctx, l.warmup); err != nil {
			return window{}, err
		}
		if r.errors.Load() >= maxErrors {
			return window{}, nil
		}
		if r.budget.Load() < 0 {
			return window{}, fmt.Errorf("the warm-up spent all %d requests; allow more or warm up for less", l.maxRequests)
		}
	}
	w, err := openWindow(pid)
	if err != nil {
		return w, err
	}
	r.phase.Store(measuring)
	start()
	if err := r.wait(ctx, l.duration); err != nil {
		return w, err
	}
	r.phase.Store(finished)
	return w, w.close()
}

// wait returns after d, or earlier when the run can go no further; with an
// error if it was interrupted.
func (r *loop) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.spent:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}
	return nil
}

// client is the life of one client.
func (r *loop) client(ctx context.Context, s session, t *tally) {
	c := &conn{target: r.target}
	defer c.close()
	for r.phase.Load() != finished {
		if r.budget.Add(-1) < 0 {
			r.stop()
			return
		}
		start := time.Now()
		status, body, err := c.do(ctx, s.request())
		took := time.Since(start)
		if ctx.Err() != nil {
			return
		}
		if failure := judge(s, status, body, err); failure != "" {
			t.fail(failure)
			if r.errors.Add(1) >= maxErrors {
				r.stop()
				return
			}
			continue
		}
		t.record(r.phase.Load(), took)
	}
}

func (r *loop) stop() {
	r.spentOnce.Do(func() { close(r.spent) })
}

// window is the time that is measured and what the processes spent in it.
type window struct {
	server, self  process
	opened        time.Time
	elapsed       time.Duration
	before, after usage
	mine          time.Duration
	ownBefore     usage
}

// openWindow begins to measure; pid is the server's, 0 if unknown.
func openWindow(pid int) (window, error) {
	w := window{
		server: process{root: "/proc", pid: pid},
		self:   process{root: "/proc", pid: os.Getpid()},
	}
	if pid != 0 {
		u, err := w.server.withWorkers()
		if err != nil {
			return w, err
		}
		w.before = u
	}
	// Where there is no /proc the tool's own cost stays unknown, like the
	// server's.
	w.ownBefore, _ = w.self.usage()
	w.opened = time.Now()
	return w, nil
}

// close ends the measuring.
func (w *window) close() error {
	w.elapsed = time.Since(w.opened)
	if own, err := w.self.usage(); err == nil {
		w.mine = own.cpu - w.ownBefore.cpu
	}
	if w.server.pid == 0 {
		return nil
	}
	u, err := w.server.withWorkers()
	if err != nil {
		return err
	}
	w.after = u
	return nil
}
