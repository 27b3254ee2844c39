package report

import (
	"cmp"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
)

// grantPassword is the grant_type of a login (RFC 6749 §4.3.2).
const grantPassword = "password"

// throttled is the reason of an attempt that was not judged.
var throttled = audit.ReasonThrottled.String()

// login reports whether a user logged in.
func login(e *line.Entry) bool {
	return e.Event.Outcome == audit.Success &&
		(e.Event.Action == audit.UserLoggedIn || e.Event.Action == audit.TokenIssued && e.Keyturn.Grant == grantPassword)
}

// wrongPassword are the reasons of a wrong password. The value says whether the
// account exists.
var wrongPassword = map[string]bool{
	audit.ReasonWrongPassword.String(): true,
	audit.ReasonDisabledUser.String():  true,
	audit.ReasonUnknownUser.String():   false,
}

// guess reports whether the event is a failed try of a password.
func guess(e *line.Entry) bool {
	atLogin := e.Event.Action == audit.UserLoggedIn || e.Event.Action == audit.TokenRefused && e.Keyturn.Grant == grantPassword
	if e.Event.Outcome == audit.Success || !atLogin && e.Event.Action != audit.PasswordChanged {
		return false
	}
	_, wrong := wrongPassword[e.Event.Reason]
	return wrong || e.Event.Reason == throttled
}

// wrongClient are the reasons of a client that failed to authenticate.
var wrongClient = map[string]bool{
	audit.ReasonWrongClientSecret.String(): true,
	audit.ReasonWrongAssertionKey.String(): true,
	audit.ReasonUnknownClient.String():     true,
}

func account(e *line.Entry) string {
	return strings.ToLower(cmp.Or(e.User.Email, e.User.ID))
}

// guesses counts failures by source, account and client, and the logins after
// them.
func (b *Builder) guesses(e *line.Entry) {
	switch {
	case login(e):
		if s := b.sources.find(e.From()); s != nil && !e.Time.Before(s.First) {
			s.Logins++
			s.Account, s.Session = account(e), e.Keyturn.Session
		}
		if a := b.accounts.find(account(e)); a != nil && !e.Time.Before(a.First) {
			a.Logins++
		}
	case guess(e):
		b.guess(e)
	case e.Event.Outcome != audit.Success && wrongClient[e.Event.Reason]:
		c := b.clients.add(e.Keyturn.Client)
		c.Failed++
		c.Reason = e.Event.Reason
		c.from.add(e.From(), maxDistinct)
		widen(&c.First, &c.Last, e.Time)
	}
}

func (b *Builder) guess(e *line.Entry) {
	s, a := b.sources.add(e.From()), b.accounts.add(account(e))
	if e.Event.Reason == throttled {
		s.Throttled++
		a.Throttled++
	} else {
		s.Failed++
		a.Failed++
	}
	if !e.Time.Before(s.Last) {
		s.Agent = e.UserAgent.Original
	}
	widen(&s.First, &s.Last, e.Time)
	widen(&a.First, &a.Last, e.Time)
	a.Exists = a.Exists || wrongPassword[e.Event.Reason]
	s.tried.add(account(e), maxDistinct)
	a.from.add(e.From(), maxDistinct)
}

// widen extends the range from first to last to include at. Times may go back if
// a clock was set back, or if logs that cannot be merged by time are read one
// after the other.
func widen(first, last *time.Time, at time.Time) {
	if first.IsZero() || at.Before(*first) {
		*first = at
	}
	if at.After(*last) {
		*last = at
	}
}

func (s *Source) row(key string, _ int64) Source {
	s.IP, s.Accounts = key, len(s.tried)
	return *s
}

func (a *Account) row(key string, _ int64) Account {
	a.Name, a.Sources = key, len(a.from)
	return *a
}

func (c *Client) row(key string, _ int64) Client {
	c.ID, c.Sources = key, len(c.from)
	return *c
}

// broke reports whether many failures ended in a login.
func (s *Source) broke() bool  { return s.Logins > 0 && s.Failed+s.Throttled >= manyFailures }
func (a *Account) broke() bool { return a.Logins > 0 && a.Failed+a.Throttled >= manyFailures }

// first orders true before false.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}
