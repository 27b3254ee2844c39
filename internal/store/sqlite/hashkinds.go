package sqlite

import (
	"context"
	"time"
)

var (
	announceHashKind = sql(`INSERT INTO hash_kinds (kind, announced_at) VALUES (?,?)
		ON CONFLICT (kind) DO UPDATE SET announced_at = max(announced_at, excluded.announced_at)`)
	readHashKinds  = sql(`SELECT kind FROM hash_kinds ORDER BY kind`)
	forgetHashKind = sql(`DELETE FROM hash_kinds WHERE kind = ? AND announced_at < ?`)
)

// AnnounceHashKind implements users.Store.
func (s *Store) AnnounceHashKind(ctx context.Context, kind string, at time.Time) error {
	return s.run(ctx, announceHashKind, kind, millis(at))
}

// HashKinds implements users.Store.
func (s *Store) HashKinds(ctx context.Context) ([]string, error) {
	return listed(ctx, s, readHashKinds, (*row).text)
}

// ForgetHashKind implements users.Store.
func (s *Store) ForgetHashKind(ctx context.Context, kind string, before time.Time) error {
	return s.run(ctx, forgetHashKind, kind, millis(before))
}
