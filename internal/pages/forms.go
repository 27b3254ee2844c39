package pages

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"net/url"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
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
	token, sent := read(r, p.cookies.form), form.Get("token")
	if !p.fromHere(r) || token == "" || subtle.ConstantTimeCompare([]byte(token), []byte(sent)) != 1 {
		return form, foreignForm
	}
	return form, nil
}

var foreignForm = refusal.New(refusal.Malformed, audit.ReasonForeignForm, "The form was not sent from this page, or the page is too old.")

// fromHere reports whether the browser says that a page of this origin sent the
// request, by Fetch Metadata or, where it knows none, the Origin. Where it says
// nothing the form's token decides alone: since the pages send no referrer, some
// send Origin: null.
func (p *Pages) fromHere(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin" || site == "none"
	}
	origin := r.Header.Get("Origin")
	return origin == "" || origin == "null" || origin == p.origin
}
