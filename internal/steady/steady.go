// Package steady provides a clock that a wrong wall clock does not move, for actions
// that cannot be undone (T1): deleting, erasing and ending for good.
package steady

import (
	"context"
	"sync"
	"time"
)

const (
	// Tolerance is the difference between the wall clock and elapsed time above which
	// the wall clock is taken to have jumped, at once or in steps within Confirmation.
	Tolerance = time.Minute
	// Confirmation is how long the wall clock has to run evenly after a jump before
	// its time is accepted.
	Confirmation = 15 * time.Minute
)

// Store keeps the latest confirmed time, for the next start and for other replicas.
type Store interface {
	// SteadyTime returns the time stored last, or the zero Time if there is none.
	SteadyTime(ctx context.Context) (time.Time, error)
	// SetSteadyTime replaces the stored time by t, to the millisecond.
	SetSteadyTime(ctx context.Context, t time.Time) error
}

// Clock follows the wall clock while that runs evenly with elapsed time. If the wall
// clock jumps forward or back, the Clock goes on by elapsed time alone, until the wall
// clock has come back or has run evenly for Confirmation. This includes a restart,
// because a process cannot tell the time that it was away from a jump. A Clock is safe
// for concurrent use.
type Clock struct {
	wall    func() time.Time
	elapsed func() time.Duration
	onJump  func(by time.Duration)

	mu sync.Mutex
	// confirmed was the time when elapsed returned at.
	confirmed time.Time
	at        time.Duration
	// crept is what steps within Tolerance have added up to. It shrinks by Tolerance in
	// Confirmation, so that drift is followed and a clock in small steps is not.
	crept time.Duration
	// jumped is set while the wall clock is off by offset; since is when that began.
	jumped bool
	offset time.Duration
	since  time.Duration
	jumps  uint64
}

// New returns a Clock that begins at last, the latest time known to be right, or at
// the wall clock's time if last is zero. elapsed returns the time since some fixed
// moment by a clock that never jumps; if nil, the monotonic part of wall's readings is
// used. onJump, if not nil, is called at each jump.
func New(wall func() time.Time, elapsed func() time.Duration, last time.Time, onJump func(by time.Duration)) *Clock {
	began := wall()
	if elapsed == nil {
		elapsed = func() time.Duration { return wall().Sub(began) }
	}
	if last.IsZero() {
		last = began
	}
	c := &Clock{wall: wall, elapsed: elapsed, onJump: onJump, confirmed: last, at: elapsed()}
	c.Now()
	c.crept = 0 // a short stop
	return c
}

// Now returns the time, in UTC.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Round(0) removes the monotonic part, which hides jumps of the wall clock.
	wall, elapsed := c.wall().Round(0).UTC(), c.elapsed()
	now := c.confirmed.Add(elapsed - c.at)
	off := wall.Sub(now)
	crept := shrunk(c.crept, elapsed-c.at) + off
	if off.Abs() > Tolerance || crept.Abs() > Tolerance {
		if !c.jumped || (off-c.offset).Abs() > Tolerance {
			c.jumped, c.offset, c.since = true, off, elapsed
			c.jumps++
			if c.onJump != nil {
				c.onJump(off)
			}
		}
		if elapsed-c.since < Confirmation {
			return now
		}
		crept = 0
	}
	c.confirmed, c.at, c.crept, c.jumped, c.offset = wall, elapsed, crept, false, 0
	return wall
}

// shrunk returns what is left of crept after a while.
func shrunk(crept, after time.Duration) time.Duration {
	by := min(time.Duration(float64(Tolerance)*(float64(after)/float64(Confirmation))), crept.Abs())
	if crept < 0 {
		return crept + by
	}
	return crept - by
}

// Earliest returns the earlier of the Clock's time and the wall clock's, so that what
// is past by it is past by both.
func (c *Clock) Earliest() time.Time {
	now, wall := c.Now(), c.wall().Round(0).UTC()
	if wall.Before(now) {
		return wall
	}
	return now
}

// Offset returns how far the wall clock is ahead of the Clock after an unconfirmed
// jump, or zero if there is none.
func (c *Clock) Offset() time.Duration {
	c.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset
}

// Jumps returns how many times the wall clock has jumped.
func (c *Clock) Jumps() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.jumps
}
