package main

import (
	"context"
	"time"

	"github.com/keyturn/keyturn/internal/server"
	"github.com/keyturn/keyturn/internal/steady"
)

// wallClock is this machine's clock, which may be wrong.
var wallClock = time.Now

// keepTimeEvery is how often the time is stored. Together with a short stop it stays
// within steady.Tolerance.
const keepTimeEvery = 10 * time.Second

// steadily starts the clock that a wrong wall clock does not move (T1), at the time
// in the store. onJump may be nil.
func (d *deployment) steadily(ctx context.Context, onJump func(by time.Duration)) error {
	last, err := d.lastTime(ctx)
	if err != nil {
		return err
	}
	d.clock = steady.New(wallClock, elapsedSince(time.Now()), last, onJump)
	return nil
}

// catchUp has a command whose clock is behind date its records by the store. A key that
// was made an hour ago by its record would sign before anybody could know it (K1), and a
// one-time token would be over before it is sent. It is late rather than early by what
// servers may not have stored yet.
func (d *deployment) catchUp() {
	last, err := d.lastTime(d.ctx)
	if behind := last.Sub(wallClock()); err == nil && behind > d.cfg.ClockSkew {
		d.behind = behind + keepTimeEvery
		d.log.Warn().Stringer("by", behind.Round(time.Second)).Msg("this machine's clock is behind the latest time in the store; records are dated by the store's")
	}
}

// now returns the time that records are dated by.
func (d *deployment) now() time.Time { return wallClock().Add(d.behind) }

// confirmed returns the time that no wrong clock moves; a command has only its own.
func (d *deployment) confirmed() time.Time {
	if d.clock == nil {
		return d.now()
	}
	return d.clock.Now()
}

// warnIfAhead warns a command that schedules something. Nothing tells a clock that is
// ahead from servers that have stood still, so that it counts: what is late breaks no
// promise.
func (d *deployment) warnIfAhead() {
	if ahead := d.clock.Offset(); ahead > 0 {
		d.log.Warn().Stringer("by", ahead.Round(time.Second)).Msg("this machine's clock is ahead of the latest time in the store: either no server has run since, or it is wrong, and what is scheduled now comes so much too late")
	}
}

// lastTime returns the latest time that the store knows to be past, or the zero Time
// for a new store. A copy has no time stored, nor has a store that only older versions
// served: there the heads of the audit log tell. Those of a store without keys are of
// commands that prepared it, however long ago.
func (d *deployment) lastTime(ctx context.Context) (time.Time, error) {
	last, err := d.store.SteadyTime(ctx)
	if err != nil || !last.IsZero() {
		return last, err
	}
	served, err := d.store.Keys(ctx)
	if err != nil || len(served) == 0 {
		return last, err
	}
	heads, err := d.store.Anchors(ctx)
	for _, a := range heads {
		if a.At.After(last) {
			last = a.At
		}
	}
	return last, err
}

// clockJumped logs a jump of the clock.
func (d *deployment) clockJumped(by time.Duration) {
	d.log.Error().Stringer("by", by.Round(time.Millisecond)).Stringer("confirmed_after", steady.Confirmation).
		Msg("the clock jumped, or no server ran for a while: until the time is confirmed nothing is deleted or erased by it")
}

// past returns the time for deleting and erasing: what has expired by it has expired
// by both the wall clock and elapsed time. It is the zero Time for commands, which
// delete nothing by time.
func (d *deployment) past() time.Time {
	if d.clock == nil {
		return time.Time{}
	}
	return d.clock.Earliest()
}

// clockWarning returns the warning of /readyz while the clock is unconfirmed.
func (d *deployment) clockWarning() []string {
	if d.clock.Offset() == 0 {
		return nil
	}
	return []string{"clock_jumped"}
}

func elapsedSince(began time.Time) func() time.Duration {
	return func() time.Duration { return time.Since(began) }
}

// keepTime stores the time for the next start and for other replicas.
func (d *deployment) keepTime(ctx context.Context) {
	if err := d.store.SetSteadyTime(ctx, d.clock.Now()); err != nil && ctx.Err() == nil {
		d.log.Warn().Err(err).Msg("the time could not be stored")
	}
}

func clockMetrics(m *server.Metrics, c *steady.Clock) {
	m.Counter("keyturn_clock_jumps_total", "Jumps of the wall clock against elapsed time.", nil, func() float64 { return float64(c.Jumps()) })
	m.Gauge("keyturn_clock_offset_seconds", "How far the wall clock is ahead of what elapsed time confirms; 0 while they agree.", nil,
		func() float64 { return c.Offset().Seconds() })
}
