package oauth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/users"
)

// authorizationCodeGrant serves RFC 6749 §4.1.3, with RFC 7636.
var authorizationCodeGrant = grant{name: clients.GrantAuthorizationCode, decide: (*Service).exchangeCode}

// exchangeCode begins the session that a code grants. Nobody learns of a code what
// they could not prove to be told, and who has not the verifier ends nothing.
func (s *Service) exchangeCode(ctx context.Context, q *tokenRequest) (issued, *refusal.Error) {
	switch {
	case q.code == "":
		return issued{}, refusal.New(refusal.Malformed, audit.ReasonNoCode, "The parameter code is missing.")
	case q.redirectURI == "":
		return issued{}, refusal.New(refusal.Malformed, audit.ReasonRedirectURI, "The parameter redirect_uri is missing.")
	case q.verifier == "":
		return issued{}, refusal.New(refusal.Malformed, audit.ReasonVerifier, "The parameter code_verifier is missing.")
	}
	var c code
	if err := s.families.codes.open(q.code, &c); err != nil {
		return issued{}, codeRefused(audit.ReasonBadCode)
	}
	q.event.UserID, q.event.SessionID = c.UserID, c.SessionID
	redirect := sha256.Sum256([]byte(q.redirectURI))
	switch {
	case c.ClientID != q.client.ID:
		return issued{}, codeRefused(audit.ReasonForeignClient)
	case subtle.ConstantTimeCompare(redirect[:], c.Redirect) != 1:
		return issued{}, codeRefused(audit.ReasonRedirectURI)
	case !c.verifies(q.verifier):
		return issued{}, codeRefused(audit.ReasonVerifier)
	case c.JKT != "" && q.proof == nil:
		return issued{}, refusal.New(refusal.BadProof, audit.ReasonNoProof, "The code is bound to a key: send a DPoP proof.")
	case c.JKT != "" && c.JKT != q.proof.Thumbprint:
		return issued{}, codeRefused(audit.ReasonForeignProofKey)
	}
	return s.redeem(ctx, q, c)
}

// redeem begins the session of a code that counts, unless one has been begun.
func (s *Service) redeem(ctx context.Context, q *tokenRequest, c code) (issued, *refusal.Error) {
	family, err := s.begunBy(ctx, c)
	if err == nil {
		// A proof that was used before ends nothing, as at a refresh.
		if e := s.spendProof(ctx, q.proof); e != nil {
			return issued{}, e
		}
		return issued{}, s.endRedeemed(ctx, q, family)
	}
	if !errors.Is(err, ErrNoFamily) {
		return issued{}, refusal.Undecided(audit.ReasonStore, err)
	}
	if s.families.latest().UnixMilli() >= c.Expires || s.families.ahead(time.UnixMilli(c.Expires).Add(-codeTTL)) {
		return issued{}, codeRefused(audit.ReasonExpiredCode)
	}
	scope := kept(c.Scope, q.client.Scope)
	audience := kept(c.Audience, s.settings.reach(q.client, scope))
	if len(audience) == 0 && len(c.Audience) > 0 {
		return issued{}, codeRefused(audit.ReasonAudienceWithdrawn)
	}
	audience, e := target(q.resources, audience)
	if e != nil {
		return issued{}, e
	}
	login, e := s.loginOf(ctx, c.LoginID)
	if e != nil {
		return issued{}, e
	}
	user, e := s.userOf(ctx, c)
	if e != nil {
		return issued{}, e
	}
	q.consented = scope
	if e := s.stillConsents(ctx, q, user.UID); e != nil {
		return issued{}, e
	}
	q.event.UserEmail = user.Email
	family = s.families.begin(ctx, q.client, user, scope, audience)
	family.ID, family.AuthTime = c.SessionID, time.UnixMilli(c.AuthTime).UTC()
	family.FirstIP, family.FirstUserAgent = login.FirstIP, login.FirstUserAgent // the user's, where the request is the application's
	family.Factor, family.LoginID, q.loginID, q.nonce = login.Factor, login.root(), c.LoginID, c.Nonce
	out, e := s.login(ctx, q, user, family)
	if e != nil && errors.Is(e.Cause, ErrFamilyExists) {
		switch family, err = s.begunBy(ctx, c); {
		case errors.Is(err, ErrNoFamily):
			return issued{}, codeUnderWay // and came to nothing, while this one's proof is spent
		case err != nil:
			return issued{}, refusal.Undecided(audit.ReasonStore, err)
		}
		return issued{}, s.endRedeemed(ctx, q, family)
	}
	return out, e
}

// begunBy returns the session that a code has begun, or ErrNoFamily. While another
// request is about to begin it, begunBy waits for what that comes to, even if its own
// caller hangs up: a code that two parties hold must not go unnoticed because they
// came at once. A session that is unborn even then is one that the store, or the audit
// log, takes too long for.
func (s *Service) begunBy(ctx context.Context, c code) (Family, error) {
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		f, err := s.store.HeldFamily(ctx, c.SessionID)
		if err != nil || !f.Unborn {
			return f, err
		}
		select {
		case <-ctx.Done():
			return f, nil
		case <-time.After(wait):
		}
	}
}

// loginOf returns the log-in at the page by which a code was made, if it lives.
func (s *Service) loginOf(ctx context.Context, id string) (Family, *refusal.Error) {
	login, err := s.store.FamilyByID(ctx, id)
	switch {
	case err != nil && !errors.Is(err, ErrNoFamily):
		return Family{}, refusal.Undecided(audit.ReasonStore, err)
	case login.ID == "" || !login.RevokedAt.IsZero():
		return Family{}, codeRefused(audit.ReasonEndedSession)
	}
	return login, nil
}

// userOf returns the account of a code, if it is as it was when the code was made.
func (s *Service) userOf(ctx context.Context, c code) (users.User, *refusal.Error) {
	user, err := s.users.ByID(ctx, c.UserID)
	switch {
	case errors.Is(err, users.ErrNotFound):
		return users.User{}, codeRefused(audit.ReasonUnknownUser)
	case err != nil:
		return users.User{}, refusal.Undecided(audit.ReasonStore, err)
	case user.Disabled:
		return users.User{}, codeRefused(audit.ReasonDisabledUser)
	case user.Epoch != c.Epoch:
		return users.User{}, codeRefused(audit.ReasonAccountChanged)
	}
	return user, nil
}

// endRedeemed ends the session that a code has begun before: two parties hold it
// (RFC 6749 §4.1.2).
func (s *Service) endRedeemed(ctx context.Context, q *tokenRequest, f Family) *refusal.Error {
	if f.Unborn {
		return codeUnderWay
	}
	q.event.UserEmail = ""
	dead := &deadToken{reason: audit.ReasonReusedCode, family: f, presented: -1, reuse: true}
	if !f.RevokedAt.IsZero() {
		dead.reason, dead.reuse = audit.ReasonEndedSession, false
	} else {
		dead.unended = s.endReused(ctx, dead, &q.event)
	}
	e := dead.tell(&q.event)
	if e.Code == refusal.BadGrant {
		e.Text = codeText
	}
	return e
}

// codeUnderWay refuses a code that another request exchanges. It has no cause, because
// nothing failed, and the client may try again.
var codeUnderWay = refusal.Undecided(audit.ReasonConflict, nil)

// codeText is the same for every code that does not count.
const codeText = "The authorization code is not valid here, has expired or was used."

func codeRefused(reason audit.Reason) *refusal.Error {
	return refusal.New(refusal.BadGrant, reason, codeText)
}
