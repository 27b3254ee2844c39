package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/keyturn/keyturn/internal/dpop/dpoptest"
	"github.com/keyturn/keyturn/internal/mail"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/throttle"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// exchange is what openapicheck reads: one request and its answer.
type exchange struct {
	Name          string
	Good          bool
	Method, URL   string
	Header        http.Header
	Body          []byte
	Status        int
	AnswerHeader  http.Header
	AnswerContent []byte
}

// stenographer passes requests on and writes down what was said.
type stenographer struct {
	name      string
	next      http.Handler
	exchanges []exchange
}

func (s *stenographer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	x := exchange{Name: s.name, Method: r.Method, URL: issuer + r.URL.String(), Header: r.Header.Clone(), Body: body}
	rec := httptest.NewRecorder()
	s.next.ServeHTTP(rec, r)
	x.Status, x.AnswerHeader, x.AnswerContent = rec.Code, rec.Header().Clone(), rec.Body.Bytes()
	x.Good = x.Status < 400
	s.exchanges = append(s.exchanges, x)
	maps.Copy(w.Header(), rec.Header())
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

// listen has every request to the world written down.
func (w *world) listen(name string) *stenographer {
	s := &stenographer{name: name, next: w.handler}
	w.handler = s
	return s
}

// TestOpenAPI holds docs/openapi.yaml against the server, both ways: every
// answer that occurs is as described, and every answer that is described
// occurs. The description is also what is served.
func TestOpenAPI(t *testing.T) {
	var all []exchange
	for _, d := range decisions() {
		for _, broken := range []bool{false, true} {
			w := newWorld(t)
			held := w.login()
			s := w.listen(d.name)
			w.journal.breakDown(broken)
			d.send(w, held)
			all = append(all, s.exchanges...)
		}
	}
	for name, journey := range rareAnswers() {
		w := newWorld(t)
		s := w.listen(name)
		journey(t, w)
		all = append(all, s.exchanges...)
	}
	path, err := filepath.Abs(filepath.Join("..", "..", "docs", "openapi.yaml"))
	must(t, err)
	for _, wrong := range openAPICheck(t, path, all) {
		t.Error(wrong)
	}
	for _, answer := range neverGiven(documented(t, path), all) {
		t.Errorf("%s is described and never occurred", answer)
	}
	w := newWorld(t)
	text, err := os.ReadFile(path)
	must(t, err)
	if rec := w.serve(httptest.NewRequest("GET", "/openapi.yaml", nil)); rec.Body.String() != string(text) {
		t.Error("what is served is not docs/openapi.yaml")
	}
}

// TestOpenAPIIsHeldAgainstTheServer takes an answer that occurs out of the
// description and puts one in that never does: both are complained of.
func TestOpenAPIIsHeldAgainstTheServer(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "openapi.yaml"))
	must(t, err)
	var description map[string]any
	must(t, yaml.Unmarshal(text, &description))
	responses := func(path, method string) map[string]any {
		operation := description["paths"].(map[string]any)[path].(map[string]any)[method].(map[string]any)
		return operation["responses"].(map[string]any)
	}
	token, health := responses("/oauth/token", "post"), responses("/healthz", "get")
	delete(token, "200")
	health["418"] = health["200"]
	text, err = yaml.Marshal(description)
	must(t, err)
	path := filepath.Join(t.TempDir(), "openapi.yaml")
	must(t, os.WriteFile(path, text, 0o600))

	w := newWorld(t)
	s := w.listen("a login")
	w.login()
	w.get("/healthz")
	w.post("/oauth/token", values{"grant_type": {"password"}, "username": {email}, "password": {"wrong"}})
	complaints := openAPICheck(t, path, s.exchanges)
	if len(complaints) != 1 || !strings.Contains(complaints[0], "POST /oauth/token answered 200") {
		t.Errorf("complaints: %q; want one, of the login's 200, which is not described", complaints)
	}
	never := neverGiven(documented(t, path), s.exchanges)
	for answer, want := range map[string]bool{"GET /healthz 418": true, "GET /healthz 200": false, "POST /oauth/token 400": false} {
		if slices.Contains(never, answer) != want {
			t.Errorf("%s is said never to have occurred: %t; want %t", answer, !want, want)
		}
	}
}

