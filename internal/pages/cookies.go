package pages

import (
	"net/http"
	"time"

	"github.com/keyturn/keyturn/oauth"
)

// cookies are the names of the two cookies. Over https they begin so that no
// other host and no plain connection can set them (RFC 6265bis §4.1.3.2); over plain
// http, which only an issuer on this machine may have, browsers would not take that.
type cookies struct {
	session, form string
	secure        bool
}

func newCookies(secure bool) cookies {
	if secure {
		return cookies{"__Host-keyturn", "__Host-keyturn-form", true}
	}
	return cookies{"keyturn", "keyturn-form", false}
}

// read returns the value of a cookie, or "" where there is none, or several.
func read(r *http.Request, name string) string {
	if found := r.CookiesNamed(name); len(found) == 1 {
		return found[0].Value
	}
	return ""
}

// set gives the browser a cookie; without a time it ends with the browser's own
// session. Lax, and not Strict: a log-in begins at another site.
func (c cookies) set(w http.ResponseWriter, name, value string, expires time.Time) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", Expires: expires, Secure: c.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// logIn keeps a log-in as long as it counts, or only until the browser is closed.
func (c cookies) logIn(w http.ResponseWriter, made oauth.Cookie, remember bool) {
	if !remember {
		made.Expires = time.Time{}
	}
	c.set(w, c.session, made.Value, made.Expires)
}

func (c cookies) logOut(w http.ResponseWriter) { c.set(w, c.session, "", time.Unix(1, 0)) }
