package sqlite

import (
	"context"

	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/oauth"
)

const deniedColumns = `jti, expire_at, slot_id, slot`

var (
	denyToken     = sql(`INSERT INTO denied (` + deniedColumns + `) VALUES (?,?,?,?) ON CONFLICT (jti) DO NOTHING`)
	tokenDenied   = sql(`SELECT 1 FROM denied WHERE jti = ?`)
	heldDenied    = sql(`SELECT ` + deniedColumns + ` FROM denied WHERE jti = ?`)
	holdDenied    = sql(`UPDATE denied SET slot_id = ?3, slot = ?4 WHERE jti = ?1 AND slot_id = ?2`)
	deniedPending = sql(`SELECT ` + deniedColumns + ` FROM denied WHERE slot_id > '' LIMIT ?`)
	deniedTokens  = sql(`SELECT ` + deniedColumns + ` FROM denied WHERE jti > ? ORDER BY jti LIMIT ?`)
)

func scanDenied(r *row) oauth.DeniedToken {
	return oauth.DeniedToken{JTI: r.text(), ExpireAt: r.time(), Held: decision.Held{SlotID: r.text(), Slot: r.blob()}}
}

// DenyToken implements oauth.Store.
func (s *Store) DenyToken(ctx context.Context, d oauth.DeniedToken) error {
	return s.transact(ctx, func(c *conn) (int, error) { return 0, deny(c, d) })
}

func deny(c *conn, d oauth.DeniedToken) error {
	n, err := c.exec(denyToken, d.JTI, millis(d.ExpireAt), d.SlotID, d.Slot)
	if err == nil && n == 0 {
		err = oauth.ErrTokenDenied
	}
	return err
}

// TokenDenied implements oauth.Store.
func (s *Store) TokenDenied(ctx context.Context, jti string) (bool, error) {
	return read(ctx, s, func(c *conn) (bool, error) { return exists(c, tokenDenied, jti) })
}

// HeldDenied implements oauth.Store.
func (s *Store) HeldDenied(ctx context.Context, jti string) (oauth.DeniedToken, error) {
	return found(ctx, s, heldDenied, scanDenied, oauth.ErrDeniedChanged, jti)
}

// HoldDenied implements oauth.Store.
func (s *Store) HoldDenied(ctx context.Context, seen, next oauth.DeniedToken) error {
	n, err := s.exec(ctx, holdDenied, seen.JTI, seen.SlotID, next.SlotID, next.Slot)
	if err == nil && n == 0 {
		err = oauth.ErrDeniedChanged
	}
	return err
}

// PendingDenied implements oauth.Store.
func (s *Store) PendingDenied(ctx context.Context, n int) ([]oauth.DeniedToken, error) {
	return listed(ctx, s, deniedPending, scanDenied, limit(n))
}

// DeniedTokens implements store.Store.
func (s *Store) DeniedTokens(ctx context.Context, after string, n int) ([]oauth.DeniedToken, error) {
	return listed(ctx, s, deniedTokens, scanDenied, after, limit(n))
}
