package pages

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/problem"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/oauth"
)

// Account answers GET /account: who is logged in, or the form to log in by.
func (p *Pages) Account(w http.ResponseWriter, r *http.Request) {
	login, err := p.oauth.LoginOf(r.Context(), read(r, p.cookies.session))
	if err != nil {
		p.OnError(r.Context(), err)
		p.showError(w, r, refusal.Undecided(audit.ReasonStore, nil))
		return
	}
	v := view{language: languageOf(r, ""), Token: p.formToken(w, r)}
	if login.User.UID == "" {
		p.show(w, http.StatusOK, "login", v)
		return
	}
	v.User = cmp.Or(login.User.Email, login.User.Username)
	p.show(w, http.StatusOK, "account", v)
}

// LogIn answers POST /account/login, and leads on to what the user logs in for.
func (p *Pages) LogIn(w http.ResponseWriter, r *http.Request) {
	form, e := p.readForm(r)
	if e != nil && e != foreignForm {
		p.showError(w, r, p.Conclude(r.Context(), audit.Event{Action: audit.UserLoggedIn}, e))
		return
	}
	var made oauth.Cookie
	if e != nil {
		e = p.Conclude(r.Context(), audit.Event{Action: audit.UserLoggedIn}, e)
	} else {
		made, e = p.oauth.LogInBrowser(r.Context(), form.Get("username"), form.Get("password"), read(r, p.cookies.session))
	}
	request, err := url.ParseQuery(form.Get("request"))
	if err != nil {
		request = nil
	}
	switch {
	case e != nil:
		p.showLoginAgain(w, r, e, form.Get("username"), request)
	case len(request) == 0:
		p.cookies.logIn(w, made)
		lead(w, p.base+AccountPath)
	default:
		p.cookies.logIn(w, made)
		lead(w, p.base+AuthorizePath+"?"+oauth.AfterLogin(request).Encode())
	}
}

// showLoginAgain shows the form once more, and why.
func (p *Pages) showLoginAgain(w http.ResponseWriter, r *http.Request, e *refusal.Error, name string, request url.Values) {
	v := view{
		language: languageOf(r, request.Get("ui_locales")), Token: p.formToken(w, r), Name: name, Request: request.Encode(), Wrong: "wrong_credentials",
	}
	if id := request.Get("client_id"); oauth.ValidClientID(id) {
		v.ClientID = id
	}
	status := http.StatusForbidden
	switch {
	case e.Code == refusal.Throttled:
		status, v.Wrong = http.StatusTooManyRequests, "throttled"
	case e.Temporary():
		status, v.Wrong = http.StatusServiceUnavailable, "unavailable"
	case e == foreignForm:
		v.Wrong = "stale"
	}
	if e.Temporary() {
		problem.RetryAfter(w, e.RetryAfter)
	}
	p.show(w, status, "login", v)
}

// LogOut answers POST /account/logout.
func (p *Pages) LogOut(w http.ResponseWriter, r *http.Request) {
	_, e := p.readForm(r)
	if e != nil {
		e = p.Conclude(r.Context(), audit.Event{Action: audit.SessionEnded}, e)
	} else {
		e = p.oauth.LogOutBrowser(r.Context(), read(r, p.cookies.session))
		if e == nil || errors.Is(e.Cause, decision.ErrOwed) {
			p.cookies.logOut(w) // the session has ended
		}
	}
	if e != nil {
		p.showError(w, r, e)
		return
	}
	p.show(w, http.StatusOK, "login", view{language: languageOf(r, ""), Token: p.formToken(w, r), Note: "logged_out"})
}
