package server_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
)

// pushes is an authorization request of the shop's, changed, whose client has proved who
// it is.
func pushes(change func(url.Values)) url.Values {
	v := asks(change)
	v.Del("client_id")
	return v
}

// push pushes a request of the shop's, changed, and returns what its browser is to come
// with.
func (w *world) push(change func(url.Values)) url.Values {
	w.t.Helper()
	var uri string
	w.quietly(func() {
		got := read[struct {
			RequestURI string `json:"request_uri"`
			ExpiresIn  int    `json:"expires_in"`
		}](w.t, w.post("/oauth/par", pushes(change)), 201)
		if uri = got.RequestURI; got.ExpiresIn < 5 || got.ExpiresIn > 600 {
			w.t.Errorf("it expires in %d s", got.ExpiresIn)
		}
	})
	if !strings.HasPrefix(uri, "urn:ietf:params:oauth:request_uri:") || strings.Contains(uri, "openid") || len(uri) > 2000 {
		w.t.Errorf("the request_uri tells of itself, or is long: %s", uri)
	}
	return url.Values{"client_id": {"shop"}, "request_uri": {uri}}
}

// TestPushedRequest goes from a push to the tokens, by the page; what stands beside the
// request_uri does not count.
func TestPushedRequest(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		w.change("shop", func(c *clients.Client) { c.RequiresPAR = true })
		asked := w.push(func(v url.Values) { v.Set("prompt", "login"); v.Set("ui_locales", "de") })
		asked.Set("redirect_uri", "https://evil.example")
		asked.Set("scope", "openid everything")
		asked.Set("state", "forged")
		b := w.loggedIn()
		page := b.authorize(asked)
		if page.Code != 200 || !strings.Contains(page.Body.String(), `lang="de"`) || strings.Contains(page.Body.String(), "evil") {
			t.Fatalf("the page: %d %s", page.Code, page.Body)
		}
		w.steadyOff = 10 * time.Minute // for whoever is slow to log in
		w.handler = w.build()
		if wrong := b.logIn(page, email, "wrong"); wrong.Code != 403 {
			t.Errorf("a wrong password: %d", wrong.Code)
		} else {
			page = wrong
		}
		led := b.logIn(page, email, password)
		answer := answerIn(t, b.get(led.Header().Get("Location")))
		if answer.Get("state") != "st&te" || answer.Get("iss") != issuer || answer.Get("code") == "" {
			t.Fatalf("answer: %v", answer)
		}
		if got := read[codeTokens](t, w.exchange(answer.Get("code")), 200); w.idToken(got.ID)["nonce"] != "n-1" {
			t.Error("the nonce is lost")
		}
		if again := b.get(led.Header().Get("Location")); again.Code != 400 || again.Header().Get("Location") != "" {
			t.Errorf("a second time: %d, led to %q", again.Code, again.Header().Get("Location"))
		}
		if at := w.browser().get(led.Header().Get("Location")); at.Code != 400 || !strings.Contains(at.Body.String(), "used before") {
			t.Errorf("a second time, before a log-in: %d %s", at.Code, at.Body)
		}
	})
}

// TestF3_APushedRequestIsAnsweredOnce: also among replicas that are asked at the same
// time, and after an error.
func TestF3_APushedRequestIsAnsweredOnce(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		for _, change := range []func(url.Values){nil, setting("prompt", "none")} {
			query := w.push(change).Encode()
			b := w.loggedIn()
			if change != nil {
				b = w.browser()
			}
			answers := make([]*httptest.ResponseRecorder, 8)
			var all sync.WaitGroup
			for i := range answers {
				h, r := w.build(), httptest.NewRequest("GET", "/oauth/authorize?"+query, nil)
				for name, value := range b.cookies {
					r.Header.Add("Cookie", name+"="+value)
				}
				answers[i] = httptest.NewRecorder()
				all.Go(func() { h.ServeHTTP(answers[i], r) })
			}
			all.Wait()
			led := 0
			for _, rec := range answers {
				if rec.Code == 303 {
					led++
				} else if rec.Code != 400 {
					t.Errorf("%d %s", rec.Code, rec.Body)
				}
			}
			if led != 1 {
				t.Errorf("%d of %d were answered", led, len(answers))
			}
		}
	})
}

