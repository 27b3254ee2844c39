package oauth

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/refusal"
)

// refresh is one request to spend a refresh token: the token that was presented,
// the caller, and the state that the checks collect.
type refresh struct {
	families *Families
	// end ends the family of a token that somebody else must have copied (F3).
	end   func(context.Context, *deadToken) error
	ask   *tokenRequest
	token presented
	from  audit.Request

	// attempt has the family as it was before the refresh. After a retry it has the
	// same generation as family.
	attempt
	// The result of the last decision, and at the end the family as it is then.
	client          clients.Client
	scope, audience []string
	family          Family
	// unanswered means that the token is the previous one and that its successor
	// was given to nobody.
	unanswered bool
}

// run spends the token: it advances the family by one generation. If the previous
// token is presented again within the retry window and before its successor was
// used, run returns the same successor (F2). Any older token ends the family (F3).
// The error is a *deadToken or a refusal of the request, or it means that the store
// could not answer.
func (r *refresh) run(ctx context.Context) (successor string, err error) {
	f := r.families
	r.family, err = f.store.RotateFamily(ctx, r.token.familyID, r.ask.by.ID, r.decide)
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

// decide makes the decision on a refresh. The store calls it with the family and
// the client inside the step that rotates the family (see Decide), perhaps more
// than once. So a refresh needs one call to the store, and a client that is
// disabled meanwhile gets no token.
func (r *refresh) decide(fam Family, client clients.Client) (*Rotation, error) {
	r.client = client
	known := fam // as its client knows it
	err := r.check(&fam, &known)
	var rotation *Rotation
	var after Family
	var dead *deadToken
	switch {
	case err == nil && !r.retries(&fam):
		rotation = r.rotation(&fam)
		after = rotation.Apply(fam)
	case r.ask.proof == nil:
	case err == nil, errors.As(err, &dead) && dead.reuse:
		// A proof that was used before ends nothing: whoever copied a whole request
		// has no key.
		rotation = &Rotation{Stays: true, Spends: spending(r.ask.proof)}
	}
	r.families.unanswered.decided(&r.attempt, known, after)
	return rotation, err
}

// check runs all checks. Their order matters: the caller learns about a token only
// what it has proved a right to know.
func (r *refresh) check(fam, known *Family) error {
	r.unanswered = false
	if err := r.checkClient(); err != nil {
		return err
	}
	if err := r.families.tokens.prove(*fam, r.token); err != nil {
		return err
	}
	if err := r.checkKey(fam); err != nil {
		return err
	}
	if r.token.generation == fam.Generation-1 {
		*known, r.unanswered = r.families.unanswered.before(*fam)
	}
	if err := r.checkFamily(fam); err != nil {
		return err
	}
	return r.checkReach(fam)
}

// checkClient returns an error unless the client authenticates and may refresh.
func (r *refresh) checkClient() error {
	if e := r.ask.by.Prove(r.client); e != nil {
		return e
	}
	if e := r.ask.grant.servedTo(r.client, r.families.settings); e != nil {
		return e
	}
	return nil
}

// checkKey returns an error unless the caller proves possession of the key that the
// family is bound to. Somebody who has the token but not the key learns nothing
// about the family and cannot end it (F8).
func (r *refresh) checkKey(fam *Family) error {
	var reason audit.Reason
	switch {
	case fam.JKT == "":
		if e := r.ask.provesKey(r.client); e != nil {
			return e
		}
		return nil
	case r.ask.proof == nil:
		reason = audit.ReasonNoProof
	case r.ask.proof.Thumbprint != fam.JKT:
		reason = audit.ReasonForeignProofKey
	default:
		return nil
	}
	return &deadToken{reason: reason, family: *fam, presented: r.token.generation, unproven: true}
}

// checkFamily returns an error unless the token, proved to be the family's, may be
// spent.
func (r *refresh) checkFamily(fam *Family) error {
	confirmed, window := r.families.confirmed(), cmp.Or(r.client.RetryWindow, r.families.settings.RetryWindow)
	alive, confirmedAlive := fam.lives(r.families.now()), fam.lives(confirmed)
	var reason audit.Reason
	reuse := false
	switch {
	case !fam.RevokedAt.IsZero():
		reason = audit.ReasonEndedSession
	case fam.ClientID != r.client.ID:
		// The first-party routes know no other client's tokens; who sends one there
		// has used the wrong address.
		reason, reuse = audit.ReasonForeignClient, !r.ask.by.Named
	case r.ask.by.Named && !r.client.Public && (fam.Authenticated || fam.LoginID != ""):
		// A session begun by a code has a log-in, also where it is older than the mark.
		reason = audit.ReasonUnauthenticated
	case !alive && !confirmedAlive:
		reason = audit.ReasonExpiredSession
	case !alive || !confirmedAlive:
		// A refusal would make the client discard its token because of a wrong
		// clock (T1).
		return refusal.Undecided(audit.ReasonClockUnconfirmed, nil)
	case r.token.generation >= fam.Generation || r.unanswered:
		return nil
	case r.token.generation == fam.Generation-1 && window > 0 && r.families.ahead(fam.RotatedAt):
		return refusal.Undecided(audit.ReasonClockUnconfirmed, nil)
	case r.token.generation == fam.Generation-1 && window.Open(confirmed.Sub(fam.RotatedAt)):
		return nil
	default:
		reason, reuse = audit.ReasonReusedToken, true
	}
	return &deadToken{reason: reason, reuse: reuse, family: *fam, presented: r.token.generation}
}

// checkReach sets the scope and the audience: the requested part of what the family
// has and what was not withdrawn from its client since the login (F7).
func (r *refresh) checkReach(fam *Family) error {
	var e *refusal.Error
	scope := kept(fam.Scope, r.client.Scope)
	if r.scope, e = clients.Narrow(r.ask.scope, scope, scope); e != nil {
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

// withdrawn reports whether the client may no longer use any of the family's
// resource servers. Keyturn's own audience, the issuer, does not count.
func (r *refresh) withdrawn(fam *Family) bool {
	own := r.families.settings.Issuer
	if slices.Contains(fam.Audience, own) && slices.Contains(r.client.Audience, own) {
		return false
	}
	servers := slices.DeleteFunc(slices.Clone(fam.Audience), func(a string) bool { return a == own })
	return len(servers) > 0 && len(kept(servers, r.client.Audience)) == 0
}

// retries reports whether a token that passed the checks is the previous one, so
// that the same successor is returned again.
func (r *refresh) retries(fam *Family) bool {
	return r.token.generation < fam.Generation && !r.unanswered
}

// retried reports, after run, whether the token had been spent before.
func (r *refresh) retried() bool { return r.before.Generation == r.family.Generation }

func (r *refresh) rotation(fam *Family) *Rotation {
	// A retry would be too late for its window if the spending was dated by a clock that
	// is behind.
	latest, end := r.families.latest(), fam.ExpiresAt
	rotation := &Rotation{
		Presented: r.token.generation, MasterID: r.families.tokens.primary, At: latest, IP: r.from.IP, UserAgent: r.from.UserAgent,
	}
	if limit := r.families.end(r.client, latest); r.families.ahead(fam.CreatedAt) && limit.Before(end) {
		end, rotation.ExpiresAt = limit, limit
	}
	rotation.IdleExpiresAt, rotation.PurgeAt = r.families.lifetimes(r.client, end, latest)
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

// tell fills in the audit event; for a reused token that includes both of its
// holders. It returns the refusal for the caller, which is the same for every
// invalid token, except that a missing proof and a store error are named.
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
