package pages

import (
	"encoding/json"
	"net/http"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/problem"
)

// Profile answers GET /account/profile with the names of the user.
func (p *Pages) Profile(w http.ResponseWriter, r *http.Request) {
	if v, login, ok := p.whose(w, r); ok {
		v.FirstName, v.LastName = login.User.FirstName, login.User.LastName
		p.show(w, http.StatusOK, "profile", v)
	}
}

// ChangeProfile answers POST /account/profile.
func (p *Pages) ChangeProfile(w http.ResponseWriter, r *http.Request) {
	form, login, e := p.readFormOf(r, audit.Event{Action: audit.UserChanged})
	if e != nil {
		p.showError(w, r, e)
		return
	}
	v := p.view(w, r)
	v.User, v.FirstName, v.LastName = nameOf(login), form.Get("first_name"), form.Get("last_name")
	by := login.Caller()
	_, err := p.Users.ChangeNames(r.Context(), by.UserID, by.SessionID, &v.FirstName, &v.LastName)
	if e = p.Told(r.Context(), err); e != nil {
		p.showAgain(w, r, "profile", v, e)
		return
	}
	v.Note = "profile_changed"
	p.show(w, http.StatusOK, "profile", v)
}

// Data answers GET /account/data with a file of all that is kept about the user.
func (p *Pages) Data(w http.ResponseWriter, r *http.Request) {
	_, login, ok := p.whose(w, r)
	if !ok {
		return
	}
	data, e := p.OAuth.DataOf(r.Context(), login.Caller())
	if e != nil {
		p.showError(w, r, e)
		return
	}
	body, err := json.MarshalIndent(data, "", "  ")
	if err != nil {
		problem.Write(w, problem.Internal, "")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Disposition", `attachment; filename="account.json"`)
	// An error here means that the caller has gone.
	_, _ = w.Write(body)
}

// AskDelete answers GET /account/delete with the form by which one deletes the account.
func (p *Pages) AskDelete(w http.ResponseWriter, r *http.Request) { p.askFresh(w, r, "delete") }

// askFresh shows a form to who has just logged in, and has everybody else log in.
func (p *Pages) askFresh(w http.ResponseWriter, r *http.Request, page string) {
	v, login, ok := p.whose(w, r)
	if !ok {
		return
	}
	if e := p.OAuth.Fresh(login.Caller()); e != nil {
		p.showError(w, r, e)
		return
	}
	p.show(w, http.StatusOK, page, v)
}

// Delete answers POST /account/delete.
func (p *Pages) Delete(w http.ResponseWriter, r *http.Request) {
	_, login, e := p.readFresh(r, audit.Event{Action: audit.UserClosed})
	v := p.view(w, r)
	if e == nil {
		at, err := p.Users.Close(r.Context(), login.User.UID)
		e = p.Told(r.Context(), err)
		if v.Note = "account_deleted"; !at.IsZero() {
			v.Note = "account_closed"
		}
	}
	if e != nil {
		p.showError(w, r, e)
		return
	}
	p.cookies.logOut(w)
	p.show(w, http.StatusOK, "login", v)
}
