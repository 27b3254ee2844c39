package pages

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/oauth"
)

// Account answers GET /account: what there is to see for who is logged in, or the form
// to log in by.
func (p *Pages) Account(w http.ResponseWriter, r *http.Request) {
	if v, _, ok := p.whose(w, r); ok {
		p.show(w, http.StatusOK, "account", v)
	}
}

// AskLogIn answers GET /account/login as Account does. Who has logged in meanwhile, in
// another tab, goes on with the authorization request that the form was for.
func (p *Pages) AskLogIn(w http.ResponseWriter, r *http.Request) {
	v, _, ok := p.whose(w, r)
	if !ok {
		return
	}
	if v.setRequest(r.URL.Query().Get("request")); v.Request != "" {
		lead(w, p.base+AuthorizePath+"?"+v.Request)
		return
	}
	p.show(w, http.StatusOK, "account", v)
}

// Lead answers GET / of who typed no more than the host: it leads to the account.
func (p *Pages) Lead(w http.ResponseWriter, _ *http.Request) { lead(w, p.base+AccountPath) }

// whose returns who is logged in, and the page that it is about to be shown. Else it
// answers with the form to log in by.
func (p *Pages) whose(w http.ResponseWriter, r *http.Request) (view, oauth.Login, bool) {
	login, err := p.OAuth.LoginOf(r.Context(), read(r, p.cookies.session))
	if err != nil {
		p.OnError(r.Context(), err)
		p.showError(w, r, refusal.Undecided(audit.ReasonStore, nil))
		return view{}, oauth.Login{}, false
	}
	v := p.view(w, r)
	if login.User.UID == "" {
		v.setRequest(r.URL.Query().Get("request"))
		v.setBack(strings.TrimPrefix(r.URL.Path, AccountPath+"/"))
		p.show(w, http.StatusOK, "login", v)
		return view{}, oauth.Login{}, false
	}
	v.User = cmp.Or(login.User.Email, login.User.Username)
	return v, login, true
}

// view returns what every page with a form is shown of.
func (p *Pages) view(w http.ResponseWriter, r *http.Request) view {
	return view{language: p.languageOf(r, ""), Token: p.formToken(w, r)}
}

// setRequest has a page go on with an authorization request, if it is one.
func (v *view) setRequest(query string) {
	if request, err := url.ParseQuery(query); err == nil && clients.ValidID(request.Get("client_id")) {
		v.Request, v.ClientID = request.Encode(), request.Get("client_id")
	}
}

// setBack has a log-in lead back to a page below /account, if it is one to come back to.
func (v *view) setBack(page string) {
	if slices.Contains(comeBackTo, page) {
		v.Back = page
	}
}

// comeBackTo are the pages that who asked for one comes back to by a log-in.
var comeBackTo = []string{"sessions", "applications", "password", "email", "factors", "factors/app", "profile", "delete"}

// LogIn answers POST /account/login, and leads on to what the user logs in for. The form
// has a name and a password, or the code of a second factor that was asked for, or what a
// passkey signed.
func (p *Pages) LogIn(w http.ResponseWriter, r *http.Request) {
	form, e, ok := p.readPosted(w, r, audit.Event{Action: audit.UserLoggedIn})
	if !ok {
		return
	}
	remember := p.RememberTTL > 0 && form.Get("remember") != ""
	var made oauth.Cookie
	request, err := url.ParseQuery(form.Get("request"))
	if err != nil {
		request = nil
	}
	var v view
	v.setRequest(form.Get("request"))
	v.setBack(form.Get("back"))
	former, challenge := read(r, p.cookies.session), form.Get("challenge")
	switch {
	case e != nil:
	case challenge != "":
		made, e = p.OAuth.AnswerInBrowser(r.Context(), answerIn(r, form), former, remember)
	default:
		made, e = p.OAuth.LogInBrowser(r.Context(), form.Get("username"), form.Get("password"), former, remember, request)
	}
	if e != nil {
		v.language, v.Name, v.Remember = p.languageOf(r, request.Get("ui_locales")), form.Get("username"), remember
		v.askFor(e)
		switch {
		case e.Code == refusal.NeedsFactor:
			p.ask(w, r, "code", v)
		case e.Code == refusal.NeedsEnrolment:
			p.ask(w, r, "enrol", v)
		case e.Secret != "":
			p.showAgain(w, r, "enrol", v, e)
		case form.Has("code") && challenge != "" && e.Code != refusal.BadChallenge:
			v.Challenge = cmp.Or(v.Challenge, challenge)
			p.showAgain(w, r, "code", v, e)
		default:
			p.showAgain(w, r, "login", v, e)
		}
		return
	}
	next := view{language: p.languageOf(r, ""), pages: p}.Path(v.Back)
	if len(request) > 0 {
		next = p.base + AuthorizePath + "?" + p.OAuth.AfterLogin(request).Encode()
	}
	p.cookies.logIn(w, made, remember)
	if made.Recovery != nil {
		p.show(w, http.StatusOK, "recovery", view{language: p.languageOf(r, request.Get("ui_locales")), Codes: made.Recovery, Next: next})
		return
	}
	lead(w, next)
}

// ask shows a form for the first time.
func (p *Pages) ask(w http.ResponseWriter, r *http.Request, page string, v view) {
	v.Token = p.formToken(w, r)
	p.show(w, http.StatusOK, page, v)
}
