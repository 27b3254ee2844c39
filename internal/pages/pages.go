// Package pages shows people the pages of the server: where they log in or sign up,
// what went wrong, and what they see of their account. It decides nothing: each handler
// reads the request, makes one call and shows the answer. The pages work without
// JavaScript, but for passkeys.
package pages

import (
	"bytes"
	"embed"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/messages"
	"github.com/keyturn/keyturn/internal/problem"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// The paths of the pages and of what belongs to them, below the issuer.
const (
	AuthorizePath    = "/oauth/authorize"
	EndSessionPath   = "/oauth/logout"
	AccountPath      = "/account"
	LogInPath        = "/account/login"
	LogOutPath       = "/account/logout"
	SignUpPath       = "/account/signup"
	ForgotPath       = "/account/forgot"
	ResetPath        = "/account/reset"
	ConfirmPath      = "/account/confirm"
	PasswordPath     = "/account/password"
	EmailPath        = "/account/email"
	SessionsPath     = "/account/sessions"
	FactorsPath      = "/account/factors"
	AppPath          = "/account/factors/app"
	ProfilePath      = "/account/profile"
	DataPath         = "/account/data"
	DeletePath       = "/account/delete"
	StylePath        = "/account/style.css"
	IconPath         = "/favicon.ico"
	ScriptPath       = "/account/post.js"
	PasskeyPath      = "/account/passkey.js"
	LogoPath         = "/account/logo"
	ConsentPath      = "/account/consent"
	ApplicationsPath = "/account/applications"
)

// Script is served at ScriptPath.
//
//go:embed assets/post.js
var Script []byte

// PasskeyScript is served at PasskeyPath.
//
//go:embed assets/passkey.js
var PasskeyScript []byte

//go:embed templates/*.html
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{"forPeople": forPeople}).ParseFS(files, "templates/*.html"))

