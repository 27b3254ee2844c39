package pages

import (
	"net/http"
	"net/url"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// Consent answers POST /account/consent: whether the user lets a client have what it
// asks for.
func (p *Pages) Consent(w http.ResponseWriter, r *http.Request) {
	form, _, e := p.readFormOf(r, audit.Event{Action: audit.ConsentGiven})
	if e != nil {
		p.showError(w, r, e)
		return
	}
	request, err := url.ParseQuery(form.Get("request"))
	if err != nil {
		e := refusal.New(refusal.Malformed, audit.ReasonMalformedForm, "The form has no request to go on with.")
		p.showError(w, r, p.Conclude(r.Context(), audit.Event{Action: audit.ConsentGiven}, e))
		return
	}
	a, goOn, e := p.OAuth.Consent(r.Context(), request, read(r, p.cookies.session), form.Get("user"), form.Get("decision") == "allow")
	if goOn != nil {
		lead(w, p.base+AuthorizePath+"?"+goOn.Encode())
		return
	}
	p.authorized(w, r, a, e)
}

// ListApplications answers GET /account/applications with what the user lets clients
// have.
func (p *Pages) ListApplications(w http.ResponseWriter, r *http.Request) {
	v, login, ok := p.whose(w, r)
	if !ok {
		return
	}
	v.Consents = login.User.Consents
	event := audit.Event{Action: audit.ConsentsListed, UserID: login.User.UID, SessionID: login.Caller().SessionID, Count: len(v.Consents)}
	if e := p.Conclude(r.Context(), event, nil); e != nil {
		p.showError(w, r, e)
		return
	}
	p.show(w, http.StatusOK, "applications", v)
}

// WithdrawConsent answers POST /account/applications: it takes back what the client
// that the form names may have.
func (p *Pages) WithdrawConsent(w http.ResponseWriter, r *http.Request) {
	form, login, e := p.readFormOf(r, audit.Event{Action: audit.ConsentWithdrawn})
	if e == nil {
		_, err := p.Users.WithdrawConsent(r.Context(), login.User.UID, form.Get("application"), audit.ReasonEndedByUser)
		e = p.Told(r.Context(), err)
	}
	if e != nil {
		p.showError(w, r, e)
		return
	}
	lead(w, view{language: p.languageOf(r, ""), pages: p}.Path("applications"))
}

// ScopeWords says what a scope lets a client have, or nothing where there are no words
// for it.
func (v view) ScopeWords(name string) string {
	if key := scopeWords[name]; key != "" {
		return v.Say(key)
	}
	return ""
}

var scopeWords = map[string]string{
	"openid": "scope_openid", "email": "scope_email", "profile": "scope_profile", "offline_access": "scope_offline_access",
}
