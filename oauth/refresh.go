package oauth

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/refusal"
)

// refresh is one refresh token on the way to its successor: what was presented,
// by whom, and what is found of it on the way.
type refresh struct {
	families *Families
	// end ends the family of a token that came from who must not have it (F3).
	end   func(context.Context, *deadToken) error
	ask   *tokenRequest
	token presented
	from  audit.Request

	// attempt knows the family as it stood before; the same after a retry.
	attempt
	// What the last decision found, and, in the end, the family as it then
	// stands.
	client          Client
	scope, audience []string
	family          Family
	// unanswered says that the token is the one just spent and that nobody was
	// given its successor; before is then the family that its client knows.
	unanswered bool
	known      Family
}

// run spends the token: it moves the family on by one generation. The token just
// spent, presented again within the retry window and before its successor was
// used, yields the same successor (F2); any older one ends the family (F3). The
// error is a *deadToken, a refusal of what was asked for, or means that the
// store could not say.
func (r *refresh) run(ctx context.Context) (successor string, err error) {
	f := r.families
	r.family, err = f.store.RotateFamily(ctx, r.token.familyID, r.ask.by.id, r.decide)
	if p := r.ask.proof; err == nil && p != nil && r.retried() {
		// The store spent nothing, since it had nothing to write.
		err = f.store.DenyToken(ctx, spending(p))
	}
	if errors.Is(err, ErrTokenDenied) {
		return "", proofSpent(err)
	}
	if err != nil {
		f.unanswered.abandon(&r.attempt)
		var dead *deadToken
		if errors.As(err, &dead) && dead.reuse {
			dead.unended = r.end(ctx, dead)
		}
		return "", err
	}
	return f.tokens.derive(r.family)
}

// decide is the one decision on a refresh. The store shows it the family and the
// client inside the step that moves the family on (see Decide), perhaps more than
// once: so a refresh costs one visit to the store, and a client that is disabled
// meanwhile gets nothing.
func (r *refresh) decide(fam Family, client Client) (*Rotation, error) {
	r.client = client
	err := r.check(fam)
	var rotation *Rotation
	var after Family
	if err == nil && !r.retries(fam) {
		rotation = r.rotation(fam)
		after = rotation.Apply(fam)
	}
	r.families.unanswered.decided(&r.attempt, r.known, after)
	return rotation, err
}

// check has all checks in their order: nobody learns of a token what they could
// not prove to be told.
func (r *refresh) check(fam Family) error {
	r.known, r.unanswered = fam, false
	if err := r.checkClient(); err != nil {
		return err
	}
	if err := r.families.tokens.prove(fam, r.token); err != nil {
		return err
	}
	if err := r.checkKey(fam); err != nil {
		return err
	}
	if r.token.generation == fam.Generation-1 {
		r.known, r.unanswered = r.families.unanswered.before(fam)
	}
	if err := r.checkFamily(fam); err != nil {
		return err
	}
	return r.checkReach(fam)
}

// checkClient lets on a client that proves itself and may refresh.
func (r *refresh) checkClient() error {
	if e := r.ask.by.prove(r.client); e != nil {
		return e
	}
	if e := r.ask.grant.servedTo(r.client, r.families.settings); e != nil {
		return e
	}
	return nil
}

// checkKey lets on who proves the key that the family is bound to. Whoever has its
// token without that learns nothing of the family, and ends nothing (F8).
func (r *refresh) checkKey(fam Family) error {
	unproven := &deadToken{family: fam, presented: r.token.generation, unproven: true}
	switch {
	case fam.JKT == "":
		if e := r.ask.provesKey(r.client); e != nil {
			return e
		}
		return nil
	case r.ask.proof == nil:
		unproven.reason = audit.ReasonNoProof
	case r.ask.proof.Thumbprint != fam.JKT:
		unproven.reason = audit.ReasonForeignProofKey
	default:
		return nil
	}
	return unproven
}

// checkFamily lets on a token, proved to be the family's, that may be spent.
func (r *refresh) checkFamily(fam Family) error {
	confirmed, window := r.families.confirmed(), cmp.Or(r.client.RetryWindow, r.families.settings.RetryWindow)
	alive, confirmedAlive := fam.lives(r.families.now()), fam.lives(confirmed)
	dead := &deadToken{family: fam, presented: r.token.generation}
	switch {
	case !fam.RevokedAt.IsZero():
		dead.reason = audit.ReasonEndedSession
	case fam.ClientID != r.client.ID:
		// The first-party routes know no other client's tokens; who sends one there
		// has mistaken the address.
		dead.reason, dead.reuse = audit.ReasonForeignClient, !r.ask.by.named
	case !alive && !confirmedAlive:
		dead.reason = audit.ReasonExpiredSession
	case !alive || !confirmedAlive:
		// The client would throw its token away for a clock that is wrong (T1).
		return refusal.Undecided(audit.ReasonClockUnconfirmed, nil)
	case r.token.generation >= fam.Generation || r.unanswered:
		return nil
	case r.token.generation == fam.Generation-1 && window.open(confirmed.Sub(fam.RotatedAt)):
		return nil
	default:
		dead.reason, dead.reuse = audit.ReasonReusedToken, true
	}
	return dead
}

