package pages

import (
	"cmp"
	"net/http"
	"net/url"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/oauth"
)

// Authorize answers GET /oauth/authorize.
func (p *Pages) Authorize(w http.ResponseWriter, r *http.Request) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		e := refusal.New(refusal.Malformed, audit.ReasonMalformedForm, "The query of the address is not properly form-encoded.")
		p.showError(w, r, p.Conclude(r.Context(), audit.Event{Action: audit.CodeIssued}, e))
		return
	}
	a, e := p.OAuth.Authorize(r.Context(), values, read(r, p.cookies.session))
	p.authorized(w, r, a, e)
}

// authorized leads or shows what came of an authorization request.
func (p *Pages) authorized(w http.ResponseWriter, r *http.Request, a oauth.Authorization, e *refusal.Error) {
	switch {
	case e != nil:
		p.showError(w, r, e)
	case a.Asks != nil:
		p.show(w, http.StatusOK, "consent", view{
			language: p.languageOf(r, a.Locales), Token: p.formToken(w, r), Request: a.Request.Encode(), ClientID: a.ClientID,
			Asked: a.Asks, ThirdParty: a.ThirdParty, UID: a.User.UID, Name: cmp.Or(a.User.Email, a.User.Username),
		})
	case a.Answer == nil:
		p.show(w, http.StatusOK, "login", view{
			language: p.languageOf(r, a.Locales), Token: p.formToken(w, r), Request: a.Request.Encode(), ClientID: a.ClientID, Name: a.LoginHint,
		})
	case a.Answer.Posted:
		p.show(w, http.StatusOK, "post", view{language: p.languageOf(r, ""), ClientID: a.ClientID, Answer: a.Answer})
	default:
		lead(w, a.Answer.Location())
	}
}

// AuthorizePosted answers POST /oauth/authorize. A browser sends no cookie with what
// another site posts, and does with the GET that it is led to.
func (p *Pages) AuthorizePosted(w http.ResponseWriter, r *http.Request) {
	p.posted(w, r, AuthorizePath, audit.CodeIssued)
}