// neverGiven are the answers described that are not among those given, in order.
func neverGiven(described map[string]bool, given []exchange) []string {
	left := maps.Clone(described)
	for _, x := range given {
		delete(left, fmt.Sprintf("%s %s %d", x.Method, template(x.URL), x.Status))
	}
	return slices.Sorted(maps.Keys(left))
}

// openAPICheck runs the validator, which is a module of its own, and returns
// what it finds.
func openAPICheck(t *testing.T, description string, all []exchange) []string {
	t.Helper()
	var in bytes.Buffer
	enc := json.NewEncoder(&in)
	for _, x := range all {
		must(t, enc.Encode(x))
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", ".", description)
	cmd.Dir = "openapicheck"
	cmd.Stdin = &in
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openapicheck: %v\n%s", err, complaints.String())
	}
	if text := strings.TrimSpace(string(out)); text != "" {
		return strings.Split(text, "\n")
	}
	return nil
}

var oneOf = regexp.MustCompile(`/auth/(sessions|factors|grants)/[^/]+`)

// template is the path of a URL as the description has it.
func template(url string) string {
	path, _, _ := strings.Cut(strings.TrimPrefix(url, issuer), "?")
	if path == "/auth/factors/totp" || path == "/auth/factors/passkey" {
		return path
	}
	return oneOf.ReplaceAllString(path, "/auth/$1/{id}")
}

// documented lists every answer that is described.
func documented(t *testing.T, path string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	var description struct {
		Paths map[string]map[string]struct{ Responses map[string]any }
	}
	must(t, yaml.Unmarshal(text, &description))
	answers := map[string]bool{}
	for path, operations := range description.Paths {
		for method, o := range operations {
			for status := range o.Responses {
				answers[strings.ToUpper(method)+" "+path+" "+status] = true
			}
		}
	}
	if len(answers) < 50 {
		t.Fatalf("only %d answers are described", len(answers))
	}
	return answers
}

// get asks for a path, with headers in pairs.
func (w *world) get(path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return w.serve(r)
}

