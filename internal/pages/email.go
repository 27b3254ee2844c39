package pages

import (
	"net/http"

	"github.com/keyturn/keyturn/internal/audit"
)

// AskEmail answers GET /account/email with the form for another e-mail address.
func (p *Pages) AskEmail(w http.ResponseWriter, r *http.Request) { p.askFresh(w, r, "email") }

// ChangeEmail answers POST /account/email: a letter to the address, by whose link the
// account has it. The answer is the same whether another account has it or not.
func (p *Pages) ChangeEmail(w http.ResponseWriter, r *http.Request) {
	form, login, e := p.readFresh(r, audit.Event{Action: audit.LetterAsked})
	if e != nil {
		p.showError(w, r, e)
		return
	}
	v := p.view(w, r)
	v.User, v.Name = nameOf(login), form.Get("email")
	if e = p.Told(r.Context(), p.Users.AskEmail(r.Context(), login.User.UID, login.Caller().SessionID, v.Name, v.Lang)); e != nil {
		p.showAgain(w, r, "email", v, e)
		return
	}
	v.Note = "email_asked"
	p.show(w, http.StatusOK, "account", v)
}
