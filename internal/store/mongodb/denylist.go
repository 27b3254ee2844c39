package mongodb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

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
	return updateOrInsert(ctx, s.denied, jti, bson.M{"$max": bson.M{"expire_at": expireAt}}, deniedRecord{jti, expireAt})
}

// SpendToken implements oauth.Store.
func (s *Store) SpendToken(ctx context.Context, id string, expireAt time.Time) error {
	return create(ctx, s.denied, deniedRecord{id, expireAt}, oauth.ErrTokenSpent)
}

// TokenDenied implements oauth.Store.
func (s *Store) TokenDenied(ctx context.Context, jti string) (bool, error) {
	denied, err := exists(ctx, s.latest.denied, bson.M{"_id": jti})
	return denied, failed("reading the denylist", err)
}

// DeniedTokens implements store.Store.
func (s *Store) DeniedTokens(ctx context.Context, after string, limit int) ([]store.DeniedToken, error) {
	return page[deniedRecord](ctx, s.denied, after, limit)
}