// forPeople writes a time for people.
func forPeople(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// Options are what Pages need.
type Options struct {
	Issuer string
	OAuth  *oauth.Service
	Users  *users.Service
	// Recorder takes what no call into OAuth or Users has recorded.
	decision.Recorder
	Brand Brand
	// SignUp says that people may make themselves an account.
	SignUp bool
	// MessagesDir has files of messages beside those that are built in, or is empty.
	MessagesDir string
	// RememberTTL is how long a browser stays logged in if its user wants that, or zero
	// if nobody is asked.
	RememberTTL time.Duration
}

// Pages are the handlers. Create them with New.
type Pages struct {
	Options
	languages *messages.Languages
	style     []byte
	version   string
	// base is the path of the issuer, origin its origin.
	base, origin string
	cookies      cookies
}

// New returns the pages of an issuer.
func New(o Options) (*Pages, error) {
	u, err := url.Parse(o.Issuer)
	if err != nil {
		return nil, err
	}
	p := &Pages{
		Options: o,
		base:    strings.TrimRight(u.EscapedPath(), "/"), origin: u.Scheme + "://" + u.Host,
		cookies: newCookies(u.Scheme == "https"),
	}
	p.style, p.version = o.Brand.style()
	p.languages, err = readLanguages(o.MessagesDir)
	return p, err
}

// The header that no page goes without. There is no form-action: browsers hold it
// against every redirect that follows a form, and the last of these leads to a
// client, which may lead on to anywhere.
const (
	policy       = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
	scriptPolicy = policy + "; script-src 'self'"
)

// show writes a page.
func (p *Pages) show(w http.ResponseWriter, status int, page string, v view) {
	v.pages, v.Page = p, page
	if page == "login" {
		v.Challenge, v.Options = p.OAuth.AskPasskey("")
	}
	var body bytes.Buffer
	if err := templates.ExecuteTemplate(&body, page+".html", v); err != nil {
		problem.Write(w, problem.Internal, "")
		return
	}
	h := w.Header()
	if v.Answer != nil || v.Options != nil {
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

// showError shows a refusal that no form can be shown with again.
func (p *Pages) showError(w http.ResponseWriter, r *http.Request, e *refusal.Error) {
	v := view{language: p.languageOf(r, ""), Detail: e.Public(), RequestID: w.Header().Get("X-Request-Id")}
	var status int
	status, v.Wrong = wrongOf(e, "bad_request")
	switch {
	case e.Code == refusal.BadCredentials: // only somebody who is logged in can be shown more
		p.showLogIn(w, r, status, "log_in_first")
		return
	case e.Code == refusal.StaleLogin:
		p.showLogIn(w, r, status, v.Wrong)
		return
	case e.Temporary():
		problem.RetryAfter(w, e.RetryAfter)
	case e.Code == refusal.WrongEncoding:
		w.Header().Set("Accept-Encoding", "identity") // RFC 9110 §15.5.16
	}
	p.show(w, status, "error", v)
}

// showLogIn shows the form to log in by to who has to for what they asked for, and why;
// it leads back there.
func (p *Pages) showLogIn(w http.ResponseWriter, r *http.Request, status int, why string) {
	v := p.view(w, r)
	v.Wrong = why
	if login, err := p.OAuth.LoginOf(r.Context(), read(r, p.cookies.session)); err == nil {
		v.Name = nameOf(login) // too long ago
	}
	v.setBack(strings.TrimPrefix(r.URL.Path, AccountPath+"/"))
	p.show(w, status, "login", v)
}

// Absent answers what is no page to somebody who reads pages.
func (p *Pages) Absent(w http.ResponseWriter, r *http.Request, status int) {
	p.show(w, status, "error", view{language: p.languageOf(r, ""), Wrong: "no_page"})
}

// showAgain shows a form once more, and why.
func (p *Pages) showAgain(w http.ResponseWriter, r *http.Request, page string, v view, e *refusal.Error) {
	v.pages, v.Token, v.Field = p, p.formToken(w, r), e.Field
	var status int
	status, v.Wrong = wrongOf(e, "stale")
	switch {
	case v.Wrong == "wrong_credentials" && page == "password":
		v.Wrong, v.Field = "wrong_password", "current_password"
	case v.Wrong == "wrong_credentials" && page == "confirm":
		v.Wrong = "wrong_first_password"
	case v.Wrong == "throttled" && page == "code":
		v.Wrong = "throttled_code"
	case v.Wrong == "bad_link" && !v.Mail():
		v.Wrong = "bad_token" // of an operator
	}
	if e.Temporary() {
		problem.RetryAfter(w, e.RetryAfter)
	}
	p.show(w, status, page, v)
}

// wrongOf returns the status of a refusal and the key of the message about it; malformed
// is that of a request that is not as it should be.
func wrongOf(e *refusal.Error, malformed string) (status int, key string) {
	switch {
	case e == foreignForm:
		return http.StatusForbidden, "stale"
	case e.Code == refusal.BadCredentials:
		return http.StatusForbidden, "wrong_credentials"
	case e.Code == refusal.WrongCode && e.Reason != audit.ReasonWrongCode && e.Reason != audit.ReasonUsedCode:
		return http.StatusForbidden, "wrong_passkey"
	case e.Code == refusal.WrongCode:
		return http.StatusForbidden, "wrong_code"
	case e.Code == refusal.BadChallenge:
		return http.StatusForbidden, "stale"
	case e.Code == refusal.BadResetToken:
		return http.StatusForbidden, "bad_link"
	case e.Code == refusal.StaleLogin:
		return http.StatusForbidden, "log_in_again"
	case e.Code == refusal.Unacceptable && e.Reason == audit.ReasonInvalidFactor:
		return http.StatusUnprocessableEntity, "factors_most"
	case e.Code == refusal.Throttled:
		return http.StatusTooManyRequests, "throttled"
	case errors.Is(e.Cause, decision.ErrOwed):
		return http.StatusServiceUnavailable, "to_follow"
	case e.Temporary():
		return http.StatusServiceUnavailable, "unavailable"
	case e.Code == refusal.Unfinished:
		return http.StatusServiceUnavailable, "to_follow"
	case e.Code == refusal.Conflict:
		return http.StatusConflict, "unavailable"
	case e.Code == refusal.Taken:
		return http.StatusConflict, "email_taken"
	case e.Code == refusal.Unacceptable && e.Field == "password":
		return http.StatusUnprocessableEntity, "password_refused"
	case e.Code == refusal.Unacceptable && e.Field == "email":
		return http.StatusUnprocessableEntity, "email_refused"
	case e.Code == refusal.Unacceptable:
		return http.StatusUnprocessableEntity, "name_refused"
	case e.Code == refusal.NotFound:
		return http.StatusNotFound, "gone"
	case e.Code == refusal.TooLarge:
		return http.StatusRequestEntityTooLarge, malformed
	case e.Code == refusal.WrongEncoding:
		return http.StatusUnsupportedMediaType, malformed
	}
	return http.StatusBadRequest, malformed
}

// lead sends the browser on with GET, whatever it came with (RFC 9700 §4.12).
func lead(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}