// TestPushedRequestsAreBound: nobody else's, none that is old, forged or of another kind,
// and what the client may no longer have is refused when the browser comes.
func TestPushedRequestsAreBound(t *testing.T) {
	w := newWorld(t)
	b := w.loggedIn()
	good := w.push(nil)
	uri := good.Get("request_uri")
	flipped := []byte(uri)
	flipped[len(flipped)-9] ^= 1
	code := w.loggedIn().code(nil)
	for name, change := range map[string]func(url.Values){
		"another client":    setting("client_id", "native"),
		"no client":         without("client_id"),
		"two clients":       func(v url.Values) { v.Add("client_id", "shop") },
		"one bit of it":     setting("request_uri", string(flipped)),
		"half of it":        setting("request_uri", uri[:len(uri)/2]),
		"nothing":           setting("request_uri", uri[:34]),
		"a code":            setting("request_uri", uri[:34]+strings.TrimPrefix(code, "kt_ac_")),
		"two request URIs":  func(v url.Values) { v.Add("request_uri", uri) },
		"a code by its own": setting("request_uri", code),
	} {
		v := url.Values{"client_id": {"shop"}, "request_uri": {uri}}
		change(v)
		if rec := b.authorize(v); rec.Code != 400 || rec.Header().Get("Location") != "" {
			t.Errorf("%s: %d, led to %q", name, rec.Code, rec.Header().Get("Location"))
		}
	}
	w.change("shop", func(c *clients.Client) { c.RedirectURIs = []string{"https://app.example.com/new"} })
	if rec := b.authorize(good); rec.Code != 400 {
		t.Errorf("the redirect URI was withdrawn: %d", rec.Code)
	}
	w.change("shop", func(c *clients.Client) { c.RedirectURIs = []string{callback}; c.Scope = []string{"openid"} })
	if v := answerIn(t, b.authorize(good)); v.Get("error") != "invalid_scope" {
		t.Errorf("the scope was withdrawn: %v", v)
	}
	w.change("shop", func(c *clients.Client) { c.Scope = []string{"openid", "email", "profile"} })
	late := w.push(nil)
	w.steadyOff = time.Minute
	w.handler = w.build()
	if rec := b.authorize(late); rec.Code != 400 || !strings.Contains(rec.Body.String(), "expired") {
		t.Errorf("after a minute: %d %s", rec.Code, rec.Body)
	}
}

// TestF8_APushIsForOneKey: a proof at the push binds the code as dpop_jkt does (RFC 9449
// §10.1).
func TestF8_APushIsForOneKey(t *testing.T) {
	w := newWorld(t)
	h := w.holder()
	pushing := func(change func(url.Values)) *httptest.ResponseRecorder {
		r := w.tokenRequest("shop", asks(change))
		r.URL.Path = "/oauth/par"
		return h.send(r)
	}
	got := read[map[string]any](t, pushing(nil), 201)
	code := answerIn(t, w.loggedIn().authorize(url.Values{"client_id": {"shop"}, "request_uri": {got["request_uri"].(string)}})).Get("code")
	if rec := w.exchange(code); rec.Code != 400 {
		t.Errorf("without the key: %d %s", rec.Code, rec.Body)
	}
	if rec := h.ask("shop", exchanges(code, nil)); rec.Code != 200 {
		t.Errorf("with the key: %d %s", rec.Code, rec.Body)
	}
	read[map[string]any](t, pushing(setting("dpop_jkt", h.Thumbprint(t))), 201)
	if rec := pushing(setting("dpop_jkt", w.holder().Thumbprint(t))); rec.Code != 400 || !strings.Contains(rec.Body.String(), "invalid_dpop_proof") {
		t.Errorf("another key: %d %s", rec.Code, rec.Body)
	}
}

