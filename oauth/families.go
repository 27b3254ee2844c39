package oauth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/keys"
)

// Families starts, refreshes and ends refresh-token families. Safe for
// concurrent use.
type Families struct {
	store    Store
	tokens   *tokenKeys
	settings Settings
	now      func() time.Time
}

// NewFamilies returns the families kept in store, whose tokens are derived
// under masters.
func NewFamilies(store Store, masters *keys.Masters, settings Settings, now func() time.Time) *Families {
	return &Families{store: store, tokens: newTokenKeys(masters), settings: settings, now: now}
}

// purgeGrace is how long an expired family is kept, for clocks that differ.
const purgeGrace = time.Hour

// start begins a family for a user who has just logged in, and returns its
// first refresh token.
func (f *Families) start(ctx context.Context, client Client, uid, email string, scope, audience []string) (Family, string, error) {
	now := f.now().UTC().Truncate(time.Millisecond)
	from := audit.RequestFrom(ctx)
	fam := Family{
		ID: uuid.NewString(), ClientID: client.ID, UserID: uid, Scope: scope, Audience: audience,
		Salt: newSalt(), MasterID: f.tokens.primary,
		AuthTime: now, CreatedAt: now, RotatedAt: now,
		ExpiresAt: now.Add(orDefault(client.RefreshTTL, f.settings.RefreshTTL)),
		FirstIP:   from.IP, FirstUserAgent: from.UserAgent, LastIP: from.IP, LastUserAgent: from.UserAgent,
	}
	if slices.Contains(scope, "email") {
		fam.Email = email
	}
	fam.IdleExpiresAt, fam.PurgeAt = f.lifetimes(client, fam.ExpiresAt, now)
	token, err := f.tokens.derive(fam)
	if err != nil {
		return Family{}, "", err
	}
	return fam, token, f.store.CreateFamily(ctx, fam)
}

// lifetimes returns when a family last used at now expires for want of use,
// and when its record may go: after its last access token has expired as well.
func (f *Families) lifetimes(client Client, expires, now time.Time) (idle, purge time.Time) {
	idle = now.Add(orDefault(client.RefreshIdleTTL, f.settings.RefreshIdleTTL))
	if idle.After(expires) {
		idle = expires
	}
	purge = now.Add(f.settings.AccessTTL)
	if purge.Before(idle) {
		purge = idle
	}
	return idle, purge.Add(purgeGrace)
}

func orDefault(d, def time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return def
}

// refusal says why a refresh token was turned away: a word for the audit log,
// the family where one was found, and the generation presented.
type refusal struct {
	reason    string
	family    Family
	presented int64
	// reuse is set where the refusal ended the family (F3).
	reuse bool
}

func (r *refusal) Error() string { return r.reason }

// maxRaces bounds how often a refresh that lost a race looks again. Whoever
// loses finds the winner's generation at the next look.
const maxRaces = 4

// refresh spends a refresh token: it moves the family on by one generation and
// returns the family and its new live token. The token just spent, presented
// again within the retry window and before its successor was used, yields the
// same successor (F2); any older one ends the family (F3). A *refusal says that
// the token does not count; any other error that the store could not say.
// fits is asked, before anything is changed, whether the request fits the
// family.
func (f *Families) refresh(ctx context.Context, token string, client Client, fits func(Family) error) (Family, string, error) {
	p, err := f.tokens.parse(token)
	if err != nil {
		return Family{}, "", &refusal{reason: refusalReason(err)}
	}
	for range maxRaces {
		fam, err := f.load(ctx, p)
		if err != nil {
			return Family{}, "", err
		}
		if err := f.admit(ctx, fam, p, client); err != nil {
			return Family{}, "", err
		}
		if err := fits(fam); err != nil {
			return Family{}, "", err
		}
		if p.generation >= fam.Generation {
			fam, err = f.rotate(ctx, fam, p, client)
			if errors.Is(err, ErrNotRotated) {
				continue
			}
			if err != nil {
				return Family{}, "", err
			}
		}
		successor, err := f.tokens.derive(fam)
		return fam, successor, err
	}
	return Family{}, "", fmt.Errorf("session %s changed under every one of %d attempts", p.familyID, maxRaces)
}

func refusalReason(err error) string {
	if errors.Is(err, errForged) {
		return "forged_token"
	}
	return "malformed_token"
}

// load finds the family of a token and proves that the token is the family's.
func (f *Families) load(ctx context.Context, p presented) (Family, error) {
	fam, err := f.store.FamilyByID(ctx, p.familyID)
	if errors.Is(err, ErrNoFamily) {
		return Family{}, &refusal{reason: "unknown_session", presented: p.generation}
	}
	if err != nil {
		return Family{}, err
	}
	if err := f.tokens.verify(p, fam); err != nil {
		return Family{}, &refusal{reason: refusalReason(err), presented: p.generation}
	}
	return fam, nil
}

// admit decides whether a token proved to be the family's may be spent.
func (f *Families) admit(ctx context.Context, fam Family, p presented, client Client) error {
	now := f.now()
	no := &refusal{family: fam, presented: p.generation}
	switch {
	case !fam.RevokedAt.IsZero():
		no.reason = "ended_session"
		return no
	case fam.ClientID != client.ID:
		return f.end(ctx, no, "foreign_client")
	case !now.Before(fam.ExpiresAt) || !now.Before(fam.IdleExpiresAt):
		no.reason = "expired_session"
		return no
	case p.generation >= fam.Generation:
		return nil
	case p.generation == fam.Generation-1 && now.Sub(fam.RotatedAt) <= f.settings.RetryWindow && f.settings.RetryWindow > 0:
		return nil
	}
	return f.end(ctx, no, "reused_token")
}

// end revokes the family, durably, and returns the refusal that says so.
func (f *Families) end(ctx context.Context, no *refusal, reason string) error {
	no.reason = reason
	if _, err := f.store.RevokeFamily(ctx, no.family.ID, f.now(), reason); err != nil {
		return err
	}
	no.reuse = true
	return no
}

func (f *Families) rotate(ctx context.Context, fam Family, p presented, client Client) (Family, error) {
	now := f.now().UTC().Truncate(time.Millisecond)
	from := audit.RequestFrom(ctx)
	r := Rotation{
		FamilyID: fam.ID, ClientID: client.ID, Presented: p.generation, MasterID: f.tokens.primary,
		At: now, IP: from.IP, UserAgent: from.UserAgent,
	}
	r.IdleExpiresAt, r.PurgeAt = f.lifetimes(client, fam.ExpiresAt, now)
	return f.store.RotateFamily(ctx, r)
}

// find returns the family of an authentic refresh token of any generation,
// without spending it.
func (f *Families) find(ctx context.Context, token string) (Family, presented, error) {
	p, err := f.tokens.parse(token)
	if err != nil {
		return Family{}, p, &refusal{reason: refusalReason(err)}
	}
	fam, err := f.load(ctx, p)
	return fam, p, err
}

// SessionEnder implements users.Sessions: it ends the families of an account.
type SessionEnder struct {
	Store Store
	Now   func() time.Time
}

// EndSessionsOf ends every live session of the user but except and returns how
// many it ended.
func (e SessionEnder) EndSessionsOf(ctx context.Context, uid, except, reason string) (int, error) {
	return e.Store.RevokeFamiliesOfUser(ctx, uid, except, e.Now(), reason)
}