// checkReach finds the scope and the audience: what was asked for, of what the
// family has and was not taken from its client since the login (F7).
func (r *refresh) checkReach(fam Family) error {
	var e *refusal.Error
	scope := kept(fam.Scope, r.client.Scope)
	if r.scope, e = narrow(r.ask.scope, scope, scope); e != nil {
		return e
	}
	audience := kept(fam.Audience, r.families.settings.reach(r.client, r.scope))
	if r.withdrawn(fam) {
		return refusal.New(refusal.BadGrant, audit.ReasonAudienceWithdrawn, "The client may have no more tokens for what this session was for.")
	}
	if r.audience, e = target(r.ask.resources, audience); e != nil {
		return e
	}
	return nil
}

// withdrawn reports whether nothing is left of the resource servers that the family
// is for; what is Keyturn's own does not count.
func (r *refresh) withdrawn(fam Family) bool {
	own := r.families.settings.Issuer
	if slices.Contains(fam.Audience, own) && slices.Contains(r.client.Audience, own) {
		return false
	}
	servers := slices.DeleteFunc(slices.Clone(fam.Audience), func(a string) bool { return a == own })
	return len(servers) > 0 && len(kept(servers, r.client.Audience)) == 0
}

// retries reports whether the token of a family that let it on is the one just
// spent, and its successor is told again.
func (r *refresh) retries(fam Family) bool {
	return r.token.generation < fam.Generation && !r.unanswered
}

// retried reports, once it ran, whether the token had been spent before.
func (r *refresh) retried() bool { return r.before.Generation == r.family.Generation }

func (r *refresh) rotation(fam Family) *Rotation {
	now := r.families.now().UTC().Truncate(time.Millisecond)
	rotation := &Rotation{
		Presented: r.token.generation, MasterID: r.families.tokens.primary, At: now, IP: r.from.IP, UserAgent: r.from.UserAgent,
	}
	rotation.IdleExpiresAt, rotation.PurgeAt = r.families.lifetimes(r.client, fam.ExpiresAt, r.families.latest())
	if p := r.ask.proof; p != nil {
		rotation.Spends = spending(p)
	}
	return rotation
}

// deadToken says why a refresh token does not count: a reason for the audit log,
// the family where one was found, and the generation presented.
type deadToken struct {
	reason    audit.Reason
	family    Family
	presented int64 // -1 if it is a code that was
	// unproven is set where the token came without the key that it is bound to.
	unproven bool
	// reuse is set where the token ends the family (F3); unended is why the
	// store could not end it.
	reuse   bool
	unended error
}

func (d *deadToken) Error() string { return d.reason.String() }

// tell fills in what the audit log is to know, of both sides that hold a token
// where it was reused, and returns what the caller is told: the same of every
// token that does not count.
func (d *deadToken) tell(event *audit.Event) *refusal.Error {
	if !d.family.RevokedAt.IsZero() {
		event.Detail = "the session was ended before: " + d.family.RevokeReason
	}
	if d.family.ID != "" {
		event.UserID, event.SessionID = d.family.UserID, d.family.ID
		if event.HasGeneration = d.presented >= 0; event.HasGeneration {
			event.Generation, event.Presented = d.family.Generation, d.presented
		}
	}
	if d.reuse || d.unproven {
		if event.Action = audit.TokenReuse; d.unproven {
			event.Action = audit.TokenUnproven
		}
		event.Previous = audit.Use{At: d.family.RotatedAt, IP: d.family.LastIP, UserAgent: d.family.LastUserAgent}
	}
	if d.unended != nil {
		if !decision.Concluded(d.unended) {
			event.Detail = d.reason.String() + ": the session is still to be ended"
		}
		return refusal.Undecided(audit.ReasonStore, d.unended)
	}
	if d.reason == audit.ReasonNoProof {
		return refusal.New(refusal.BadProof, d.reason, "The refresh token is bound to a key: send a DPoP proof made with it.")
	}
	return refusal.New(refusal.BadGrant, d.reason, "")
}
