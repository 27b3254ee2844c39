package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// browser is somebody with a browser: it keeps cookies, reads forms, and follows
// redirects within the server when it is told to.
type browser struct {
	w       *world
	cookies map[string]string
	// set is what the last answer set.
	set map[string]*http.Cookie
}

func (w *world) browser() *browser { return &browser{w: w, cookies: map[string]string{}} }

func (b *browser) do(r *http.Request) *httptest.ResponseRecorder {
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	rec := b.w.serve(r)
	b.set = map[string]*http.Cookie{}
	for _, c := range rec.Result().Cookies() {
		b.set[c.Name] = c
		if b.cookies[c.Name] = c.Value; c.Value == "" {
			delete(b.cookies, c.Name)
		}
	}
	return rec
}

func (b *browser) get(path string) *httptest.ResponseRecorder {
	return b.do(httptest.NewRequest("GET", path, nil))
}

func (b *browser) post(path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(r)
}

var (
	fields  = regexp.MustCompile(`<input [^>]*name="([^"]*)"[^>]*>`)
	valueOf = regexp.MustCompile(` value="([^"]*)"`)
	target  = regexp.MustCompile(`<form method="post" action="([^"]*)">`)
)

// formOn returns the form of a page, as it stands there.
func formOn(t testing.TB, rec *httptest.ResponseRecorder) (action string, values url.Values) {
	t.Helper()
	body := rec.Body.String()
	at := target.FindStringSubmatch(body)
	if at == nil {
		t.Fatalf("status %d without a form: %s", rec.Code, body)
	}
	values = url.Values{}
	for _, field := range fields.FindAllStringSubmatch(body, -1) {
		value := ""
		if strings.Contains(field[0], "checkbox") && !strings.Contains(field[0], " checked") {
			continue
		}
		if v := valueOf.FindStringSubmatch(field[0]); v != nil {
			value = html.UnescapeString(v[1])
		}
		values.Add(field[1], value)
	}
	return html.UnescapeString(at[1]), values
}

// logIn fills in the form of a page.
func (b *browser) logIn(rec *httptest.ResponseRecorder, name, password string) *httptest.ResponseRecorder {
	b.w.t.Helper()
	action, values := formOn(b.w.t, rec)
	values.Set("username", name)
	values.Set("password", password)
	return b.post(action, values)
}

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// asks is an authorization request of the shop's, changed.
func asks(change func(url.Values)) url.Values {
	v := url.Values{
		"response_type": {"code"}, "client_id": {"shop"}, "redirect_uri": {callback}, "scope": {"openid email profile"},
		"state": {"st&te"}, "nonce": {"n-1"}, "code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"},
	}
	if change != nil {
		change(v)
	}
	return v
}

func (b *browser) authorize(v url.Values) *httptest.ResponseRecorder {
	return b.get("/oauth/authorize?" + v.Encode())
}

// loggedIn is a browser that has logged in.
func (w *world) loggedIn() *browser {
	w.t.Helper()
	b := w.browser()
	if rec := b.logIn(b.get("/account"), email, password); rec.Code != 303 {
		w.t.Fatalf("log-in: status %d: %s", rec.Code, rec.Body)
	}
	return b
}

// answerIn returns the parameters of a redirect to the client.
func answerIn(t testing.TB, rec *httptest.ResponseRecorder) url.Values {
	t.Helper()
	location := rec.Header().Get("Location")
	rest, ok := strings.CutPrefix(location, callback+"&")
	if rec.Code != 303 || !ok {
		body, _ := io.ReadAll(rec.Body)
		t.Fatalf("status %d, led to %q: %s", rec.Code, location, body)
	}
	v, err := url.ParseQuery(rest)
	must(t, err)
	return v
}

// code has a browser that has logged in get a code.
func (b *browser) code(change func(url.Values)) string {
	b.w.t.Helper()
	v := answerIn(b.w.t, b.authorize(asks(change)))
	if v.Get("code") == "" {
		b.w.t.Fatalf("no code: %v", v)
	}
	return v.Get("code")
}

// exchange is the shop's request for the tokens of a code, changed.
func exchanges(code string, change func(url.Values)) url.Values {
	v := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
	if change != nil {
		change(v)
	}
	return v
}
