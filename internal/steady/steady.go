// Package steady tells a time that a wrong wall clock does not move, for what
// cannot be undone (T1): deleting, erasing and ending for good.
package steady

import (
	"context"
	"sync"
	"time"
)

const (
	// Tolerance is how far the wall clock may be off from what elapsed time
	// tells before that counts as a jump.
	Tolerance = time.Minute
	// Confirmation is how long the wall clock has to run evenly after a jump
	// before its time is taken for the right one.
	Confirmation = 15 * time.Minute
)

// Store keeps the latest time that was confirmed, for the next start and for
// other replicas.
type Store interface {
	// SteadyTime returns what SetSteadyTime stored last, the zero Time if
	// nothing.
	SteadyTime(ctx context.Context) (time.Time, error)
	// SetSteadyTime stores t, to the millisecond, in the place of that.
	SetSteadyTime(ctx context.Context, t time.Time) error
}

// Clock follows the wall clock as long as that runs with elapsed time. When it
// jumps, forward or back, the Clock goes on by elapsed time alone, until the wall
// clock has come back or has run evenly for Confirmation. A restart is no
// exception: the time that a process was away is nothing that it can tell from a
// jump. Safe for concurrent use.
type Clock struct {
	wall    func() time.Time
	elapsed func() time.Duration
	onJump  func(by time.Duration)

	mu sync.Mutex
	// confirmed was the time when elapsed told at.
	confirmed time.Time
	at        time.Duration
	// jumped is set while the wall clock is off by offset, which it has been
	// since.
	jumped bool
	offset time.Duration
	since  time.Duration
	jumps  uint64
}

// New returns a Clock that begins at last, the latest time known to have been
// right, or at the wall clock's where nothing is known. elapsed tells how much time
// has passed since some moment by a clock that never jumps; nil means that the
// monotonic part of wall's readings tells. onJump is told of each jump; it may be nil.
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
	return c
}

// Now returns the time, in UTC.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Without its monotonic part: that cannot see the wall clock jump.
	wall, elapsed := c.wall().Round(0).UTC(), c.elapsed()
	now := c.confirmed.Add(elapsed - c.at)
	off := wall.Sub(now)
	if off.Abs() > Tolerance {
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
	}
	c.confirmed, c.at, c.jumped, c.offset = wall, elapsed, false, 0
	return wall
}

// Earliest returns the earlier of the Clock's time and the wall clock's: what is past
// by it is past by both.
func (c *Clock) Earliest() time.Time {
	now, wall := c.Now(), c.wall().Round(0).UTC()
	if wall.Before(now) {
		return wall
	}
	return now
}

// Offset returns how far the wall clock is ahead of the Clock after a jump that
// is not confirmed; zero if there is none.
func (c *Clock) Offset() time.Duration {
	c.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset
}

// Jumps returns how often the wall clock has jumped.
func (c *Clock) Jumps() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.jumps
}
