package sqlite

import (
	"context"
	"time"

	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/oauth"
)

var (
	denyToken = sql(`INSERT INTO denied (jti, expire_at) VALUES (?,?)
		ON CONFLICT (jti) DO UPDATE SET expire_at = max(expire_at, excluded.expire_at)`)
	spendToken   = sql(`INSERT INTO denied (jti, expire_at) VALUES (?,?) ON CONFLICT (jti) DO NOTHING`)
	tokenDenied  = sql(`SELECT 1 FROM denied WHERE jti = ?`)
	deniedTokens = sql(`SELECT jti, expire_at FROM denied WHERE jti > ? ORDER BY jti LIMIT ?`)
)

// DenyToken implements oauth.Store.
func (s *Store) DenyToken(ctx context.Context, jti string, expireAt time.Time) error {
	return s.run(ctx, denyToken, jti, millis(expireAt))
}

// SpendToken implements oauth.Store.
func (s *Store) SpendToken(ctx context.Context, id string, expireAt time.Time) error {
	n, err := s.exec(ctx, spendToken, id, millis(expireAt))
	if err == nil && n == 0 {
		err = oauth.ErrTokenSpent
	}
	return err
}

// TokenDenied implements oauth.Store.
func (s *Store) TokenDenied(ctx context.Context, jti string) (bool, error) {
	return read(ctx, s, func(c *conn) (bool, error) { return exists(c, tokenDenied, jti) })
}

// DeniedTokens implements store.Store.
func (s *Store) DeniedTokens(ctx context.Context, after string, n int) ([]store.DeniedToken, error) {
	return listed(ctx, s, deniedTokens, func(r *row) store.DeniedToken {
		return store.DeniedToken{JTI: r.text(), ExpireAt: r.time()}
	}, after, limit(n))
}
