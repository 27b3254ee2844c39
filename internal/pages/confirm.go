package pages

import (
	"net/http"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/users"
)

// AskConfirm answers GET /account/confirm, where a letter leads, with what is confirmed
// and a button to do so by. It spends nothing: programs open links before people do. Of a
// token that cannot count it says so at once.
func (p *Pages) AskConfirm(w http.ResponseWriter, r *http.Request) {
	v := p.view(w, r)
	if !p.setLink(&v, r.URL.Query().Get("token")) {
		p.showVoid(w, r, v, refusal.New(refusal.BadResetToken, audit.ReasonBadResetToken, ""))
		return
	}
	p.show(w, http.StatusOK, "confirm", v)
}

// showVoid shows that a link does not count, and where to have another letter sent.
func (p *Pages) showVoid(w http.ResponseWriter, r *http.Request, v view, e *refusal.Error) {
	v.LinkToken = ""
	p.showAgain(w, r, "confirm", v, e)
}

// Confirm answers POST /account/confirm. Who made an account by it is logged in at once:
// the form had the password.
func (p *Pages) Confirm(w http.ResponseWriter, r *http.Request) {
	form, e, ok := p.readPosted(w, r, audit.Event{Action: audit.UserSignedUp})
	if !ok {
		return
	}
	v := view{language: p.languageOf(r, "")}
	p.setLink(&v, form.Get("link"))
	var u users.User
	var made bool
	if e == nil {
		var err error
		u, made, err = p.Users.Confirm(r.Context(), v.LinkToken, form.Get("password"))
		e = p.Told(r.Context(), err)
	}
	if e == nil && made {
		cookie, e := p.OAuth.LogInBrowser(r.Context(), u.Email, form.Get("password"), read(r, p.cookies.session), false, nil)
		if e == nil {
			p.cookies.logIn(w, cookie, false)
			lead(w, view{language: v.language, pages: p}.Path(""))
			return
		}
		// A second factor may be due, or the log-in too much just now.
	}
	switch {
	case e == nil:
		v.Token, v.Note = p.formToken(w, r), "confirmed"
		page := "login"
		if login, err := p.OAuth.LoginOf(r.Context(), read(r, p.cookies.session)); err == nil && login.User.UID == u.UID {
			v.User, page = nameOf(login), "account"
		}
		p.show(w, http.StatusOK, page, v)
	case e.Code == refusal.Taken && e.Field == "email": // the link was opened before
		p.showAgain(w, r, "login", v, e)
	case e.Code == refusal.BadResetToken:
		p.showVoid(w, r, v, e)
	default:
		p.showAgain(w, r, "confirm", v, e)
	}
}

// setLink has v be about the token of a letter's link, and reports whether that may count.
func (p *Pages) setLink(v *view, token string) (good bool) {
	v.LinkToken, v.ChangesAddress = token, users.ChangesAddress(token)
	v.Name, good = p.Users.LinkAddress(token)
	return good
}

// AsksPassword says whether the link of a letter makes an account, of whose password its
// user is asked.
func (v view) AsksPassword() bool { return users.MakesAccount(v.LinkToken) }
