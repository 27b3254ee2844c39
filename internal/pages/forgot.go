package pages

import (
	"net/http"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/users"
)

// AskForgot answers GET /account/forgot with the form to have a letter sent by.
func (p *Pages) AskForgot(w http.ResponseWriter, r *http.Request) {
	v := p.view(w, r)
	v.setRequest(r.URL.Query().Get("request"))
	p.show(w, http.StatusOK, "forgot", v)
}

// Forgot answers POST /account/forgot: a letter by which a new password can be set. The
// answer is the same whether the address has an account or not.
func (p *Pages) Forgot(w http.ResponseWriter, r *http.Request) {
	form, e, ok := p.readPosted(w, r, audit.Event{Action: audit.LetterAsked})
	if !ok {
		return
	}
	v := view{language: p.languageOf(r, ""), Name: form.Get("email")}
	v.setRequest(form.Get("request"))
	if e == nil {
		e = p.Told(r.Context(), p.Users.AskReset(r.Context(), v.Name, v.Lang))
	}
	if e != nil {
		p.showAgain(w, r, "forgot", v, e)
		return
	}
	p.show(w, http.StatusOK, "sent", v)
}

// AskReset answers GET /account/reset, where a letter leads, with the form for a new
// password. It looks up no token: who opens a link to see whether it does harm spends
// nothing. What can be no token it says at once.
func (p *Pages) AskReset(w http.ResponseWriter, r *http.Request) {
	v := p.view(w, r)
	if v.LinkToken = r.URL.Query().Get("token"); !users.IsResetToken(v.LinkToken) {
		v.LinkToken = ""
		p.showAgain(w, r, "reset", v, refusal.New(refusal.BadResetToken, audit.ReasonBadResetToken, ""))
		return
	}
	p.show(w, http.StatusOK, "reset", v)
}

// Reset answers POST /account/reset: it sets the password, and every session ends.
func (p *Pages) Reset(w http.ResponseWriter, r *http.Request) {
	form, e, ok := p.readPosted(w, r, audit.Event{Action: audit.ResetRedeemed})
	if !ok {
		return
	}
	v := view{language: p.languageOf(r, ""), LinkToken: form.Get("link")}
	if e == nil {
		e = p.Told(r.Context(), p.Users.RedeemReset(r.Context(), v.LinkToken, form.Get("new_password")))
	}
	if e != nil {
		if e.Code == refusal.BadResetToken {
			v.LinkToken = "" // no other password would help
		}
		p.showAgain(w, r, "reset", v, e)
		return
	}
	v.Token, v.Note = p.formToken(w, r), "reset_done"
	p.show(w, http.StatusOK, "login", v)
}
