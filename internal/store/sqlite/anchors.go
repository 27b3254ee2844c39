package sqlite

import (
	"context"

	"github.com/keyturn/keyturn/internal/audit"
)

var (
	setAnchor = sql(`INSERT INTO anchors (chain, seq, hash, node, at) VALUES (?,?,?,?,?)
		ON CONFLICT (chain) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, node = excluded.node, at = excluded.at
		WHERE excluded.seq > seq`)
	anchorsByAge = sql(`SELECT chain, seq, hash, node, at FROM anchors ORDER BY at, chain`)
)

// SetAnchor implements audit.AnchorStore.
func (s *Store) SetAnchor(ctx context.Context, a audit.Anchor) error {
	_, err := change(ctx, s, func(c *conn) (int, error) {
		return c.exec(setAnchor, a.Chain, a.Seq, a.Hash, a.Node, millis(a.At))
	})
	return err
}

// Anchors implements audit.AnchorStore.
func (s *Store) Anchors(ctx context.Context) ([]audit.Anchor, error) {
	return read(ctx, s, func(c *conn) ([]audit.Anchor, error) {
		return list(c, anchorsByAge, func(r *row) audit.Anchor {
			return audit.Anchor{Chain: r.text(), Seq: r.integer(), Hash: r.text(), Node: r.text(), At: r.time()}
		})
	})
}
