package sqlite

import (
	"context"
	"time"
)

var (
	addCount = sql(`INSERT INTO counters (name, value, expire_at) VALUES (?,?,?)
		ON CONFLICT (name) DO UPDATE SET value = value + excluded.value, expire_at = max(expire_at, excluded.expire_at)
		RETURNING value`)
	readCounts = sql(`SELECT coalesce((SELECT value FROM counters WHERE name = wanted.value), 0)
		FROM json_each(?) AS wanted ORDER BY wanted.key`)
	resetCounts = sql(`DELETE FROM counters WHERE name IN (SELECT value FROM json_each(?))`)
)

// AddCount implements throttle.Counters.
func (s *Store) AddCount(ctx context.Context, key string, n int64, expireAt time.Time) (int64, error) {
	return change(ctx, s, func(c *conn) (int64, error) { return one(c, addCount, (*row).integer, nil, key, n, millis(expireAt)) })
}

// Counts implements throttle.Counters.
func (s *Store) Counts(ctx context.Context, keys []string) ([]int64, error) {
	return listed(ctx, s, readCounts, (*row).integer, encodeList(keys))
}

// ResetCounts implements throttle.Counters.
func (s *Store) ResetCounts(ctx context.Context, keys []string) error {
	return s.run(ctx, resetCounts, encodeList(keys))
}
