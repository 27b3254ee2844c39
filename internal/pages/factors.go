package pages

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"rsc.io/qr"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/devices"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/oauth"
)

// Factors answers GET /account/factors with the second factors of the user.
func (p *Pages) Factors(w http.ResponseWriter, r *http.Request) {
	if v, login, ok := p.whose(w, r); ok {
		v.Factors = login.User.Factors
		p.show(w, http.StatusOK, "factors", v)
	}
}

// ChangeFactors answers POST /account/factors: it removes the second factor that the
// form names, or makes new recovery codes.
func (p *Pages) ChangeFactors(w http.ResponseWriter, r *http.Request) {
	event := audit.Event{Action: audit.FactorRemoved}
	form, login, e := p.readFormOf(r, event)
	id := form.Get("remove")
	if e == nil {
		if id == "" {
			event.Action = audit.RecoveryRenewed
		}
		event.UserID, event.SessionID = login.User.UID, login.Caller().SessionID
		if e = p.OAuth.Fresh(login.Caller()); e != nil {
			e = p.Conclude(r.Context(), event, e)
		}
	}
	var codes []string
	if e == nil {
		var err error
		if id == "" {
			codes, err = p.Users.RenewRecoveryCodes(r.Context(), login.User.UID)
		} else {
			err = p.Users.RemoveFactor(r.Context(), login.User.UID, id)
		}
		e = p.Told(r.Context(), err)
	}
	if e != nil {
		p.showError(w, r, e)
		return
	}
	p.afterFactor(w, r, login, codes)
}

// afterFactor shows new recovery codes, if there are any, or leads to the factors.
func (p *Pages) afterFactor(w http.ResponseWriter, r *http.Request, login oauth.Login, codes []string) {
	v := p.view(w, r)
	v.pages, v.User, v.Codes = p, nameOf(login), codes
	if v.Next = v.Path("factors"); codes == nil {
		lead(w, v.Next)
		return
	}
	p.show(w, http.StatusOK, "recovery", v)
}

func nameOf(l oauth.Login) string { return cmp.Or(l.User.Email, l.User.Username) }

// AskApp answers GET /account/factors/app with what an authenticator app, or a passkey,
// is set up with.
func (p *Pages) AskApp(w http.ResponseWriter, r *http.Request) {
	v, login, ok := p.whose(w, r)
	if !ok {
		return
	}
	if e := p.OAuth.Fresh(login.Caller()); e != nil {
		p.showError(w, r, e)
		return
	}
	made := p.OAuth.BeginEnrolment(login.User)
	v.Challenge, v.Secret, v.URI, v.Options = made.Challenge, made.Secret, made.URI, made.Options
	p.show(w, http.StatusOK, "enrol", v)
}

// AddApp answers POST /account/factors/app: the app is in force once a code of it came, a
// passkey once it was made.
func (p *Pages) AddApp(w http.ResponseWriter, r *http.Request) {
	form, login, e := p.readFormOf(r, audit.Event{Action: audit.FactorEnrolled})
	var codes []string
	if e == nil {
		codes, e = p.OAuth.Enrol(r.Context(), login.Caller(), answerIn(r, form))
	}
	switch {
	case e == nil:
		p.afterFactor(w, r, login, codes)
	case e.Secret != "":
		v := p.view(w, r)
		v.User = nameOf(login)
		v.askFor(e)
		p.showAgain(w, r, "enrol", v, e)
	default:
		p.showError(w, r, e)
	}
}

// answerIn is the answer to a challenge that a form has. A passkey is called after the
// device that it is made on.
func answerIn(r *http.Request, form url.Values) oauth.FactorAnswer {
	a := oauth.FactorAnswer{Challenge: form.Get("challenge"), Code: form.Get("code")}
	if made := form.Get("credential"); made != "" {
		a.Passkey, a.Name = []byte(made), devices.Of(r.UserAgent())
	}
	return a
}

// askFor has a page ask for the second factor that is due.
func (v *view) askFor(e *refusal.Error) {
	v.Challenge, v.Secret, v.URI, v.Options = e.Challenge, e.Secret, e.URI, e.Options
}

// Key is the secret in groups that people can type.
func (v view) Key() string {
	var groups []string
	for group := range slices.Chunk([]byte(v.Secret), 4) {
		groups = append(groups, string(group))
	}
	return strings.Join(groups, " ")
}

// picture is a QR code as an SVG path, in modules.
type picture struct {
	Width int
	Path  string
}

// Picture is the QR code by which an authenticator app is set up, nil if there is none.
func (v view) Picture() *picture {
	code, err := qr.Encode(v.URI, qr.L)
	if err != nil {
		return nil
	}
	var path strings.Builder
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", x, y)
			}
		}
	}
	return &picture{code.Size + 8, path.String()}
}
