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
	return s.run(ctx, setAnchor, a.Chain, a.Seq, a.Hash, a.Node, millis(a.At))
}

// Anchors implements audit.AnchorStore.
func (s *Store) Anchors(ctx context.Context) ([]audit.Anchor, error) {
	return listed(ctx, s, anchorsByAge, func(r *row) audit.Anchor {
		return audit.Anchor{Chain: r.text(), Seq: r.integer(), Hash: r.text(), Node: r.text(), At: r.time()}
	})
}

var (
	setPlace = sql(`INSERT INTO log_places (host, sink, store, at) VALUES (?,?,?,?)
		ON CONFLICT (host, sink) DO UPDATE SET store = excluded.store, at = excluded.at`)
	placesByAge = sql(`SELECT host, sink, store, at FROM log_places ORDER BY at DESC, host, sink`)
)

// SetPlace implements audit.PlaceStore.
func (s *Store) SetPlace(ctx context.Context, p audit.Place) error {
	return s.run(ctx, setPlace, p.Host, p.Sink, p.Store, millis(p.At))
}

// Places implements audit.PlaceStore.
func (s *Store) Places(ctx context.Context) ([]audit.Place, error) {
	return listed(ctx, s, placesByAge, func(r *row) audit.Place {
		return audit.Place{Host: r.text(), Sink: r.text(), Store: r.text(), At: r.time()}
	})
}