// pushCases are RFC 9126 §2, and the errors of the authorization endpoint where they are
// answered at once.
func pushCases() (cases []protocolCase) {
	add := func(section string, change func(url.Values), status int, code string) {
		cases = append(cases, post(section, "/oauth/par", asks(change).Encode(), status, code, "Authorization", "{shop}"))
	}
	add("RFC 9126 §2.2", nil, 201, "")
	add("RFC 9126 §2.2", without("client_id"), 201, "")
	add("RFC 9126 §2.1", setting("request_uri", "urn:ietf:params:oauth:request_uri:x"), 400, "invalid_request")
	add("RFC 9126 §3", setting("request", "e30.e30."), 400, "request_not_supported")
	add("RFC 9126 §2.3", without("redirect_uri"), 400, "invalid_request")
	add("RFC 9126 §2.4", setting("redirect_uri", "https://evil.example"), 400, "invalid_request")
	add("RFC 9126 §2.3", without("response_type"), 400, "invalid_request")
	add("RFC 9126 §2.3", setting("response_type", "token"), 400, "unsupported_response_type")
	add("RFC 9126 §2.3", without("code_challenge"), 400, "invalid_request")
	add("RFC 9126 §2.3", setting("code_challenge_method", "plain"), 400, "invalid_request")
	add("RFC 9126 §2.3", setting("scope", "openid everything"), 400, "invalid_scope")
	add("RFC 9126 §2.3", setting("resource", "https://evil.example"), 400, "invalid_target")
	add("RFC 9126 §2.3", setting("prompt", "none login"), 400, "invalid_request")
	add("RFC 9126 §2.3", func(v url.Values) { v.Add("state", "x") }, 400, "invalid_request")
	add("RFC 9126 §2.3", setting("state", strings.Repeat("x", 9<<10)), 413, "invalid_request")
	return cases
}

// notPushed are the refusals of pushes, and of requests that were not pushed as they
// should be.
func notPushed() []decided {
	push := func(change func(url.Values)) sending { return form("/oauth/par", pushes(change)) }
	const action = audit.RequestPushed
	rows := []decided{
		{"push of a request_uri", push(setting("request_uri", "urn:x")), 400, action, "request_uri"},
		{"push without a redirect URI", push(without("redirect_uri")), 400, action, "redirect_uri"},
		{"push of the implicit grant", push(setting("response_type", "token")), 400, action, "response_type"},
		{"push without PKCE", push(without("code_challenge")), 400, action, "code_challenge"},
		{"push of a malformed scope", push(setting("scope", `a"b`)), 400, action, "malformed_scope"},
		{"push of a wide scope", push(setting("scope", "admin")), 400, action, "scope_not_allowed"},
		{"push for a foreign resource", push(setting("resource", "https://evil.example")), 400, action, "resource_not_allowed"},
		{"push without the grant", after(func(w *world, _ tokens) {
			w.change("shop", func(c *clients.Client) { c.Grants = []string{"password"} })
		}, push(nil)), 400, action, "grant_not_allowed"},
		{"push with another key", func(w *world, _ tokens) *httptest.ResponseRecorder {
			r := w.tokenRequest("shop", asks(setting("dpop_jkt", w.holder().Thumbprint(w.t))))
			r.URL.Path = "/oauth/par"
			return w.holder().send(r)
		}, 400, action, "foreign_proof_key"},
		{"not pushed", after(func(w *world, _ tokens) {
			w.change("shop", func(c *clients.Client) { c.RequiresPAR = true })
		}, authorizing(nil)), 303, audit.CodeIssued, "not_pushed"},
		{"no request_uri of ours", authorizing(setting("request_uri", "urn:ietf:params:oauth:request_uri:x")), 400, audit.CodeIssued, "request_uri"},
		{"a pushed request, and no store to spend it", func(w *world, t tokens) *httptest.ResponseRecorder {
			pushed := w.push(nil)
			var b *browser
			w.quietly(func() { b = w.loggedIn() })
			return failing("DenyToken", func(*world, tokens) *httptest.ResponseRecorder { return b.authorize(pushed) })(w, t)
		}, 303, audit.CodeIssued, "store"},
	}
	for _, c := range allBadProofs() {
		rows = append(rows, decided{"push, proof, " + c.name, func(w *world, _ tokens) *httptest.ResponseRecorder {
			h := w.holder()
			r := w.tokenRequest("shop", asks(nil))
			r.URL.Path = "/oauth/par"
			for _, header := range c.headers(h, h.claims(r)) {
				r.Header.Add("DPoP", header)
			}
			return w.serve(r)
		}, 400, action, c.reason})
	}
	return rows
}
