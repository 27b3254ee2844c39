package pages

import (
	"net/http"

	"github.com/keyturn/keyturn/internal/audit"
)

// AskPassword answers GET /account/password with the form for another password.
func (p *Pages) AskPassword(w http.ResponseWriter, r *http.Request) {
	p.askFresh(w, r, "password")
}

// ChangePassword answers POST /account/password. The browser's own log-in goes on; every
// other session ends.
func (p *Pages) ChangePassword(w http.ResponseWriter, r *http.Request) {
	form, login, e := p.readFormOf(r, audit.Event{Action: audit.PasswordChanged})
	if e != nil && (e != foreignForm || login.User.UID == "") {
		p.showError(w, r, e)
		return
	}
	v, by := p.view(w, r), login.Caller()
	v.User = nameOf(login)
	if e == nil {
		if e = p.OAuth.Fresh(by); e != nil {
			p.showError(w, r, p.Conclude(r.Context(), audit.Event{Action: audit.PasswordChanged, UserID: by.UserID, SessionID: by.SessionID}, e))
			return
		}
		e = p.Told(r.Context(), p.Users.ChangePassword(r.Context(), by.UserID, form.Get("current_password"), form.Get("new_password"), by.SessionID))
	}
	if e != nil {
		p.showAgain(w, r, "password", v, e)
		return
	}
	v.Note = "password_changed"
	p.show(w, http.StatusOK, "account", v)
}
