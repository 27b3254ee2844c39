package pages

import (
	"cmp"
	"net/http"

	"github.com/keyturn/keyturn/internal/audit"
)

// AskPassword answers GET /account/password with the form for another password.
func (p *Pages) AskPassword(w http.ResponseWriter, r *http.Request) {
	if v, _, ok := p.whose(w, r); ok {
		p.show(w, http.StatusOK, "password", v)
	}
}

// ChangePassword answers POST /account/password. The browser's own log-in goes on; every
// other session ends.
func (p *Pages) ChangePassword(w http.ResponseWriter, r *http.Request) {
	form, login, e := p.readFormOf(r, audit.Event{Action: audit.PasswordChanged})
	if e != nil && (e != foreignForm || login.User.UID == "") {
		p.showError(w, r, e)
		return
	}
	v := p.view(w, r)
	v.User = cmp.Or(login.User.Email, login.User.Username)
	if e == nil {
		by := login.Caller()
		e = p.Told(r.Context(), p.Users.ChangePassword(r.Context(), by.UserID, form.Get("current_password"), form.Get("new_password"), by.SessionID))
	}
	if e != nil {
		p.showAgain(w, r, "password", v, e)
		return
	}
	v.Note = "password_changed"
	p.show(w, http.StatusOK, "account", v)
}
