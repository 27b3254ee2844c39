package sqlite

import (
	"context"

	"github.com/keyturn/keyturn/internal/clients"
)

const clientColumns = `id, public, secret_hash, jwks, jwks_uri, grants, scope, default_scope, audience, claims,
	access_ttl, refresh_idle_ttl, refresh_ttl, disabled, created_at, updated_at, version, unborn, slot_id, slot, signing_alg,
	introspects, token_endpoint_audience, retry_window, dpop_bound, redirect_uris, post_logout_redirect_uris,
	backchannel_logout_uri, requires_par, require_factor, password_alone, third_party, name`

var (
	insertClient   = clientWrite(`INSERT INTO clients (` + clientColumns + `) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`)
	heldClient     = sql(`SELECT ` + clientColumns + ` FROM clients WHERE id = ?`)
	clientByID     = sql(`SELECT ` + clientColumns + ` FROM clients WHERE id = ? AND unborn = 0`)
	clientsAfter   = sql(`SELECT ` + clientColumns + ` FROM clients WHERE id > ? AND unborn = 0 ORDER BY id LIMIT ?`)
	clientsPending = sql(`SELECT ` + clientColumns + ` FROM clients WHERE slot_id > '' LIMIT ?`)
	replaceClient  = clientWrite(`UPDATE clients SET public = ?2, secret_hash = ?3, jwks = ?4, jwks_uri = ?5, grants = ?6, scope = ?7,
		default_scope = ?8, audience = ?9, claims = ?10, access_ttl = ?11, refresh_idle_ttl = ?12, refresh_ttl = ?13, disabled = ?14,
		created_at = ?15, updated_at = ?16, version = ?17, unborn = ?18, slot_id = ?19, slot = ?20, signing_alg = ?21,
		introspects = ?22, token_endpoint_audience = ?23, retry_window = ?24, dpop_bound = ?25, redirect_uris = ?26,
		post_logout_redirect_uris = ?27, backchannel_logout_uri = ?28, requires_par = ?29, require_factor = ?30, password_alone = ?31, third_party = ?32, name = ?33 WHERE id = ?1`)
	deleteClient = clientWrite(`DELETE FROM clients WHERE id = ?`)
)

func scanClient(r *row) clients.Client {
	return clients.Client{
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
		Held:           scanHeld(r),
		SigningAlg:     r.text(),

		Introspects:           r.list(),
		TokenEndpointAudience: r.flag(),
		RetryWindow:           clients.RetryWindow(r.duration()),
		DPoPBound:             r.flag(),
		RedirectURIs:          r.list(),

		PostLogoutRedirectURIs: r.list(),
		BackchannelLogoutURI:   r.text(),
		RequiresPAR:            r.flag(),
		RequireFactor:          r.flag(),
		PasswordAlone:          r.flag(),
		ThirdParty:             r.flag(),
		Name:                   r.text(),
	}
}

// CreateClient implements oauth.Store.
func (s *Store) CreateClient(ctx context.Context, cl clients.Client) error {
	return s.transact(ctx, func(c *conn) (int, error) {
		n, err := writeClient(c, insertClient, cl)
		if taken(err) {
			err = clients.ErrExists
		}
		return n, err
	})
}

// writeClient runs insertClient, replaceClient or putClient.
func writeClient(c *conn, s *statement, cl clients.Client) (int, error) {
	return c.exec(s, cl.ID, integer(cl.Public), cl.SecretHash, cl.JWKS, cl.JWKSURI,
		encodeList(cl.Grants), encodeList(cl.Scope), encodeList(cl.DefaultScope), encodeList(cl.Audience), encodeList(cl.Claims),
		int64(cl.AccessTTL), int64(cl.RefreshIdleTTL), int64(cl.RefreshTTL),
		integer(cl.Disabled), millis(cl.CreatedAt), millis(cl.UpdatedAt), cl.Version, integer(cl.Unborn), cl.SlotID, cl.Slot, cl.SigningAlg,
		encodeList(cl.Introspects), integer(cl.TokenEndpointAudience), int64(cl.RetryWindow), integer(cl.DPoPBound), encodeList(cl.RedirectURIs),
		encodeList(cl.PostLogoutRedirectURIs), cl.BackchannelLogoutURI, integer(cl.RequiresPAR), integer(cl.RequireFactor), integer(cl.PasswordAlone), integer(cl.ThirdParty), cl.Name)
}

// ClientByID implements oauth.Store.
func (s *Store) ClientByID(ctx context.Context, id string) (clients.Client, error) {
	return found(ctx, s, clientByID, scanClient, clients.ErrNotFound, id)
}

// ListClients implements oauth.Store.
func (s *Store) ListClients(ctx context.Context, after string, n int) ([]clients.Client, error) {
	return listed(ctx, s, clientsAfter, scanClient, after, limit(n))
}

// HeldClient implements oauth.Store.
func (s *Store) HeldClient(ctx context.Context, id string) (clients.Client, error) {
	return found(ctx, s, heldClient, scanClient, clients.ErrNotFound, id)
}

// ReplaceClient implements oauth.Store.
func (s *Store) ReplaceClient(ctx context.Context, seen, next clients.Client) error {
	return s.transact(ctx, func(c *conn) (int, error) {
		if err := stillClient(c, seen); err != nil {
			return 0, err
		}
		next.ID, next.Version = seen.ID, seen.Version+1
		return writeClient(c, replaceClient, next)
	})
}

// RemoveClient implements oauth.Store.
func (s *Store) RemoveClient(ctx context.Context, seen clients.Client) error {
	return s.transact(ctx, func(c *conn) (int, error) {
		if err := stillClient(c, seen); err != nil {
			return 0, err
		}
		return c.exec(deleteClient, seen.ID)
	})
}

// stillClient checks, inside a transaction that writes, that a client is as it
// was seen.
func stillClient(c *conn, seen clients.Client) error {
	now, err := one(c, heldClient, scanClient, clients.ErrNotFound, seen.ID)
	if err == nil && (now.Version != seen.Version || !now.UpdatedAt.Equal(instant(millis(seen.UpdatedAt)))) {
		err = clients.ErrChanged
	}
	return err
}

// PendingClients implements oauth.Store.
func (s *Store) PendingClients(ctx context.Context, n int) ([]clients.Client, error) {
	return listed(ctx, s, clientsPending, scanClient, limit(n))
}
