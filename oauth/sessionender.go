package oauth

import (
	"context"
	"errors"
	"time"

	"github.com/keyturn/keyturn/users"
)

// SessionEnder implements users.Sessions over the families of an account.
type SessionEnder struct {
	Store Store
	Now   func() time.Time
}

// SetClaimsOf has every live session of the user bear claims from its next
// refresh on, and returns how many it changed.
func (e SessionEnder) SetClaimsOf(ctx context.Context, uid, claims string) (int, error) {
	return e.Store.SetFamilyClaims(ctx, uid, claims)
}

// SetEmailOf has every live session of the user that was granted the scope email
// bear the address from its next refresh on, and returns how many it changed.
func (e SessionEnder) SetEmailOf(ctx context.Context, uid, email string) (int, error) {
	return e.Store.SetFamilyEmail(ctx, uid, email)
}

// EndSessionsOf ends every live session of the user but except and returns how
// many it ended.
func (e SessionEnder) EndSessionsOf(ctx context.Context, uid, except, reason string) (int, error) {
	return e.Store.RevokeFamiliesOfUser(ctx, uid, except, e.Now(), reason)
}

// SessionOf reports whether the session id, which must be one of the user's,
// lives: users.ErrNoSession if it is not.
func (e SessionEnder) SessionOf(ctx context.Context, uid, id string) (bool, error) {
	f, err := e.Store.FamilyByID(ctx, id)
	if errors.Is(err, ErrNoFamily) || err == nil && f.UserID != uid {
		return false, users.ErrNoSession
	}
	now := e.Now()
	return err == nil && f.RevokedAt.IsZero() && now.Before(f.ExpiresAt) && now.Before(f.IdleExpiresAt), err
}

// EndSession ends the session id and reports whether this call did.
func (e SessionEnder) EndSession(ctx context.Context, id, reason string) (bool, error) {
	return e.Store.RevokeFamily(ctx, id, e.Now(), reason)
}
