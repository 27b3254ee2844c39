package pages

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/oauth"
)

// AskLogOut answers GET /account/logout: whether to log out.
func (p *Pages) AskLogOut(w http.ResponseWriter, r *http.Request) {
	p.askLogOut(w, r, r.URL.Query().Get("request"))
}

func (p *Pages) askLogOut(w http.ResponseWriter, r *http.Request, request string) {
	if v, _, ok := p.whose(w, r); ok {
		v.setRequest(request)
		p.show(w, http.StatusOK, "logout", v)
	}
}

// LogOut answers POST /account/logout.
func (p *Pages) LogOut(w http.ResponseWriter, r *http.Request) {
	form, e := p.readForm(r)
	request, err := url.ParseQuery(form.Get("request"))
	if e == nil && err != nil {
		e = refusal.New(refusal.Malformed, audit.ReasonMalformedForm, "The request is not properly form-encoded.")
	}
	if e != nil {
		p.showError(w, r, p.Conclude(r.Context(), audit.Event{Action: audit.UserLoggedOut}, e))
		return
	}
	p.logOut(w, r, request, true)
}

// EndSession answers GET /oauth/logout, to which an application sends who wants to log
// out there (OpenID Connect RP-Initiated Logout 1.0).
func (p *Pages) EndSession(w http.ResponseWriter, r *http.Request) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		e := refusal.New(refusal.Malformed, audit.ReasonMalformedForm, "The query of the address is not properly form-encoded.")
		p.showError(w, r, p.Conclude(r.Context(), audit.Event{Action: audit.UserLoggedOut}, e))
		return
	}
	p.logOut(w, r, values, false)
}

// EndSessionPosted answers POST /oauth/logout: see AuthorizePosted.
func (p *Pages) EndSessionPosted(w http.ResponseWriter, r *http.Request) {
	p.posted(w, r, EndSessionPath, audit.UserLoggedOut)
}

func (p *Pages) logOut(w http.ResponseWriter, r *http.Request, request url.Values, asked bool) {
	out, e := p.OAuth.LogOutBrowser(r.Context(), request, read(r, p.cookies.session), asked)
	if out.Asks {
		p.askLogOut(w, r, out.Request.Encode())
		return
	}
	if e == nil || errors.Is(e.Cause, decision.ErrOwed) {
		p.cookies.logOut(w) // the session has ended
	}
	switch {
	case e != nil:
		p.showError(w, r, e)
	case out.Location != "":
		lead(w, out.Location)
	default:
		v := p.view(w, r)
		v.Note = "logged_out"
		p.show(w, http.StatusOK, "login", v)
	}
}

// posted leads the browser to what it posted.
func (p *Pages) posted(w http.ResponseWriter, r *http.Request, path string, action audit.Action) {
	values, e := oauth.ReadForm(r)
	if e != nil {
		p.showError(w, r, p.Conclude(r.Context(), audit.Event{Action: action}, e))
		return
	}
	lead(w, p.base+path+"?"+values.Encode())
}
