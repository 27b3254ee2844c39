package sqlite

import (
	"context"
	"time"
)

var (
	setSteadyTime  = sql(`INSERT INTO steady_time (id, at) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at`)
	readSteadyTime = sql(`SELECT at FROM steady_time`)
)

// SetSteadyTime implements steady.Store.
func (s *Store) SetSteadyTime(ctx context.Context, t time.Time) error {
	return s.run(ctx, setSteadyTime, millis(t))
}

// SteadyTime implements steady.Store.
func (s *Store) SteadyTime(ctx context.Context) (time.Time, error) {
	return read(ctx, s, func(c *conn) (time.Time, error) { return oneOrZero(c, readSteadyTime, (*row).time) })
}
