package mongodb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/oauth"
)

type deniedRecord struct {
	JTI      string    `bson:"_id"`
	ExpireAt time.Time `bson:"expire_at"`
}

func (r deniedRecord) domain() store.DeniedToken { return store.DeniedToken(r) }

// DenyToken implements oauth.Store. Of several times the latest counts.
func (s *Store) DenyToken(ctx context.Context, jti string, expireAt time.Time) error {
	err := changeOrInsert(func() (bool, error) {
		return found(s.denied.UpdateOne(ctx, bson.M{"_id": jti}, bson.M{"$max": bson.M{"expire_at": expireAt}}))
	}, func() error {
		_, err := s.denied.InsertOne(ctx, deniedRecord{jti, expireAt})
		return err
	})
	return failed("denying a token", err)
}

// SpendToken implements oauth.Store.
func (s *Store) SpendToken(ctx context.Context, id string, expireAt time.Time) error {
	_, err := s.denied.InsertOne(ctx, deniedRecord{id, expireAt})
	if mongo.IsDuplicateKeyError(err) {
		return oauth.ErrTokenSpent
	}
	return failed("spending a token", err)
}

// TokenDenied implements oauth.Store.
func (s *Store) TokenDenied(ctx context.Context, jti string) (bool, error) {
	denied, err := exists(ctx, s.latest.denied, bson.M{"_id": jti})
	return denied, failed("reading the denylist", err)
}

// DeniedTokens implements store.Store.
func (s *Store) DeniedTokens(ctx context.Context, after string, limit int) ([]store.DeniedToken, error) {
	found, err := page[deniedRecord](ctx, s.denied, after, limit)
	return found, failed("listing the denylist", err)
}
