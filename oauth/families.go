package oauth

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/users"
)

// Families starts, refreshes and ends refresh-token families. Safe for
// concurrent use.
type Families struct {
	store  Store
	tokens *tokenKeys
	// cookies are the tokens of sessions that a browser has, codes the grants on
	// their way to a session, pushes the requests for one, and challenges the log-ins
	// whose second factor is due.
	cookies    *tokenKeys
	codes      *sealer
	pushes     *sealer
	challenges *sealer
	settings   Settings
	now        func() time.Time
	// confirmed is now as elapsed time confirms it: what ends a session for good
	// goes by it (T1).
	confirmed  func() time.Time
	unanswered unanswered
}

// NewFamilies returns the families kept in store, whose tokens are derived
// under masters. now is the wall clock; confirmed tells the time that no wrong
// clock moves, in case it is one.
func NewFamilies(store Store, masters *keys.Masters, settings Settings, now, confirmed func() time.Time) *Families {
	return &Families{
		store: store, tokens: newTokenKeys(masters, refreshPrefix, "refresh"), cookies: newTokenKeys(masters, browserPrefix, "browser"),
		codes: newSealer(masters, codePrefix, "code"), pushes: newSealer(masters, requestURIPrefix, "par"), challenges: newSealer(masters, challengePrefix, "challenge"), settings: settings, now: now, confirmed: confirmed,
	}
}

// purgeGrace is how long an expired family is kept, to allow for clock
// differences.
const purgeGrace = time.Hour

// purgeSteps is the number of steps that the idle lifetime is divided into.
// PurgeAt is rounded up to the next step, so that most refreshes leave it and its
// index unchanged.
const purgeSteps = 8

// begin returns a family for a user who has just logged in. It is still to be stored.
func (f *Families) begin(ctx context.Context, client clients.Client, user users.User, scope, audience []string) Family {
	now, latest := f.now().UTC().Truncate(time.Millisecond), f.latest()
	from := audit.RequestFrom(ctx)
	fam := Family{
		ID: uuid.NewString(), ClientID: client.ID, UserID: user.UID, Claims: user.TokenClaims(), Scope: scope, Audience: audience,
		TellEnd: client.BackchannelLogoutURI != "", Salt: newSalt(), MasterID: f.tokens.primary,
		AuthTime: now, CreatedAt: now, RotatedAt: now,
		ExpiresAt: f.end(client, latest),
		FirstIP:   from.IP, FirstUserAgent: from.UserAgent, LastIP: from.IP, LastUserAgent: from.UserAgent,
	}
	if slices.Contains(scope, "email") {
		fam.Email = user.Email
	}
	fam.IdleExpiresAt, fam.PurgeAt = f.lifetimes(client, fam.ExpiresAt, latest)
	return fam
}

// latest returns the later of the two clocks' times. Lifetimes start at it: one
// that started by a clock that was behind would be over once the clock was
// corrected (T1).
func (f *Families) latest() time.Time {
	now, confirmed := f.now(), f.confirmed()
	if confirmed.After(now) {
		now = confirmed
	}
	return now.UTC().Truncate(time.Millisecond)
}

// ahead reports whether t is later than a right clock can have been: whoever wrote it
// had one that was ahead, and what it began would last for as long as it was (T1).
func (f *Families) ahead(t time.Time) bool {
	return t.After(f.latest().Add(f.settings.ClockSkew))
}

// lifetimes returns when a family last used at now expires because it is not used,
// and when its record may be removed, which is after its last access token has
// expired.
func (f *Families) lifetimes(client clients.Client, expires, now time.Time) (idle, purge time.Time) {
	idle = now.Add(cmp.Or(client.RefreshIdleTTL, f.settings.RefreshIdleTTL))
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

// end returns when a family that began at now expires, however much it is used.
func (f *Families) end(client clients.Client, now time.Time) time.Time {
	return now.Add(cmp.Or(client.RefreshTTL, f.settings.RefreshTTL))
}

// prove checks that a token is the family's, which may be the zero Family.
func (k *tokenKeys) prove(fam Family, p presented) error {
	if fam.ID == "" {
		return &deadToken{reason: audit.ReasonUnknownSession, presented: p.generation}
	}
	if err := k.verify(p, fam); err != nil {
		return &deadToken{reason: refusalReason(err), presented: p.generation}
	}
	return nil
}

func refusalReason(err error) audit.Reason {
	if errors.Is(err, errForged) {
		return audit.ReasonForgedToken
	}
	return audit.ReasonMalformedToken
}

// find returns the family of an authentic refresh token of any generation,
// without spending it.
func (f *Families) find(ctx context.Context, token string) (Family, presented, error) {
	return f.findBy(ctx, f.tokens, token)
}

// findBy is find for a token under those keys.
func (f *Families) findBy(ctx context.Context, keys *tokenKeys, token string) (Family, presented, error) {
	p, err := keys.parseToken(token)
	if err != nil {
		return Family{}, p, &deadToken{reason: refusalReason(err)}
	}
	fam, err := f.store.FamilyByID(ctx, p.familyID)
	if err != nil && !errors.Is(err, ErrNoFamily) {
		return Family{}, p, err
	}
	if err := keys.prove(fam, p); err != nil {
		return Family{}, p, err
	}
	return fam, p, nil
}
