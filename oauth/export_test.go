package oauth

import (
	"context"
	"errors"

	"github.com/keyturn/keyturn/keys"
)

// What the tests in package oauth_test, which use the real stores, need of the
// inside.

func (f *Families) Start(ctx context.Context, c Client, uid, email string, scope, audience []string) (Family, string, error) {
	return f.start(ctx, c, uid, email, scope, audience)
}

// Refresh spends a token for a client as it stands in the store.
func (f *Families) Refresh(ctx context.Context, token, clientID string, fits func(Family) error) (Family, string, error) {
	p, err := f.tokens.parse(token)
	if err != nil {
		return Family{}, "", &refusal{reason: refusalReason(err)}
	}
	admits := func(c Client) error {
		if c.ID == "" {
			return ErrNoClient
		}
		return nil
	}
	out, err := f.refresh(ctx, p, request{clientID: clientID, admits: admits, fits: fits})
	return out.family, out.token, err
}

func (f *Families) Derive(fam Family) (string, error) { return f.tokens.derive(fam) }

func (f *Families) UseMasters(m *keys.Masters) { f.tokens = newTokenKeys(m) }

func (f *Families) Primary() string { return f.tokens.primary }

// Refusal is what a refused refresh token was refused for.
type Refusal struct {
	Reason          string
	Reuse           bool
	Presented, Live int64
}

func RefusalOf(err error) (Refusal, bool) {
	var no *refusal
	if !errors.As(err, &no) {
		return Refusal{}, false
	}
	return Refusal{no.reason, no.reuse, no.presented, no.family.Generation}, true
}

// Within is a refresh's test of the scope asked for.
func Within(asked string) func(Family) error {
	return func(f Family) error {
		if _, e := narrow(asked, f.Scope); e != nil {
			return e
		}
		return nil
	}
}
