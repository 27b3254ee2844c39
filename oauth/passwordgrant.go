package oauth

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/dpop"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/users"
)

// passwordGrant serves RFC 6749 §4.3.
var passwordGrant = grant{name: clients.GrantPassword, off: passwordGrantOff, decide: (*Service).checkPassword}

func passwordGrantOff(s Settings) *refusal.Error {
	if s.PasswordGrant {
		return nil
	}
	return refusal.New(refusal.UnsupportedGrant, audit.ReasonPasswordGrantOff, "The password grant is switched off here.")
}

func (s *Service) checkPassword(ctx context.Context, q *tokenRequest) (issued, *refusal.Error) {
	if q.answer.Challenge != "" {
		return s.finishLogin(ctx, q)
	}
	q.event.UserEmail = q.username
	switch {
	case q.username == "":
		return issued{}, refusal.New(refusal.Malformed, audit.ReasonNoUsername, "The parameter username is missing.")
	case q.password == "":
		return issued{}, refusal.New(refusal.Malformed, audit.ReasonNoPassword, "The parameter password is missing.")
	}
	scope, aud, e := q.reach(func(scope []string) []string { return s.settings.reach(q.client, scope) })
	if e != nil {
		return issued{}, e
	}
	user, err := s.users.Authenticate(ctx, q.username, q.password)
	if err != nil {
		return issued{}, refusalOf(err)
	}
	q.event.UserID, q.event.UserEmail = user.UID, user.Email
	switch due := user.Factors.Due() || s.needsFactor(user, q.client, ""); {
	case due && q.by.Named:
		return issued{}, s.factorDue(user, q.client.ID)
	case due && !q.client.PasswordAlone:
		return issued{}, unaskable
	}
	return s.login(ctx, q, user, s.families.begin(ctx, q.client, user, scope, aud))
}

// login starts a session for a user whose password was right. The account and
// the client are looked at once more after the session stands, unborn: a disabling
// or a change of the password that came in between either found the session and
// ended it, or is found here (F7). Only then the event is written, and the session
// born.
func (s *Service) login(ctx context.Context, q *tokenRequest, user users.User, family Family) (issued, *refusal.Error) {
	refresh, err := s.families.tokens.derive(family)
	if err != nil {
		return issued{}, refusal.Undecided(audit.ReasonStore, err)
	}
	family.JKT, family.Authenticated = q.sessionKey(), !q.client.Public && !q.by.Named
	if e := s.spendProof(ctx, q.proof); e != nil {
		return issued{}, e
	}
	out, e := s.issue(&family, q.client, q.proof, family.Scope, family.Audience)
	if e == nil {
		e = s.identify(&out, q, q.client, profileOf(user))
	}
	if e != nil {
		return issued{}, e
	}
	q.event.SessionID = family.ID
	login := q.event
	login.Action, login.Outcome = audit.TokenIssued, audit.Success
	out.describe(&login)
	notice, remember := s.loginNotice(ctx, q, user, family)
	told, err := s.sessions().maker(s.Audit).Decide(ctx, decision.Change[Family]{
		Event: login, After: family, Check: func(ctx context.Context) error { return s.stillGood(ctx, user, q) }, Notice: notice,
	})
	if decision.IDOf(err) != "" {
		return issued{}, refusal.Undecided(audit.ReasonStore, err)
	}
	if err != nil {
		return issued{}, refusalOf(err)
	}
	q.event = told
	remember(ctx)
	if slices.Contains(q.client.Grants, clients.GrantRefreshToken) {
		out.carry(refresh, family, s.now())
	}
	out.email, out.emailVerified = user.Email, user.EmailVerified()
	return out, nil
}

// loginNotice is users.LoginNotice of a log-in at a client. One at the page, by which a
// code was made, has owed its own.
func (s *Service) loginNotice(ctx context.Context, q *tokenRequest, user users.User, f Family) (json.RawMessage, func(context.Context)) {
	if f.LoginID != "" {
		return nil, func(context.Context) {}
	}
	return s.users.LoginNotice(ctx, user, f.ID, cmp.Or(q.client.Name, q.client.ID), f.AuthTime)
}

// stillGood checks the account, the client and the log-in at the page once more.
func (s *Service) stillGood(ctx context.Context, user users.User, q *tokenRequest) error {
	if err := s.users.Still(ctx, user); err != nil {
		return err
	}
	if e := s.stillServed(ctx, q.client.ID); e != nil {
		return e
	}
	if q.loginID == "" {
		return nil
	}
	if _, e := s.loginOf(ctx, q.loginID); e != nil {
		return e
	}
	if e := s.stillConsents(ctx, q, user.UID); e != nil {
		return e
	}
	return nil
}

// stillServed reports whether a client that was authenticated before may still
// be issued tokens.
func (s *Service) stillServed(ctx context.Context, clientID string) *refusal.Error {
	err := s.checkClient(ctx, clientID)
	var dead errNotLive
	switch {
	case errors.As(err, &dead):
		return clients.Refused(dead.reason)
	case err != nil:
		return refusal.Undecided(audit.ReasonStore, err)
	}
	return nil
}

// issue mints an access token of the family, bound to the key of the proof if
// there is one.
func (s *Service) issue(f *Family, client clients.Client, proof *dpop.Proof, scope, aud []string) (issued, *refusal.Error) {
	c := claims{
		Subject: f.UserID, Audience: aud, Scope: strings.Join(scope, " "),
		AuthTime: f.AuthTime.Unix(), Methods: f.methods(), Class: f.class(), Session: f.ID, Confirmation: boundTo(thumbprint(proof)),
	}
	if slices.Contains(scope, "email") {
		c.setEmail(f.Email, f.emailVerified())
	}
	var err error
	if c.user, err = userClaims(f.Claims, client.Claims); err != nil {
		return issued{}, refusal.Undecided(audit.ReasonStore, err)
	}
	token, err := s.mint(c, client, s.now())
	if err != nil {
		return issued{}, refusal.Undecided(audit.ReasonSigning, err)
	}
	return issued{access: token, scope: scope, family: f}, nil
}
