package sqlite

import (
	"context"

	"github.com/keyturn/keyturn/internal/audit"
)

var (
	setPlace = sql(`INSERT INTO log_places (host, sink, at) VALUES (?,?,?)
		ON CONFLICT (host, sink) DO UPDATE SET at = excluded.at`)
	placesByAge = sql(`SELECT host, sink, at FROM log_places ORDER BY at DESC, host, sink`)
)

// SetPlace implements audit.PlaceStore.
func (s *Store) SetPlace(ctx context.Context, p audit.Place) error {
	_, err := change(ctx, s, func(c *conn) (int, error) {
		return c.exec(setPlace, p.Host, p.Sink, millis(p.At))
	})
	return err
}

// Places implements audit.PlaceStore.
func (s *Store) Places(ctx context.Context) ([]audit.Place, error) {
	return read(ctx, s, func(c *conn) ([]audit.Place, error) {
		return list(c, placesByAge, func(r *row) audit.Place {
			return audit.Place{Host: r.text(), Sink: r.text(), At: r.time()}
		})
	})
}
