package mongodb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/keyturn/keyturn/oauth"
)

type clientRecord struct {
	ID             string        `bson:"_id"`
	Public         bool          `bson:"public"`
	SecretHash     []byte        `bson:"secret_hash"`
	JWKS           string        `bson:"jwks,omitempty"`
	JWKSURI        string        `bson:"jwks_uri,omitempty"`
	Grants         []string      `bson:"grants"`
	Scope          []string      `bson:"scope"`
	DefaultScope   []string      `bson:"default_scope,omitempty"`
	Audience       []string      `bson:"audience"`
	Claims         []string      `bson:"claims,omitempty"`
	AccessTTL      time.Duration `bson:"access_ttl_ns"`
	RefreshIdleTTL time.Duration `bson:"refresh_idle_ttl_ns"`
	RefreshTTL     time.Duration `bson:"refresh_ttl_ns"`
	Disabled       bool          `bson:"disabled"`
	CreatedAt      time.Time     `bson:"created_at"`
	UpdatedAt      time.Time     `bson:"updated_at"`
}

func (r clientRecord) domain() oauth.Client { return oauth.Client(r) }

// CreateClient implements oauth.Store.
func (s *Store) CreateClient(ctx context.Context, c oauth.Client) error {
	_, err := s.clients.InsertOne(ctx, clientRecord(c))
	if mongo.IsDuplicateKeyError(err) {
		return oauth.ErrClientExists
	}
	return failed("creating a client", err)
}

// ClientByID implements oauth.Store.
func (s *Store) ClientByID(ctx context.Context, id string) (oauth.Client, error) {
	return s.clientReads.get(ctx, id)
}

func clientIn(ctx context.Context, clients *mongo.Collection, id string) (oauth.Client, error) {
	return one[clientRecord](clients.FindOne(ctx, bson.M{"_id": id}), "reading a client", oauth.ErrNoClient)
}

// ListClients implements oauth.Store.
func (s *Store) ListClients(ctx context.Context, after string, limit int) ([]oauth.Client, error) {
	found, err := page[clientRecord](ctx, s.clients, after, limit)
	return found, failed("listing clients", err)
}

// SetClientSecret implements oauth.Store.
func (s *Store) SetClientSecret(ctx context.Context, id string, hash []byte, at time.Time) error {
	return s.changeClient(ctx, id, bson.M{"secret_hash": hash, "updated_at": at})
}

// UpdateClient implements oauth.Store.
func (s *Store) UpdateClient(ctx context.Context, c oauth.Client, seen time.Time) error {
	result, err := s.clients.UpdateOne(ctx, bson.M{"_id": c.ID, "updated_at": seen}, bson.M{"$set": bson.M{
		"secret_hash": c.SecretHash, "jwks": c.JWKS, "jwks_uri": c.JWKSURI, "grants": c.Grants,
		"scope": c.Scope, "default_scope": c.DefaultScope, "audience": c.Audience, "claims": c.Claims, "access_ttl_ns": c.AccessTTL,
		"refresh_idle_ttl_ns": c.RefreshIdleTTL, "refresh_ttl_ns": c.RefreshTTL, "updated_at": c.UpdatedAt,
	}})
	if err != nil {
		return failed("changing a client", err)
	}
	if result.MatchedCount == 0 {
		if _, err := s.ClientByID(ctx, c.ID); err != nil {
			return err
		}
		return oauth.ErrClientChanged
	}
	return nil
}

// DisableClient implements oauth.Store.
func (s *Store) DisableClient(ctx context.Context, id string, at time.Time) error {
	return s.changeClient(ctx, id, bson.M{"disabled": true, "updated_at": at})
}

func (s *Store) changeClient(ctx context.Context, id string, set bson.M) error {
	result, err := s.clients.UpdateOne(ctx, bson.M{"_id": id}, bson.M{"$set": set})
	if err != nil {
		return failed("changing a client", err)
	}
	if result.MatchedCount == 0 {
		return oauth.ErrNoClient
	}
	return nil
}
