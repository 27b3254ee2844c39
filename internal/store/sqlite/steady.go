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
	_, err := change(ctx, s, func(c *conn) (int, error) {
		return c.exec(setSteadyTime, millis(t))
	})
	return err
}

// SteadyTime implements steady.Store.
func (s *Store) SteadyTime(ctx context.Context) (time.Time, error) {
	found, err := read(ctx, s, func(c *conn) ([]time.Time, error) {
		return list(c, readSteadyTime, (*row).time)
	})
	if err != nil || len(found) == 0 {
		return time.Time{}, err
	}
	return found[0], nil
}
