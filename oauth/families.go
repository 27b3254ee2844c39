package oauth

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/users"
)

// Families starts, refreshes and ends refresh-token families. Safe for
// concurrent use.
type Families struct {
	store    Store
	tokens   *tokenKeys
	settings Settings
	now      func() time.Time
	doubts   doubts
}

// NewFamilies returns the families kept in store, whose tokens are derived
// under masters.
func NewFamilies(store Store, masters *keys.Masters, settings Settings, now func() time.Time) *Families {
	return &Families{store: store, tokens: newTokenKeys(masters), settings: settings, now: now}
}

// purgeGrace is how long an expired family is kept, for clocks that differ.
const purgeGrace = time.Hour

// purgeSteps is how many steps the idle lifetime has for PurgeAt, which is
// rounded up to the next: most refreshes then leave it, and its index, alone.
const purgeSteps = 8

// begin returns a family for a user who has just logged in, and its first refresh
// token. It is still to be stored.
func (f *Families) begin(ctx context.Context, client Client, user users.User, scope, audience []string) (Family, string, error) {
	now := f.now().UTC().Truncate(time.Millisecond)
	from := audit.RequestFrom(ctx)
	fam := Family{
		ID: uuid.NewString(), ClientID: client.ID, UserID: user.UID, Claims: user.TokenClaims(), Scope: scope, Audience: audience,
		Salt: newSalt(), MasterID: f.tokens.primary,
		AuthTime: now, CreatedAt: now, RotatedAt: now,
		ExpiresAt: now.Add(orDefault(client.RefreshTTL, f.settings.RefreshTTL)),
		FirstIP:   from.IP, FirstUserAgent: from.UserAgent, LastIP: from.IP, LastUserAgent: from.UserAgent,
	}
	if slices.Contains(scope, "email") {
		fam.Email = user.Email
	}
	fam.IdleExpiresAt, fam.PurgeAt = f.lifetimes(client, fam.ExpiresAt, now)
	token, err := f.tokens.derive(fam)
	return fam, token, err
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
	step := f.settings.RefreshIdleTTL / purgeSteps
	return idle, purge.Add(purgeGrace).Truncate(step).Add(step)
}

func orDefault(d, def time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return def
}

// deadToken says why a refresh token was turned away: a reason for the audit log,
// the family where one was found, and the generation presented.
type deadToken struct {
	reason    audit.Reason
	family    Family
	presented int64
	// reuse is set where the refusal ends the family (F3); unended is why the
	// store could not end it.
	reuse   bool
	unended error
}

func (r *deadToken) Error() string { return r.reason.String() }

// request is what a refresh asks for beside its token: by whom, and what must
// fit. Both functions are called inside the store's step, before anything is
// changed: admits with the client that clientID names (its zero value if there
// is none), fits with both once the token is known to be good.
type request struct {
	clientID string
	admits   func(Client) error
	fits     func(Family, Client) error
	// end ends the family of a token that came from who must not have it,
	// durably, also for a thief who hangs up.
	end func(context.Context, *deadToken) error
}

// refreshed is what a refresh yields: the family as it now stands, its live
// token, and the client. The attempt knows the family as it stood before; the
// same after a retry.
type refreshed struct {
	attempt
	family Family
	token  string
	client Client
}

// retry reports whether the token had been spent before.
func (r *refreshed) retry() bool { return r.before.Generation == r.family.Generation }

// refresh spends a refresh token: it moves the family on by one generation. The
// token just spent, presented again within the retry window and before its
// successor was used, yields the same successor (F2); any older one ends the
// family (F3). A *deadToken says that the token does not count, an error of
// admits or fits is returned as it is; any other means that the store could not
// say.
func (f *Families) refresh(ctx context.Context, p presented, q request) (*refreshed, error) {
	out := &refreshed{}
	var err error
	out.family, err = f.store.RotateFamily(ctx, p.familyID, q.clientID, func(fam Family, client Client) (*Rotation, error) {
		r, before, err := f.judge(ctx, fam, client, p, q)
		out.client = client
		var after Family
		if r != nil {
			after = r.Apply(fam)
		}
		f.doubts.decided(&out.attempt, before, after)
		return r, err
	})
	if err != nil {
		f.doubts.abandon(&out.attempt)
		var no *deadToken
		if errors.As(err, &no) && no.reuse {
			no.unended = q.end(ctx, no)
		}
		return nil, err
	}
	out.token, err = f.tokens.derive(out.family)
	return out, err
}