// rareAnswers are journeys to the answers that no decision in the table gets.
func rareAnswers() map[string]func(*testing.T, *world) {
	journeys := map[string]func(*testing.T, *world){}
	for _, d := range append(pageRefusals(), consentDecisions()...) {
		if d.status >= 403 && d.status < 500 || strings.HasPrefix(d.name, "/") {
			journeys["page: "+d.name] = func(_ *testing.T, w *world) { d.send(w, tokens{}) }
		}
	}
	for _, d := range ownDecisions() {
		journeys["own: "+d.name] = func(_ *testing.T, w *world) { d.send(w, w.login()) }
	}
	for _, d := range append(factorPages(), letterDecisions()...) {
		journeys["page: "+d.name] = func(_ *testing.T, w *world) { d.send(w, w.login()) }
	}
	maps.Copy(journeys, map[string]func(*testing.T, *world){
		"a page of a log-in of a while ago": func(t *testing.T, w *world) {
			said := w.handler.(*stenographer)
			b := w.loggedIn()
			later(w, app{}, nil)
			said.next, w.handler = w.handler, said
			b.get("/account/factors/app")
			b.get("/account/delete")
			b.get("/account/password")
		},
		"the form to log in by, of who has": func(_ *testing.T, w *world) {
			w.loggedIn().get("/account/login?request=" + url.QueryEscape(asks(nil).Encode()))
		},
		"one's own account, without its events": func(t *testing.T, w *world) {
			held, b := w.login(), w.loggedIn()
			_, form := formOn(t, b.get("/account/delete"))
			w.journal.breakDown(true)
			w.sendJSON("POST", "/auth/me", held.Access, map[string]string{"first_name": "Grace"})
			w.sendJSON("DELETE", "/auth/me", held.Access, nil)
			w.sendJSON("GET", "/auth/me/data", held.Access, nil)
			b.get("/account/data")
			b.post("/account/profile", form)
			b.post("/account/delete", form)
		},
		"documents": func(t *testing.T, w *world) {
			for _, path := range []string{"/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/openapi.yaml"} {
				w.get(path, "If-None-Match", w.get(path).Header().Get("ETag"))
			}
			w.get("/healthz")
			w.get("/readyz")
		},
		"pages": func(t *testing.T, w *world) {
			b := w.loggedIn()
			for _, path := range []string{"/account/style.css", "/account/post.js", "/account/passkey.js", "/account/logo", "/favicon.ico"} {
				w.get(path, "If-None-Match", w.get(path).Header().Get("ETag"))
			}
			for _, path := range []string{"/", "/account", "/account/login", "/account/logout", "/account/signup", "/account/password", "/account/profile", "/account/data", "/account/delete", "/account/sessions", "/account/applications", "/account/factors", "/account/factors/app"} {
				w.get(path)
			}
			w.browser().authorize(asks(nil))
			r := httptest.NewRequest("POST", "/oauth/authorize", strings.NewReader(asks(nil).Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w.serve(r)
			r = httptest.NewRequest("POST", "/oauth/logout", strings.NewReader(leaving("", nil).Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w.serve(r)
			w.asThirdParty()
			b.decide(b.authorize(asks(nil)), "allow", setting("user", "another"))
			b.leave(leaving("", setting("client_id", "nobody")))
			leaver := w.loggedIn()
			leaver.post(formOn(t, leaver.leave(leaving("", nil))))
			w.journal.breakDown(true)
			b.get("/account/applications")
			for _, path := range []string{"/oauth/authorize", "/oauth/logout"} {
				w.serve(httptest.NewRequest("POST", path, strings.NewReader("a")))
			}
			_, form := formOn(t, b.get("/account/factors/app"))
			for _, path := range []string{"/account/factors", "/account/factors/app"} {
				b.post(path, form)
			}
			must(t, w.store.Close())
			b.get("/account")
		},
		"no keys yet": func(t *testing.T, w *world) {
			keeper, err := keys.NewKeeper(keys.Options{
				Store: openSQLite(t), Vault: w.masters.Vault(), Audit: w.audit, Now: time.Now,
				Policy: keyPolicy("ES256"),
			})
			must(t, err)
			s := w.handler.(*stenographer)
			w.keeper = keeper
			s.next = w.build()
			for _, path := range []string{"/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
				w.get(path)
			}
		},
		"forms that are not read": func(t *testing.T, w *world) {
			for _, route := range borne() {
				method, path, _ := strings.Cut(route, " ")
				w.sendJSON(method, path, " ", nil)
			}
			for _, path := range []string{"/oauth/token", "/oauth/par", "/oauth/revoke", "/oauth/introspect"} {
				raw(path, strings.NewReader(""), "Content-Encoding", "gzip")(w, tokens{})
			}
		},
		"confirmations at the page": func(t *testing.T, w *world) {
			w.mailed()
			atConfirm(func(url.Values) {})(w, tokens{})
			must(t, w.users.SendLetter(t.Context(), w.uid, mail.Confirm, ""))
			w.deliver()
			link, _ := linkOf(t, w.smtp, 2)
			b := w.browser()
			action, form := formOn(t, b.get(link))
			b.post(action, form)
		},
		"letters that are not recorded": func(t *testing.T, w *world) {
			w.mailed()
			held, b := w.login(), w.loggedIn()
			w.get("/account/email")
			_, form := formOn(t, b.get("/account/email"))
			form.Set("email", augusta)
			w.journal.breakDown(true)
			w.sendJSON("POST", "/auth/forgot", "", map[string]string{"email": email})
			w.sendJSON("POST", "/auth/email", held.Access, map[string]string{"email": augusta})
			w.sendJSON("POST", "/auth/confirm", "", map[string]string{"token": "x"})
			for _, path := range []string{"/account/forgot", "/account/reset", "/account/confirm", "/account/email"} {
				b.post(path, form)
			}
			b.get("/account/reset?token=x")
			b.get("/account/confirm?token=x")
		},
		"another address, by who may not": func(t *testing.T, w *world) {
			w.mailed()
			foreign := read[tokens](t, w.postAs("/oauth/token", login("client_id", "page")), 200)
			for _, token := range []string{"", foreign.Access} {
				w.sendJSON("POST", "/auth/email", token, map[string]string{"email": augusta})
			}
			b := w.loggedIn()
			said := w.handler.(*stenographer)
			later(w, app{}, nil)
			said.next, w.handler = w.handler, said
			b.get("/account/email")
		},
		"a store that is closed": func(t *testing.T, w *world) {
			must(t, w.store.Close())
			w.get("/readyz")
		},
		"throttled": func(t *testing.T, w *world) {
			w.users.Throttle = throttle.New(w.store, time.Now)
			held := w.login()
			for range 40 {
				w.post("/oauth/token", values{"grant_type": {"password"}, "username": {email}, "password": {"wrong"}})
				w.sendJSON("POST", "/auth/login", "", map[string]string{"email": email, "password": "wrong"})
				w.sendJSON("POST", "/auth/password", held.Access, map[string]string{"current_password": "wrong", "new_password": "another long sentence"})
			}
			// Sign-up is slowed per network.
			for slow := false; !slow; {
				slow = w.sendJSON("POST", "/auth/signup", "", map[string]string{"email": email, "password": "a long enough sentence"}).Code == http.StatusTooManyRequests
			}
		},
		"bodies": func(t *testing.T, w *world) {
			held := w.login()
			for _, path := range []string{"/auth/signup", "/auth/login", "/auth/login/factor", "/auth/refresh", "/auth/reset", "/auth/password", "/auth/factors", "/auth/me"} {
				w.sendJSON("POST", path, held.Access, map[string]string{"email": strings.Repeat("x", 17<<10)})
				w.sendJSON("POST", path, held.Access, []string{"x"})
				r := httptest.NewRequest("POST", path, strings.NewReader("a=b"))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.Header.Set("Authorization", "Bearer "+held.Access)
				w.serve(r)
			}
			for _, path := range []string{"/oauth/par", "/oauth/revoke", "/oauth/introspect"} {
				w.post(path, values{"token": {strings.Repeat("x", 40<<10)}})
				w.post(path, values{})
				w.postAs(path, values{"token": {"x"}, "client_id": {"shop"}, "client_secret": {"wrong"}})
			}
		},
		"bearers": func(t *testing.T, w *world) {
			foreign := read[tokens](t, w.postAs("/oauth/token", login("client_id", "page")), 200)
			own := read[tokens](t, w.post("/oauth/token", values{"grant_type": {"client_credentials"}}), 200)
			held := w.login()
			for _, method := range []string{"GET", "POST"} {
				for _, token := range []string{"", held.Access, own.Access} {
					w.sendJSON(method, "/oauth/userinfo", token, nil)
				}
			}
			for path, method := range map[string]string{
				"/auth/logout": "POST", "/auth/me": "GET", "/auth/password": "POST", "/auth/sessions": "GET", "/auth/sessions/x": "DELETE", "/auth/grants": "GET", "/auth/grants/x": "DELETE",
			} {
				w.sendJSON(method, path, "", nil)
				w.sendJSON(method, path, foreign.Access, nil)
			}
			for _, route := range []string{"GET /auth/factors", "GET /auth/factors/totp", "GET /auth/factors/passkey", "POST /auth/factors", "DELETE /auth/factors/x", "POST /auth/recovery-codes", "POST /auth/me", "DELETE /auth/me", "GET /auth/me/data"} {
				method, path, _ := strings.Cut(route, " ")
				w.sendJSON(method, path, foreign.Access, nil)
				w.sendJSON(method, path, "", nil)
			}
			w.sendJSON("DELETE", "/auth/sessions", "", nil)
			w.sendJSON("DELETE", "/auth/sessions", foreign.Access, nil)
			w.journal.breakDown(true)
			w.sendJSON("POST", "/oauth/userinfo", held.Access, nil)
		},
		"a session of one's own": func(t *testing.T, w *world) {
			held := w.login()
			type list struct{ Sessions []struct{ ID string } }
			mine := read[list](t, w.sendJSON("GET", "/auth/sessions", held.Access, nil), 200)
			w.sendJSON("DELETE", "/auth/sessions/"+mine.Sessions[0].ID, held.Access, nil)
		},
		"what clients may have": func(t *testing.T, w *world) {
			held := w.login()
			must(t, w.users.GiveConsent(t.Context(), w.uid, "wiki", []string{"openid"}, ""))
			w.asThirdParty()
			b := w.loggedIn()
			page := b.authorize(asks(nil))
			b.decide(page, "allow", nil)
			w.sendJSON("GET", "/auth/grants", held.Access, nil)
			action, form := formOn(t, b.get("/account/applications"))
			form.Set("application", "shop")
			b.post(action, form)
			held = w.login()
			for range 2 {
				w.sendJSON("DELETE", "/auth/grants/wiki", held.Access, nil)
			}
			must(t, w.users.GiveConsent(t.Context(), w.uid, "wiki", []string{"openid"}, ""))
			w.journal.breakDown(true)
			b.decide(page, "allow", nil)
			b.post(action, form)
			w.sendJSON("GET", "/auth/grants", held.Access, nil)
			w.sendJSON("DELETE", "/auth/grants/wiki", held.Access, nil)
		},
		"proofs": func(t *testing.T, w *world) {
			h := w.holder()
			who := map[string]string{"email": email, "password": password}
			held := read[bound](t, h.send(w.jsonRequest("POST", "/auth/login", "", "", who)), 200)
			h.send(w.jsonRequest("POST", "/auth/refresh", "", "", map[string]string{"refresh_token": held.Refresh}))
			w.sendJSON("POST", "/auth/refresh", "", map[string]string{"refresh_token": held.Refresh})
			h.send(w.jsonRequest("GET", "/auth/me", "DPoP", held.Access, nil))
			w.post("/oauth/introspect", values{"token": {held.Access}})
			h.login()
			for _, nonce := range []string{"", "x"} {
				r := w.jsonRequest("POST", "/auth/login", "", "", who)
				r.Header.Set("DPoP", h.Prove(t, dpoptest.With(dpoptest.With(h.claims(r), "iat", 1), "nonce", nonce)))
				w.serve(r)
			}
		},
		"second factors": func(t *testing.T, w *world) {
			held := w.login()
			w.sendJSON("GET", "/auth/factors", held.Access, nil)
			for _, route := range borne() {
				method, path, _ := strings.Cut(route, " ")
				if strings.Contains(path, "factors") || strings.Contains(path, "codes") {
					w.sendJSON(method, path, "", nil)
					w.sendJSON(method, path, held.Access, map[string]string{"code": "1"})
				}
			}
			body := w.setUp(held.Access).adding()
			body["name"] = "\n"
			w.sendJSON("POST", "/auth/factors", held.Access, body)
			w.sendJSON("POST", "/auth/factors", held.Access, map[string]string{"challenge": body["challenge"], "code": "x"})
			w.sendJSON("GET", "/auth/factors/totp", held.Access, nil)
			w.sendJSON("GET", "/auth/factors/passkey", held.Access, nil)
			w.asked()
			a := w.enrol()
			w.sendJSON("POST", "/auth/login", "", map[string]string{"email": email, "password": password})
			w.answerChallenge(w.challenged(), "x")
			got := read[tokens](t, w.answerChallenge(w.challenged(), a.recovery[0]), 200)
			w.sendJSON("POST", "/auth/recovery-codes", got.Access, nil)
			w.sendJSON("DELETE", "/auth/factors/"+a.id, got.Access, nil)
			w.sendJSON("POST", "/auth/factors", got.Access, w.setUp(got.Access).adding())
		},
		"refreshing": func(t *testing.T, w *world) {
			held := w.appLogin()
			w.sendJSON("POST", "/auth/refresh", "", map[string]string{"refresh_token": held.Refresh})
			w.sendJSON("POST", "/auth/refresh", "", map[string]string{"refresh_token": "kt_rt_x"})
			w.journal.breakDown(true)
			w.sendJSON("POST", "/auth/refresh", "", map[string]string{"refresh_token": held.Refresh})
		},
		"passwords": func(t *testing.T, w *world) {
			held := w.login()
			w.sendJSON("POST", "/auth/password", held.Access, map[string]string{"current_password": password, "new_password": "short"})
			w.sendJSON("POST", "/auth/password", held.Access, map[string]string{"current_password": "wrong", "new_password": "another long sentence"})
			token, _, err := w.users.IssueReset(t.Context(), w.uid, time.Hour, false)
			must(t, err)
			w.sendJSON("POST", "/auth/reset", "", map[string]string{"token": token, "new_password": "short"})
			w.sendJSON("POST", "/auth/reset", "", map[string]string{"token": token, "new_password": "another long sentence"})
		},
		"an account that changes meanwhile": func(t *testing.T, w *world) {
			held := w.login()
			token, _, err := w.users.IssueReset(t.Context(), w.uid, time.Hour, false)
			must(t, err)
			w.users.Store = changing{w.store}
			w.sendJSON("POST", "/auth/reset", "", map[string]string{"token": token, "new_password": "another long sentence"})
			w.sendJSON("POST", "/auth/password", held.Access, map[string]string{"current_password": password, "new_password": "another long sentence"})
			w.sendJSON("DELETE", "/auth/sessions", held.Access, nil)
			w.store = changing{w.store}
			w.handler.(*stenographer).next = w.build()
			w.sendJSON("DELETE", "/auth/sessions/"+sessionOf(t, held.Access), held.Access, nil)
			w.sendJSON("POST", "/auth/logout", held.Access, nil)
		},
		"second factors that change meanwhile": func(t *testing.T, w *world) {
			held, a := w.login(), w.enrol()
			more := w.setUp(held.Access)
			all := func() {
				w.sendJSON("GET", "/auth/factors", held.Access, nil)
				w.sendJSON("GET", "/auth/factors/totp", held.Access, nil)
				w.sendJSON("GET", "/auth/factors/passkey", held.Access, nil)
				w.sendJSON("POST", "/auth/factors", held.Access, more.adding())
				w.sendJSON("DELETE", "/auth/factors/"+a.id, held.Access, nil)
				w.sendJSON("POST", "/auth/recovery-codes", held.Access, nil)
			}
			challenge := w.challenged()
			sound := w.users.Store
			w.users.Store = changing{w.store}
			all()
			w.answerChallenge(challenge, a.recovery[0])
			w.users.Store = sound
			w.journal.breakDown(true)
			all()
			w.answerChallenge(challenge, a.recovery[0])
			w.journal.breakDown(false)
			r := w.jsonRequest("POST", "/auth/login/factor", "", "", map[string]string{"challenge": challenge, "code": "1"})
			r.Header.Set("DPoP", "x")
			w.serve(r)
			w.users.Throttle = throttle.New(w.store, time.Now)
			for range 12 {
				w.answerChallenge(challenge, "1")
			}
			u, err := w.store.UserByID(t.Context(), w.uid)
			must(t, err)
			must(t, w.store.RemoveUser(t.Context(), u))
			all()
		},
	})
	return journeys
}

// changing is a store in which somebody else is always faster.
type changing struct{ store.Store }

func (changing) ReplaceUser(context.Context, users.User, users.User) error { return users.ErrConflict }

func (changing) HoldFamily(context.Context, oauth.Family, oauth.Family) error {
	return oauth.ErrFamilyChanged
}
