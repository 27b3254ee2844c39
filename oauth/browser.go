package oauth

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/users"
)

// A browser's log-in is a session of no client: its ClientID is empty. Its cookie is
// a token under keys of its own, so that neither the store's reader can make one (F4)
// nor anybody a refresh token of it; and what ends the sessions of an account ends it.

const browserPrefix = "kt_bs_"

// Login is a browser's log-in: the zero one is none.
type Login struct {
	User    users.User
	session Family
}

// Cookie is what a browser gets that has logged in, and until when it counts.
type Cookie struct {
	Value   string
	Expires time.Time
	// Recovery are the recovery codes that a first second factor came with.
	Recovery []string
}

// Caller is the user of the log-in, in its session.
func (l Login) Caller() Caller {
	return Caller{UserID: l.User.UID, SessionID: l.session.ID, AuthTime: l.session.AuthTime}
}

// LogInBrowser begins a session for a browser, and ends the one that it has, if any.
// One that is to be remembered lives for RememberTTL. request is the authorization
// request that the user logs in for, if there is one.
func (s *Service) LogInBrowser(ctx context.Context, login, password, former string, remember bool, request url.Values) (Cookie, *refusal.Error) {
	event := audit.Event{Action: audit.UserLoggedIn, UserEmail: presentedName(login)}
	return s.loggedIn(ctx, &event, former, func(before Family) (Cookie, *refusal.Error) {
		return s.logInBrowser(ctx, login, password, before, s.browserTTL(remember), request, &event)
	})
}

// AnswerInBrowser finishes a log-in whose second factor was due, or one by a passkey
// alone.
func (s *Service) AnswerInBrowser(ctx context.Context, answer FactorAnswer, former string, remember bool) (Cookie, *refusal.Error) {
	event := audit.Event{Action: audit.UserLoggedIn}
	return s.loggedIn(ctx, &event, former, func(before Family) (Cookie, *refusal.Error) {
		c, e := s.openChallenge(answer.Challenge, "")
		if e != nil {
			return Cookie{}, e
		}
		by, e := s.answerChallenge(ctx, c, answer, &event)
		if e != nil {
			return Cookie{}, e
		}
		cookie, e := s.beginBrowser(ctx, by.user, before, c.SessionID, by.methods, s.browserTTL(remember), &event)
		if e != nil && errors.Is(e.Cause, ErrFamilyExists) {
			e = refusal.New(refusal.BadChallenge, audit.ReasonBadChallenge, "")
		}
		cookie.Recovery = by.recovery
		return cookie, e
	})
}

func (s *Service) browserTTL(remember bool) time.Duration {
	if remember {
		return s.settings.RememberTTL
	}
	return s.settings.BrowserTTL
}

// loggedIn records what logIn comes to, and ends the session that the browser had.
func (s *Service) loggedIn(ctx context.Context, event *audit.Event, former string, logIn func(before Family) (Cookie, *refusal.Error)) (Cookie, *refusal.Error) {
	before, e := s.browserSession(ctx, former)
	var cookie Cookie
	if e == nil {
		cookie, e = logIn(before)
	}
	if e = s.Conclude(ctx, *event, e); e != nil {
		return Cookie{}, e
	}
	// The former one is out of the browser's hands already.
	switch {
	case before.ID == "":
	case before.UserID == event.UserID:
		_ = s.endSession(ctx, Caller{UserID: before.UserID}, before.ID, audit.ReasonLogout)
	default:
		_ = s.logOut(ctx, before, "")
	}
	return cookie, nil
}

func (s *Service) logInBrowser(ctx context.Context, login, password string, before Family, ttl time.Duration, request url.Values, event *audit.Event) (Cookie, *refusal.Error) {
	switch {
	case login == "":
		return Cookie{}, refusal.New(refusal.BadCredentials, audit.ReasonNoUsername, "")
	case password == "":
		return Cookie{}, refusal.New(refusal.BadCredentials, audit.ReasonNoPassword, "")
	}
	user, err := s.users.Authenticate(ctx, login, password)
	if err != nil {
		return Cookie{}, refusalOf(err)
	}
	event.UserID, event.UserEmail = user.UID, user.Email
	// A client that cannot be read now asks for its factor when the user comes back.
	client, _ := s.store.ClientByID(ctx, request.Get("client_id"))
	if user.Factors.Due() || s.needsFactor(user, client, s.parametersOf(request).Get("acr_values")) {
		return Cookie{}, s.factorDue(user, "")
	}
	return s.beginBrowser(ctx, user, before, "", "", ttl, event)
}

// beginBrowser begins the session of a browser, with the id of the challenge that was
// answered for it, if there was one.
func (s *Service) beginBrowser(ctx context.Context, user users.User, before Family, id, factor string, ttl time.Duration, event *audit.Event) (Cookie, *refusal.Error) {
	f := s.families.begin(ctx, clients.Client{RefreshIdleTTL: ttl, RefreshTTL: ttl}, user, nil, nil)
	if before.UserID == user.UID {
		f.LoginID = before.root()
	}
	f.ID, f.Factor = cmp.Or(id, f.ID), factor
	value, err := s.families.cookies.derive(f)
	if err != nil {
		return Cookie{}, refusal.Undecided(audit.ReasonStore, err)
	}
	event.SessionID, event.Outcome = f.ID, audit.Success
	notice, remember := s.users.LoginNotice(ctx, user, f.ID, "", f.AuthTime)
	told, err := s.sessions().maker(s.Audit).Decide(ctx, decision.Change[Family]{
		Event: *event, After: f, Check: func(ctx context.Context) error { return s.users.Still(ctx, user) }, Notice: notice,
	})
	switch {
	case decision.IDOf(err) != "":
		return Cookie{}, refusal.Undecided(audit.ReasonStore, err)
	case err != nil:
		return Cookie{}, refusalOf(err)
	}
	*event = told
	remember(ctx)
	return Cookie{Value: value, Expires: f.ExpiresAt}, nil
}

// presentedName bounds what was sent as a name, for the audit log.
func presentedName(s string) string { return s[:min(len(s), 320)] }

// LoginOf returns the log-in of a browser with that cookie, the zero one if it has
// none that counts. The error is the store's.
func (s *Service) LoginOf(ctx context.Context, cookie string) (Login, error) {
	f, _, err := s.families.findBy(ctx, s.families.cookies, cookie)
	var dead *deadToken
	switch {
	case errors.As(err, &dead):
		return Login{}, nil
	case err != nil:
		return Login{}, err
	case !f.lives(s.now()) || !f.lives(s.families.confirmed()) || s.families.ahead(f.CreatedAt):
		return Login{}, nil
	}
	user, err := s.users.ByID(ctx, f.UserID)
	switch {
	case errors.Is(err, users.ErrNotFound) || err == nil && user.Disabled:
		return Login{}, nil
	case err != nil:
		return Login{}, err
	}
	return Login{user, f}, nil
}

// browserSession returns the session of a browser with that cookie, expired or not,
// or the zero Family if it has none.
func (s *Service) browserSession(ctx context.Context, cookie string) (Family, *refusal.Error) {
	f, _, err := s.families.findBy(ctx, s.families.cookies, cookie)
	var dead *deadToken
	switch {
	case errors.As(err, &dead) || err == nil && !f.RevokedAt.IsZero():
		return Family{}, nil
	case err != nil:
		return Family{}, refusal.Undecided(audit.ReasonStore, err)
	}
	return f, nil
}
