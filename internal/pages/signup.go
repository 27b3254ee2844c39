package pages

import (
	"net/http"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/users"
)

// AskSignUp answers GET /account/signup with the form to make oneself an account by.
func (p *Pages) AskSignUp(w http.ResponseWriter, r *http.Request) {
	v := p.view(w, r)
	v.setRequest(r.URL.Query().Get("request"))
	p.show(w, http.StatusOK, "signup", v)
}

// SignUp answers POST /account/signup. Whoever has an account then logs in with it: the
// password manager that has just kept the password fills it in. Where letters can be
// sent, the account is made by the link of one.
func (p *Pages) SignUp(w http.ResponseWriter, r *http.Request) {
	form, e, ok := p.readPosted(w, r, audit.Event{Action: audit.UserSignedUp})
	if !ok {
		return
	}
	n := users.NewUser{Email: form.Get("email"), FirstName: form.Get("first_name"), LastName: form.Get("last_name"), Password: form.Get("new_password")}
	v := view{language: p.languageOf(r, ""), Name: n.Email, FirstName: n.FirstName, LastName: n.LastName}
	switch {
	case e != nil:
	case p.Users.Post != nil:
		e = p.Told(r.Context(), p.Users.AskSignUp(r.Context(), n, v.Lang))
	default:
		_, err := p.Users.SignUp(r.Context(), n)
		e = p.Told(r.Context(), err)
	}
	v.setRequest(form.Get("request"))
	if e != nil {
		p.showAgain(w, r, "signup", v, e)
		return
	}
	if p.Users.Post != nil {
		p.show(w, http.StatusOK, "sent", v)
		return
	}
	v.Token, v.Note = p.formToken(w, r), "signed_up"
	p.show(w, http.StatusCreated, "login", v)
}
