package pages

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/problem"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/oauth"
)

// formToken returns the token that the forms shown to a browser bear and that it has
// in a cookie too: who cannot read the cookie can make no form of ours.
func (p *Pages) formToken(w http.ResponseWriter, r *http.Request) string {
	if token := read(r, p.cookies.form); len(token) == len(rand.Text()) {
		return token
	}
	token := rand.Text()
	p.cookies.set(w, p.cookies.form, token, time.Time{})
	return token
}

// readForm reads a form that was sent from one of the pages.
func (p *Pages) readForm(r *http.Request) (url.Values, *refusal.Error) {
	form, e := oauth.ReadForm(r)
	if e != nil {
		return nil, e
	}
	for name, list := range form {
		if !utf8.ValidString(list[0]) || strings.ContainsRune(list[0], 0) {
			return nil, refusal.New(refusal.Malformed, audit.ReasonMalformedParameter, "The parameter "+strconv.QuoteToASCII(name)+" is not valid text.")
		}
	}
	token, sent := read(r, p.cookies.form), form.Get("token")
	if !p.fromHere(r) || token == "" || subtle.ConstantTimeCompare([]byte(token), []byte(sent)) != 1 {
		return form, foreignForm
	}
	return form, nil
}

// readPosted is readForm, and records a refusal with the event. It answers, and returns
// false, where the form cannot be shown again.
func (p *Pages) readPosted(w http.ResponseWriter, r *http.Request, event audit.Event) (form url.Values, e *refusal.Error, ok bool) {
	form, e = p.readForm(r)
	if e == nil {
		return form, nil, true
	}
	again := e == foreignForm
	if e = p.Conclude(r.Context(), event, e); !again {
		p.showError(w, r, e)
	}
	return form, e, again
}

// readFormOf is readForm for who is logged in. It records the refusal with the event,
// also that nobody is.
func (p *Pages) readFormOf(r *http.Request, event audit.Event) (url.Values, oauth.Login, *refusal.Error) {
	form, e := p.readForm(r)
	var login oauth.Login
	if e == nil || e == foreignForm {
		var err error
		if login, err = p.OAuth.LoginOf(r.Context(), read(r, p.cookies.session)); err != nil {
			e = refusal.Undecided(audit.ReasonUnavailable, err)
		} else if login.User.UID == "" && e == nil {
			e = refusal.New(refusal.BadCredentials, audit.ReasonLoginRequired, "")
		}
	}
	event.UserID, event.SessionID = login.User.UID, login.Caller().SessionID
	if e != nil {
		e = p.Conclude(r.Context(), event, e)
	}
	return form, login, e
}

// readFresh is readFormOf for what needs a log-in of a short while ago, and refuses an
// older one.
func (p *Pages) readFresh(r *http.Request, event audit.Event) (url.Values, oauth.Login, *refusal.Error) {
	form, login, e := p.readFormOf(r, event)
	if e == nil {
		event.UserID, event.SessionID = login.User.UID, login.Caller().SessionID
		if e = p.OAuth.Fresh(login.Caller()); e != nil {
			e = p.Conclude(r.Context(), event, e)
		}
	}
	return form, login, e
}

var foreignForm = refusal.New(refusal.Malformed, audit.ReasonForeignForm, "The form was not sent from this page, or the page is too old.")

// fromHere reports whether the browser says that a page of this origin sent the
// request, by Fetch Metadata or, where it knows none, the Origin. Where it says
// nothing the form's token decides alone: since the pages send no referrer, some
// send Origin: null.
func (p *Pages) fromHere(r *http.Request) bool {
	if site := problem.Field(r, "Sec-Fetch-Site"); site != "" {
		return site == "same-origin" || site == "none"
	}
	origin := problem.Field(r, "Origin")
	return origin == "" || origin == "null" || origin == p.origin
}
