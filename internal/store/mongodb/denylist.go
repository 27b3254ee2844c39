package mongodb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/oauth"
)

type deniedRecord struct {
	JTI           string    `bson:"_id"`
	ExpireAt      time.Time `bson:"expire_at"`
	decision.Held `bson:",inline"`
}

func (r deniedRecord) domain() oauth.DeniedToken { return oauth.DeniedToken(r) }

// DenyToken implements oauth.Store.
func (s *Store) DenyToken(ctx context.Context, d oauth.DeniedToken) error {
	return create(ctx, s.denied, deniedRecord(d), oauth.ErrTokenDenied)
}

// TokenDenied implements oauth.Store.
func (s *Store) TokenDenied(ctx context.Context, jti string) (bool, error) {
	denied, err := exists(ctx, s.latest.denied, bson.M{"_id": jti})
	return denied, failed("reading the denylist", err)
}

// HeldDenied implements oauth.Store.
func (s *Store) HeldDenied(ctx context.Context, jti string) (oauth.DeniedToken, error) {
	return one[deniedRecord](s.latest.denied.FindOne(ctx, bson.M{"_id": jti}), "reading the denylist", oauth.ErrDeniedChanged)
}

// HoldDenied implements oauth.Store.
func (s *Store) HoldDenied(ctx context.Context, seen, next oauth.DeniedToken) error {
	next.Version = 0 // as for families, the slot's id identifies the state
	held, err := replaced(ctx, s.denied, held(seen.JTI, seen.Held), deniedRecord(seen), deniedRecord(next))
	if err == nil && !held {
		return oauth.ErrDeniedChanged
	}
	return failed("changing the denylist", err)
}

// PendingDenied implements oauth.Store.
func (s *Store) PendingDenied(ctx context.Context, limit int) ([]oauth.DeniedToken, error) {
	return pending[deniedRecord](ctx, s.denied, limit)
}

// DeniedTokens implements store.Store.
func (s *Store) DeniedTokens(ctx context.Context, after string, limit int) ([]oauth.DeniedToken, error) {
	return page[deniedRecord](ctx, s.latest.denied, after, limit)
}
