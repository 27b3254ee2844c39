package oauth

import (
	"context"
	"errors"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/users"
)

// What the tests in package oauth_test, which use the real stores, need of the
// inside.

func (f *Families) Start(ctx context.Context, c clients.Client, uid, email string, scope, audience []string) (Family, string, error) {
	fam := f.begin(ctx, c, users.User{UID: uid, Email: email}, scope, audience)
	token, err := f.tokens.derive(fam)
	if err != nil {
		return fam, token, err
	}
	return fam, token, f.store.CreateFamily(ctx, fam)
}

// Refresh spends a token for a client as it stands in the store.
func (f *Families) Refresh(ctx context.Context, token, clientID, scope string) (Family, string, error) {
	p, err := f.tokens.parseToken(token)
	if err != nil {
		return Family{}, "", &deadToken{reason: refusalReason(err)}
	}
	r := &refresh{families: f, token: p, from: audit.RequestFrom(ctx), ask: &tokenRequest{
		by: clients.Credentials{ID: clientID}, grant: grant{name: clients.GrantRefreshToken}, scope: scope,
	}, end: func(ctx context.Context, dead *deadToken) error {
		_, err := f.store.RevokeFamily(ctx, dead.family.ID, f.now(), dead.reason.String())
		return err
	}}
	successor, err := r.run(ctx)
	return r.family, successor, err
}

func (f *Families) Derive(fam Family) (string, error) { return f.tokens.derive(fam) }

func (f *Families) UseMasters(m *keys.Masters) { f.tokens = newTokenKeys(m, refreshPrefix, "refresh") }

func (f *Families) Primary() string { return f.tokens.primary }

// Refusal is what a refused refresh token was refused for.
type Refusal struct {
	Reason          string
	Reuse           bool
	Presented, Live int64
}

func RefusalOf(err error) (Refusal, bool) {
	var no *deadToken
	if !errors.As(err, &no) {
		return Refusal{}, false
	}
	return Refusal{no.reason.String(), no.reuse, no.presented, no.family.Generation}, true
}
