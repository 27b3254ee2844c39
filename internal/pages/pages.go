// Package pages shows people the pages of the server: where they log in, what went
// wrong, and who is logged in. It decides nothing: each handler reads the request,
// makes one call and shows the answer. The pages work without JavaScript.
package pages

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/problem"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/oauth"
)

// The paths of the pages and of what belongs to them, below the issuer.
const (
	AuthorizePath = "/oauth/authorize"
	AccountPath   = "/account"
	LogInPath     = "/account/login"
	LogOutPath    = "/account/logout"
	StylePath     = "/account/style.css"
	ScriptPath    = "/account/post.js"
)

// Style and Script are served at StylePath and ScriptPath.
var (
	//go:embed assets/style.css
	Style []byte
	//go:embed assets/post.js
	Script []byte
)

//go:embed templates/*.html
var files embed.FS

var templates = template.Must(template.ParseFS(files, "templates/*.html"))

// Pages are the handlers. Create them with New.
type Pages struct {
	// Recorder takes what no call into OAuth has recorded.
	decision.Recorder
	oauth *oauth.Service
	// base is the path of the issuer, origin its origin.
	base, origin string
	cookies      cookies
}

// New returns the pages of an issuer.
func New(issuer string, service *oauth.Service, recorder decision.Recorder) (*Pages, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, err
	}
	p := &Pages{
		Recorder: recorder, oauth: service,
		base: strings.TrimRight(u.EscapedPath(), "/"), origin: u.Scheme + "://" + u.Host,
		cookies: newCookies(u.Scheme == "https"),
	}
	return p, nil
}

// view is what a template is shown of.
type view struct {
	language
	// Base is the path of the issuer, Token that of the forms (see forms.go).
	Base, Token string
	// Request is the authorization request to go on with, a query; ClientID who
	// makes it, and Name the name to log in with.
	Request, ClientID, Name string
	// Wrong is the message about what went wrong, by its key; Detail says more, in
	// English and for who develops, and RequestID names the event.
	Wrong, Detail, RequestID string
	// User is who is logged in, Note a message by its key.
	User, Note string
	// Answer is what the browser is to post to a client.
	Answer *oauth.Answer
}

// The header that no page goes without. There is no form-action: browsers hold it
// against every redirect that follows a form, and the last of these leads to a
// client, which may lead on to anywhere.
const (
	policy       = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
	scriptPolicy = policy + "; script-src 'self'"
)

// show writes a page.
func (p *Pages) show(w http.ResponseWriter, status int, page string, v view) {
	v.Base = p.base
	var body bytes.Buffer
	if err := templates.ExecuteTemplate(&body, page+".html", v); err != nil {
		problem.Write(w, problem.Internal, "")
		return
	}
	h := w.Header()
	if v.Answer != nil {
		h.Set("Content-Security-Policy", scriptPolicy)
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	// An error here means that the caller has gone.
	_, _ = w.Write(body.Bytes())
}

// Protect sets the headers of every answer of the pages.
func Protect(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// showError shows what cannot be told to a client.
func (p *Pages) showError(w http.ResponseWriter, r *http.Request, e *refusal.Error) {
	status := http.StatusBadRequest
	v := view{language: languageOf(r, ""), Wrong: "bad_request", Detail: e.Public(), RequestID: w.Header().Get("X-Request-Id")}
	switch {
	case e.Temporary():
		status, v.Wrong = http.StatusServiceUnavailable, "unavailable"
		problem.RetryAfter(w, e.RetryAfter)
	case e.Code == refusal.TooLarge:
		status = http.StatusRequestEntityTooLarge
	case e.Code == refusal.WrongEncoding:
		status = http.StatusUnsupportedMediaType
		w.Header().Set("Accept-Encoding", "identity") // RFC 9110 §15.5.16
	}
	p.show(w, status, "error", v)
}

// lead sends the browser on with GET, whatever it came with (RFC 9700 §4.12).
func lead(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// Action is where the answer is posted to: a redirect URI that a client is
// registered with, of whatever scheme.
func (v view) Action() template.URL { return template.URL(v.Answer.RedirectURI) }
