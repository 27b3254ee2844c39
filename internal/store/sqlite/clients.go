package sqlite

import (
	"context"
	"time"

	"github.com/keyturn/keyturn/oauth"
)

const clientColumns = `id, public, secret_hash, jwks, jwks_uri, grants, scope, default_scope, audience, claims,
	access_ttl, refresh_idle_ttl, refresh_ttl, disabled, created_at, updated_at`

var (
	insertClient = clientWrite(`INSERT INTO clients (` + clientColumns + `) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`)
	clientByID   = sql(`SELECT ` + clientColumns + ` FROM clients WHERE id = ?`)
	clientsAfter = sql(`SELECT ` + clientColumns + ` FROM clients WHERE id > ? ORDER BY id LIMIT ?`)
	updateSecret = clientWrite(`UPDATE clients SET secret_hash = ?2, updated_at = ?3 WHERE id = ?1`)
	updateClient = clientWrite(`UPDATE clients SET secret_hash = ?3, jwks = ?4, jwks_uri = ?5, grants = ?6, scope = ?7, default_scope = ?8,
		audience = ?9, access_ttl = ?10, refresh_idle_ttl = ?11, refresh_ttl = ?12, updated_at = ?13, claims = ?14
		WHERE id = ?1 AND updated_at = ?2`)
	clientExists  = sql(`SELECT 1 FROM clients WHERE id = ?`)
	disableClient = clientWrite(`UPDATE clients SET disabled = 1, updated_at = ?2 WHERE id = ?1`)
)

func scanClient(r *row) oauth.Client {
	return oauth.Client{
		ID:             r.text(),
		Public:         r.flag(),
		SecretHash:     r.blob(),
		JWKS:           r.text(),
		JWKSURI:        r.text(),
		Grants:         r.list(),
		Scope:          r.list(),
		DefaultScope:   r.list(),
		Audience:       r.list(),
		Claims:         r.list(),
		AccessTTL:      r.duration(),
		RefreshIdleTTL: r.duration(),
		RefreshTTL:     r.duration(),
		Disabled:       r.flag(),
		CreatedAt:      r.time(),
		UpdatedAt:      r.time(),
	}
}

// CreateClient implements oauth.Store.
func (s *Store) CreateClient(ctx context.Context, cl oauth.Client) error {
	_, err := change(ctx, s, func(c *conn) (int, error) {
		n, err := writeClient(c, insertClient, cl)
		if taken(err) {
			err = oauth.ErrClientExists
		}
		return n, err
	})
	return err
}

// writeClient runs insertClient or putClient.
func writeClient(c *conn, s *statement, cl oauth.Client) (int, error) {
	return c.exec(s, cl.ID, integer(cl.Public), cl.SecretHash, cl.JWKS, cl.JWKSURI,
		encodeList(cl.Grants), encodeList(cl.Scope), encodeList(cl.DefaultScope), encodeList(cl.Audience), encodeList(cl.Claims),
		int64(cl.AccessTTL), int64(cl.RefreshIdleTTL), int64(cl.RefreshTTL),
		integer(cl.Disabled), millis(cl.CreatedAt), millis(cl.UpdatedAt))
}

// ClientByID implements oauth.Store.
func (s *Store) ClientByID(ctx context.Context, id string) (oauth.Client, error) {
	return read(ctx, s, func(c *conn) (oauth.Client, error) {
		return one(c, clientByID, scanClient, oauth.ErrNoClient, id)
	})
}

// ListClients implements oauth.Store.
func (s *Store) ListClients(ctx context.Context, after string, n int) ([]oauth.Client, error) {
	return read(ctx, s, func(c *conn) ([]oauth.Client, error) {
		return list(c, clientsAfter, scanClient, after, limit(n))
	})
}

// SetClientSecret implements oauth.Store.
func (s *Store) SetClientSecret(ctx context.Context, id string, hash []byte, at time.Time) error {
	return s.changeClient(ctx, func(c *conn) (int, error) {
		return c.exec(updateSecret, id, hash, millis(at))
	})
}

// UpdateClient implements oauth.Store.
func (s *Store) UpdateClient(ctx context.Context, cl oauth.Client, seen time.Time) error {
	_, err := change(ctx, s, func(c *conn) (int, error) {
		n, err := c.exec(updateClient, cl.ID, millis(seen), cl.SecretHash, cl.JWKS, cl.JWKSURI,
			encodeList(cl.Grants), encodeList(cl.Scope), encodeList(cl.DefaultScope), encodeList(cl.Audience),
			int64(cl.AccessTTL), int64(cl.RefreshIdleTTL), int64(cl.RefreshTTL), millis(cl.UpdatedAt), encodeList(cl.Claims))
		if err != nil || n > 0 {
			return n, err
		}
		there, err := exists(c, clientExists, cl.ID)
		switch {
		case err != nil:
			return 0, err
		case there:
			return 0, oauth.ErrClientChanged
		}
		return 0, oauth.ErrNoClient
	})
	return err
}

// DisableClient implements oauth.Store.
func (s *Store) DisableClient(ctx context.Context, id string, at time.Time) error {
	return s.changeClient(ctx, func(c *conn) (int, error) {
		return c.exec(disableClient, id, millis(at))
	})
}

// changeClient runs an update of one client, which must exist.
func (s *Store) changeClient(ctx context.Context, update func(c *conn) (int, error)) error {
	n, err := change(ctx, s, update)
	if err == nil && n == 0 {
		err = oauth.ErrNoClient
	}
	return err
}
