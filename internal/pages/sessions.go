package pages

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/devices"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/oauth"
)

// session is one session as its user sees it.
type session struct {
	ID, ClientID, Device string
	// Address is where it was begun from, by the browser if by one, and Here says that this browser is at
	// the same.
	Address              string
	Here, Current        bool
	CreatedAt, RotatedAt time.Time
}

// ListSessions answers GET /account/sessions with the live sessions of the user.
func (p *Pages) ListSessions(w http.ResponseWriter, r *http.Request) {
	v, login, ok := p.whose(w, r)
	if !ok {
		return
	}
	families, e := p.OAuth.Sessions(r.Context(), login.Caller())
	if e != nil {
		p.showError(w, r, e)
		return
	}
	here := audit.RequestFrom(r.Context()).IP
	for _, f := range families {
		s := session{
			ID: f.ID, ClientID: f.ClientID, Device: devices.Of(f.FirstUserAgent), Address: f.FirstIP, Here: sameNetwork(f.FirstIP, here),
			Current: f.ID == login.Caller().SessionID, CreatedAt: f.CreatedAt, RotatedAt: f.RotatedAt,
		}
		if s.Current {
			v.Sessions = append([]session{s}, v.Sessions...)
		} else {
			v.Sessions = append(v.Sessions, s)
		}
	}
	p.show(w, http.StatusOK, "sessions", v)
}

// sameNetwork reports whether two addresses are one, or of IPv6 in one network: there
// every device has its own.
func sameNetwork(a, b string) bool {
	x, err := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	if err != nil || errY != nil {
		return false
	}
	if x.Is4() || x.Is4In6() {
		return x.Unmap() == y.Unmap()
	}
	return netip.PrefixFrom(x, 64).Masked().Contains(y)
}

// EndSessions answers POST /account/sessions: it ends the session that the form names,
// or all but this browser's.
func (p *Pages) EndSessions(w http.ResponseWriter, r *http.Request) {
	form, login, e := p.readFormOf(r, audit.Event{Action: audit.SessionEnded})
	if e == nil {
		e = p.endSessions(r, form.Get("session"), login.Caller())
	}
	if e != nil {
		p.showError(w, r, e)
		return
	}
	lead(w, view{language: p.languageOf(r, ""), pages: p}.Path("sessions"))
}

func (p *Pages) endSessions(r *http.Request, id string, by oauth.Caller) *refusal.Error {
	if id != "others" {
		return p.OAuth.EndSession(r.Context(), by, id)
	}
	_, err := p.Users.EndOtherSessions(r.Context(), by.UserID, by.SessionID, "")
	return p.Told(r.Context(), err)
}
