package mongodb

import (
	"cmp"
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/decision"
)

type clientRecord struct {
	ID                     string              `bson:"_id"`
	Name                   string              `bson:"name,omitempty"`
	Public                 bool                `bson:"public"`
	SecretHash             []byte              `bson:"secret_hash"`
	JWKS                   string              `bson:"jwks,omitempty"`
	JWKSURI                string              `bson:"jwks_uri,omitempty"`
	Grants                 []string            `bson:"grants"`
	RedirectURIs           []string            `bson:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs []string            `bson:"post_logout_redirect_uris,omitempty"`
	BackchannelLogoutURI   string              `bson:"backchannel_logout_uri,omitempty"`
	Scope                  []string            `bson:"scope"`
	DefaultScope           []string            `bson:"default_scope,omitempty"`
	Audience               []string            `bson:"audience"`
	Introspects            []string            `bson:"introspects,omitempty"`
	TokenEndpointAudience  bool                `bson:"token_endpoint_audience,omitempty"`
	DPoPBound              bool                `bson:"dpop_bound,omitempty"`
	ThirdParty             bool                `bson:"third_party,omitempty"`
	RequiresPAR            bool                `bson:"requires_par,omitempty"`
	RequireFactor          bool                `bson:"require_factor,omitempty"`
	PasswordAlone          bool                `bson:"password_alone,omitempty"`
	Claims                 []string            `bson:"claims,omitempty"`
	SigningAlg             string              `bson:"signing_alg,omitempty"`
	AccessTTL              time.Duration       `bson:"access_ttl_ns"`
	RefreshIdleTTL         time.Duration       `bson:"refresh_idle_ttl_ns"`
	RefreshTTL             time.Duration       `bson:"refresh_ttl_ns"`
	RetryWindow            clients.RetryWindow `bson:"retry_window_ns,omitempty"`
	Disabled               bool                `bson:"disabled"`
	CreatedAt              time.Time           `bson:"created_at"`
	UpdatedAt              time.Time           `bson:"updated_at"`
	decision.Held          `bson:",inline"`
}

func (r clientRecord) domain() clients.Client { return clients.Client(r) }

// CreateClient implements oauth.Store.
func (s *Store) CreateClient(ctx context.Context, c clients.Client) error {
	return create(ctx, s.clients, clientRecord(c), clients.ErrExists)
}

// ClientByID implements oauth.Store.
func (s *Store) ClientByID(ctx context.Context, id string) (clients.Client, error) {
	return s.clientReads.get(ctx, id)
}

// ListClients implements oauth.Store.
func (s *Store) ListClients(ctx context.Context, after string, limit int) ([]clients.Client, error) {
	return page[clientRecord](ctx, s.latest.clients, after, limit)
}

// HeldClient implements oauth.Store.
func (s *Store) HeldClient(ctx context.Context, id string) (clients.Client, error) {
	return one[clientRecord](s.latest.clients.FindOne(ctx, bson.M{"_id": id}), "reading a client", clients.ErrNotFound)
}

// ReplaceClient implements oauth.Store.
func (s *Store) ReplaceClient(ctx context.Context, seen, next clients.Client) error {
	next.ID, next.Version = seen.ID, seen.Version+1
	changed, err := replaced(ctx, s.clients, as(seen.ID, seen.Version, seen.UpdatedAt), clientRecord(seen), clientRecord(next))
	if err != nil || changed {
		return failed("changing a client", err)
	}
	return s.clientChanged(ctx, seen.ID)
}

// RemoveClient implements oauth.Store.
func (s *Store) RemoveClient(ctx context.Context, seen clients.Client) error {
	found, err := removed(s.clients.DeleteOne(ctx, as(seen.ID, seen.Version, seen.UpdatedAt)))
	if err != nil || found {
		return failed("removing a client", err)
	}
	return s.clientChanged(ctx, seen.ID)
}

// clientChanged tells why a client is not what it was seen as.
func (s *Store) clientChanged(ctx context.Context, id string) error {
	_, err := s.HeldClient(ctx, id)
	return cmp.Or(err, clients.ErrChanged)
}

// PendingClients implements oauth.Store.
func (s *Store) PendingClients(ctx context.Context, limit int) ([]clients.Client, error) {
	return pending[clientRecord](ctx, s.clients, limit)
}