// judge decides on a refresh: the rotation to be made, or none for a retry, and
// the family that its client knows.
func (f *Families) judge(ctx context.Context, fam Family, client Client, p presented, q request) (*Rotation, Family, error) {
	if err := q.admits(client); err != nil {
		return nil, fam, err
	}
	if err := f.prove(fam, p); err != nil {
		return nil, fam, err
	}
	before, unanswered := fam, false
	if p.generation == fam.Generation-1 {
		before, unanswered = f.doubts.before(fam)
	}
	if err := f.admit(fam, p, client, unanswered); err != nil {
		return nil, fam, err
	}
	if err := q.fits(fam, client); err != nil {
		return nil, fam, err
	}
	if p.generation < fam.Generation && !unanswered {
		return nil, fam, nil // a retry
	}
	return f.rotation(ctx, fam, p, client), before, nil
}

func refusalReason(err error) audit.Reason {
	if errors.Is(err, errForged) {
		return audit.ReasonForgedToken
	}
	return audit.ReasonMalformedToken
}

// prove checks that a token is the family's, which may be the zero Family.
func (f *Families) prove(fam Family, p presented) error {
	if fam.ID == "" {
		return &deadToken{reason: audit.ReasonUnknownSession, presented: p.generation}
	}
	if err := f.tokens.verify(p, fam); err != nil {
		return &deadToken{reason: refusalReason(err), presented: p.generation}
	}
	return nil
}

// admit decides whether a token proved to be the family's may be spent;
// unanswered says that nobody was given its successor.
func (f *Families) admit(fam Family, p presented, client Client, unanswered bool) error {
	now := f.now()
	var reason audit.Reason
	reuse := false
	switch {
	case !fam.RevokedAt.IsZero():
		reason = audit.ReasonEndedSession
	case fam.ClientID != client.ID:
		reason, reuse = audit.ReasonForeignClient, true
	case !now.Before(fam.ExpiresAt) || !now.Before(fam.IdleExpiresAt):
		reason = audit.ReasonExpiredSession
	case p.generation >= fam.Generation || unanswered:
		return nil
	case p.generation == fam.Generation-1 && now.Sub(fam.RotatedAt) <= f.settings.RetryWindow && f.settings.RetryWindow > 0:
		return nil
	default:
		reason, reuse = audit.ReasonReusedToken, true
	}
	return &deadToken{reason: reason, family: fam, presented: p.generation, reuse: reuse}
}

func (f *Families) rotation(ctx context.Context, fam Family, p presented, client Client) *Rotation {
	now := f.now().UTC().Truncate(time.Millisecond)
	from := audit.RequestFrom(ctx)
	r := &Rotation{Presented: p.generation, MasterID: f.tokens.primary, At: now, IP: from.IP, UserAgent: from.UserAgent}
	r.IdleExpiresAt, r.PurgeAt = f.lifetimes(client, fam.ExpiresAt, now)
	return r
}

// find returns the family of an authentic refresh token of any generation,
// without spending it.
func (f *Families) find(ctx context.Context, token string) (Family, presented, error) {
	p, err := f.tokens.parseRefreshToken(token)
	if err != nil {
		return Family{}, p, &deadToken{reason: refusalReason(err)}
	}
	fam, err := f.store.FamilyByID(ctx, p.familyID)
	if err != nil && !errors.Is(err, ErrNoFamily) {
		return Family{}, p, err
	}
	if err := f.prove(fam, p); err != nil {
		return Family{}, p, err
	}
	return fam, p, nil
}
