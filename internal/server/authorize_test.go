package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/internal/store/storetest"
	"github.com/keyturn/keyturn/internal/throttle"
	"github.com/keyturn/keyturn/oauth"
)

type codeTokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Scope   string `json:"scope"`
}

// exchange spends a code of the shop's.
func (w *world) exchange(code string) *httptest.ResponseRecorder {
	return w.post("/oauth/token", exchanges(code, nil))
}

// idToken returns the claims of an ID token that the server's key signed.
func (w *world) idToken(token string) map[string]any {
	w.t.Helper()
	payload, _, err := w.keeper.Ring().Verify(token, "JWT")
	must(w.t, err)
	var c map[string]any
	must(w.t, json.Unmarshal(payload, &c))
	return c
}

// TestLogInAtThePage goes all the way from a client to its tokens, and on.
func TestLogInAtThePage(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		b := w.browser()
		before := time.Now().Unix()
		led := b.logIn(b.authorize(asks(nil)), email, password)
		answer := answerIn(t, b.get(led.Header().Get("Location")))
		if answer.Get("state") != "st&te" || answer.Get("iss") != issuer || len(answer) != 3 {
			t.Errorf("answer: %v", answer)
		}
		got := read[codeTokens](t, w.exchange(answer.Get("code")), 200)
		access, _, err := w.keeper.Ring().Verify(got.Access, "at+jwt")
		must(t, err)
		var a map[string]any
		must(t, json.Unmarshal(access, &a))

		id := w.idToken(got.ID)
		sum := sha256.Sum256([]byte(got.Access))
		for name, want := range map[string]any{
			"iss": issuer, "sub": w.uid, "aud": "shop", "azp": "shop", "nonce": "n-1", "sid": a["sid"], "auth_time": a["auth_time"],
			"at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]), "email": email, "email_verified": false, "name": "Ada", "given_name": "Ada",
		} {
			if id[name] != want {
				t.Errorf("%s is %v, want %v", name, id[name], want)
			}
		}
		if at := id["auth_time"].(float64); int64(at) < before || id["exp"].(float64) <= id["iat"].(float64) || id["amr"].([]any)[0] != "pwd" {
			t.Errorf("ID token: %v", id)
		}
		if rec := w.sendJSON("GET", "/oauth/userinfo", got.ID, nil); rec.Code != 401 {
			t.Errorf("an ID token is taken for an access token: %d", rec.Code)
		}
		if rec := w.sendJSON("GET", "/oauth/userinfo", got.Access, nil); rec.Code != 200 || !strings.Contains(rec.Body.String(), w.uid) {
			t.Errorf("userinfo: %d %s", rec.Code, rec.Body)
		}
		next := read[codeTokens](t, w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}}), 200)
		again := w.idToken(next.ID)
		for _, name := range []string{"iss", "sub", "aud", "azp", "sid", "auth_time"} {
			if again[name] != id[name] {
				t.Errorf("after a refresh %s is %v, was %v", name, again[name], id[name])
			}
		}
		if again["nonce"] != nil || again["at_hash"] == id["at_hash"] {
			t.Errorf("after a refresh: %v", again)
		}
		// The next client is told at once who it is.
		if other := answerIn(t, b.authorize(asks(setting("prompt", "none")))); other.Get("code") == "" {
			t.Errorf("no single sign-on: %v", other)
		}
	})
}

// TestIDTokensOfOtherGrants: the password grant gives one too where openid was
// granted, without a nonce, and the /auth routes give none.
func TestIDTokensOfOtherGrants(t *testing.T) {
	w := newWorld(t)
	login := values{"grant_type": {"password"}, "username": {email}, "password": {password}, "scope": {"openid"}}
	id := w.idToken(read[codeTokens](t, w.post("/oauth/token", login), 200).ID)
	if id["aud"] != "shop" || id["nonce"] != nil || id["email"] != nil || id["name"] != nil {
		t.Errorf("ID token: %v", id)
	}
	login.Set("scope", "email")
	if got := read[codeTokens](t, w.post("/oauth/token", login), 200); got.ID != "" {
		t.Error("an ID token without the scope openid")
	}
	if rec := w.sendJSON("POST", "/auth/login", "", map[string]string{"email": email, "password": password}); strings.Contains(rec.Body.String(), "id_token") {
		t.Errorf("/auth/login: %s", rec.Body)
	}
	w.passwordGrantOff = true
	w.handler = w.build()
	if rec := w.post("/oauth/token", login); rec.Code != 400 {
		t.Errorf("the password grant is off and answers %d", rec.Code)
	}
	read[codeTokens](t, w.exchange(w.loggedIn().code(nil)), 200)
}

// TestF3_ACodeCountsOnce: whoever presents it again, proving all that a client must,
// ends what the first began, on every replica; who lacks the verifier ends nothing.
func TestF3_ACodeCountsOnce(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		code := w.loggedIn().code(nil)
		held := read[codeTokens](t, w.exchange(code), 200)
		w.journal.take()
		wrong := w.post("/oauth/token", exchanges(code, setting("code_verifier", strings.Repeat("x", 43))))
		if wrong.Code != 400 || w.sendJSON("GET", "/oauth/userinfo", held.Access, nil).Code != 200 {
			t.Errorf("without the verifier: %d, and the session has ended", wrong.Code)
		}
		w.journal.take()
		w.handler = w.build() // another replica
		if rec := w.exchange(code); rec.Code != 400 || !strings.Contains(rec.Body.String(), `"invalid_grant"`) {
			t.Errorf("second use: %d %s", rec.Code, rec.Body)
		}
		events := w.journal.take()
		if len(events) != 1 || events[0].Action != audit.TokenReuse || events[0].Reason != audit.ReasonReusedCode || events[0].SessionID == "" {
			t.Errorf("events: %+v", events)
		}
		if rec := w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {held.Refresh}}); rec.Code != 400 {
			t.Errorf("the session goes on: %d", rec.Code)
		}
		if rec := w.sendJSON("GET", "/oauth/userinfo", held.Access, nil); rec.Code != 401 {
			t.Errorf("its access token counts: %d", rec.Code)
		}
		w.journal.take()
		if rec := w.exchange(code); rec.Code != 400 {
			t.Errorf("third use: %d", rec.Code)
		}
		if events := w.journal.take(); len(events) != 1 || events[0].Action != audit.TokenRefused || events[0].Reason != audit.ReasonEndedSession {
			t.Errorf("events of the third use: %+v", events)
		}
	})
}

// TestF3_ACodeThatComesLateIsReusedToo: whoever has a code that was exchanged ends its
// session after its minute, too.
func TestF3_ACodeThatComesLateIsReusedToo(t *testing.T) {
	w := newWorld(t)
	code := w.loggedIn().code(nil)
	held := read[codeTokens](t, w.exchange(code), 200)
	w.journal.take()
	w.steadyOff = 2 * time.Minute
	w.handler = w.build()
	if rec := w.exchange(code); rec.Code != 400 || !strings.Contains(rec.Body.String(), `"invalid_grant"`) {
		t.Errorf("second use: %d %s", rec.Code, rec.Body)
	}
	if events := w.journal.take(); len(events) != 1 || events[0].Action != audit.TokenReuse || events[0].Reason != audit.ReasonReusedCode {
		t.Errorf("events: %+v", events)
	}
	if rec := w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {held.Refresh}}); rec.Code != 400 {
		t.Errorf("the session goes on: %d", rec.Code)
	}
}

// TestF3_ACodeCountsOnceAmongMany has replicas exchange one code at the same time:
// at most one gets tokens.
func TestF3_ACodeCountsOnceAmongMany(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		code := w.loggedIn().code(nil)
		handlers := []func(*httptest.ResponseRecorder){}
		for range 3 {
			h := w.build()
			handlers = append(handlers, func(rec *httptest.ResponseRecorder) {
				r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(exchanges(code, nil).Encode()))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.SetBasicAuth("shop", w.secret)
				h.ServeHTTP(rec, r)
			})
		}
		answers := make([]*httptest.ResponseRecorder, 12)
		var all sync.WaitGroup
		for i := range answers {
			answers[i] = httptest.NewRecorder()
			all.Go(func() { handlers[i%len(handlers)](answers[i]) })
		}
		all.Wait()
		got := 0
		for _, rec := range answers {
			switch rec.Code {
			case 200:
				got++
			case 400, 503:
			default:
				t.Errorf("%d %s", rec.Code, rec.Body)
			}
		}
		if got > 1 {
			t.Errorf("%d of %d got tokens", got, len(answers))
		}
		if rec := w.exchange(code); rec.Code == 200 {
			t.Error("and one more later")
		}
	})
}

// TestCodesAreBound: nobody gets tokens for a code but who asked for it, where it
// asked for it, and each attempt leaves it as good as it was.
func TestCodesAreBound(t *testing.T) {
	w := newWorld(t)
	code := w.loggedIn().code(nil)
	tampered := []byte(code)
	tampered[len(tampered)/2] ^= 1
	for name, change := range map[string]func(url.Values){
		"another client":       setting("client_id", "native"),
		"another redirect URI": setting("redirect_uri", "https://app.example.com/callback"),
		"no redirect URI":      without("redirect_uri"),
		"no verifier":          without("code_verifier"),
		"a short verifier":     setting("code_verifier", verifier[:42]),
		"the challenge":        setting("code_verifier", challengeOf(verifier)),
		"one bit of it":        setting("code", string(tampered)),
		"half of it":           setting("code", code[:len(code)/2]),
		"nothing":              setting("code", "kt_ac_"),
		"another resource":     setting("resource", "https://evil.example"),
	} {
		v := exchanges(code, change)
		rec := w.post("/oauth/token", v)
		if v.Has("client_id") {
			rec = w.postAs("/oauth/token", v)
		}
		if rec.Code != 400 || strings.Contains(rec.Body.String(), "access_token") {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	if strings.Contains(code, "shop") || len(code) > 1200 {
		t.Errorf("the code tells of itself, or is long: %d %s", len(code), code)
	}
	read[codeTokens](t, w.exchange(code), 200)
}

// TestF8_ACodeIsForOneKey: a code that was asked for with a key is exchanged with a proof
// of that key alone, and a refused one leaves it good.
func TestF8_ACodeIsForOneKey(t *testing.T) {
	w := newWorld(t)
	h := w.holder()
	code := w.loggedIn().code(setting("dpop_jkt", h.Thumbprint(t)))
	for says, rec := range map[string]*httptest.ResponseRecorder{"invalid_dpop_proof": w.exchange(code), "invalid_grant": w.holder().ask("shop", exchanges(code, nil))} {
		if rec.Code != 400 || !strings.Contains(rec.Body.String(), says) {
			t.Errorf("not %s: %d %s", says, rec.Code, rec.Body)
		}
	}
	if rec := h.ask("shop", exchanges(code, nil)); rec.Code != 200 || !strings.Contains(rec.Body.String(), `"token_type":"DPoP"`) {
		t.Errorf("its key: %d %s", rec.Code, rec.Body)
	}
	if v := answerIn(t, w.loggedIn().authorize(asks(setting("dpop_jkt", "x")))); v.Get("error") != "invalid_request" {
		t.Errorf("no thumbprint: %v", v)
	}
}

// TestPKCEIsForAll: there is no way to a code without a challenge by S256, and so no
// downgrade.
func TestPKCEIsForAll(t *testing.T) {
	w := newWorld(t)
	b := w.loggedIn()
	for name, change := range map[string]func(url.Values){
		"none":     func(v url.Values) { v.Del("code_challenge"); v.Del("code_challenge_method") },
		"plain":    setting("code_challenge_method", "plain"),
		"no name":  without("code_challenge_method"),
		"verifier": setting("code_challenge", verifier+"A"),
	} {
		if v := answerIn(t, b.authorize(asks(change))); v.Get("error") != "invalid_request" || v.Has("code") {
			t.Errorf("%s: %v", name, v)
		}
	}
}

// TestAuthorizationErrors holds errors to RFC 6749 §4.1.2.1 and OpenID Connect Core
// §3.1.2.6: they go to the client, with its state and our name.
func TestAuthorizationErrors(t *testing.T) {
	w := newWorld(t)
	b := w.loggedIn()
	for _, c := range []struct {
		change func(url.Values)
		code   string
	}{
		{without("response_type"), "invalid_request"},
		{setting("response_type", "id_token"), "unsupported_response_type"},
		{setting("response_type", "code id_token"), "unsupported_response_type"},
		{setting("response_mode", "fragment"), "invalid_request"},
		{setting("request", "e30.e30."), "request_not_supported"},
		{setting("request_uri", "https://evil.example"), "request_uri_not_supported"},
		{setting("registration", "{}"), "registration_not_supported"},
		{setting("scope", "openid everything"), "invalid_scope"},
		{setting("resource", "https://evil.example"), "invalid_target"},
		{setting("prompt", "none login"), "invalid_request"},
		{setting("prompt", "create"), "invalid_request"},
		{func(v url.Values) { v.Set("prompt", "none"); v.Set("max_age", "0") }, "login_required"},
		{setting("max_age", "-1"), "invalid_request"},
		{setting("max_age", "soon"), "invalid_request"},
		{setting("nonce", strings.Repeat("n", 513)), "invalid_request"},
		{func(v url.Values) { v.Add("scope", "openid") }, "invalid_request"},
		{func(v url.Values) { v.Add("nonce", "n-2") }, "invalid_request"},
		{setting("login_hint", "\x00"), "invalid_request"},
	} {
		v := answerIn(t, b.authorize(asks(c.change)))
		if v.Get("error") != c.code || v.Get("state") != "st&te" || v.Get("iss") != issuer || v.Has("code") {
			t.Errorf("want %s: %v", c.code, v)
		}
	}
	if v := answerIn(t, b.authorize(asks(func(v url.Values) { v.Add("state", "x") }))); v.Get("error") != "invalid_request" || v.Has("state") {
		t.Errorf("two states: %v", v)
	}
	if v := answerIn(t, b.authorize(asks(func(v url.Values) { v.Set("unknown", "x"); v.Del("scope"); v.Del("nonce"); v.Del("state") }))); v.Get("code") == "" || v.Has("state") {
		t.Errorf("what is not known, and what may be left out: %v", v)
	}
	if rec := w.browser().authorize(asks(setting("prompt", "none"))); answerIn(t, rec).Get("error") != "login_required" {
		t.Errorf("nobody is logged in: %v", rec.Header())
	}
}

// TestNothingLeadsAstray: until the client and its redirect URI are known to be good
// nobody is led anywhere (RFC 9700 §4.11).
func TestNothingLeadsAstray(t *testing.T) {
	w := newWorld(t)
	b := w.loggedIn()
	for _, uri := range []string{
		"", "https://evil.example", "https://app.example.com", "https://app.example.com/callback", callback + "&x=y", callback + "#f", callback + "/",
		"https://app.example.com.evil.example/callback?from=keyturn", "https://app.example.com@evil.example/callback?from=keyturn",
		"https://APP.example.com/callback?from=keyturn", "http://app.example.com/callback?from=keyturn", "//evil.example", "/account",
		"https://app.example.com/../callback?from=keyturn", "javascript:alert(1)", "https://app.example.com:443/callback?from=keyturn",
		"http://127.0.0.1/callback", callback + "\x00", "https://evil.example\\@app.example.com/callback?from=keyturn",
	} {
		for _, change := range []func(url.Values){setting("redirect_uri", uri), func(v url.Values) { v.Add("redirect_uri", uri) }} {
			rec := b.authorize(asks(change))
			if rec.Code != 400 || rec.Header().Get("Location") != "" || strings.Contains(rec.Body.String(), "evil") {
				t.Errorf("%q: %d, led to %q", uri, rec.Code, rec.Header().Get("Location"))
			}
		}
	}
	native := func(uri string) *httptest.ResponseRecorder {
		return b.authorize(asks(func(v url.Values) { v.Set("client_id", "native"); v.Set("scope", "openid"); v.Set("redirect_uri", uri) }))
	}
	for uri, good := range map[string]bool{
		"http://127.0.0.1:49152/callback": true, "http://127.0.0.1/callback": true, "com.example.app:/callback": true,
		"http://127.0.0.1:/callback": false, "http://127.0.0.1:x/callback": false, "http://127.0.0.1:1/other": false, "http://127.0.0.1.evil.example/callback": false,
		"http://127.0.0.1:1@evil.example/callback": false, "http://localhost:1/callback": false, "https://127.0.0.1:1/callback": false,
		"http://[::1]:1/callback": false, "com.example.app:/callback/": false, "com.example.app://callback": false, "http://127.0.0.1:123456/callback": false,
	} {
		rec := native(uri)
		if led := strings.HasPrefix(rec.Header().Get("Location"), uri+"?code=kt_ac_"); led != good || good == (rec.Code == 400) {
			t.Errorf("%q: %d, led to %q", uri, rec.Code, rec.Header().Get("Location"))
		}
	}
	// What a form names is a request to go on with at our own address alone.
	for _, request := range []string{"https://evil.example", "//evil.example", "redirect_uri=https://evil.example", "%zz", "\r\nLocation: https://evil.example"} {
		b := w.browser()
		action, form := formOn(t, b.get("/account"))
		form.Set("request", request)
		form.Set("username", email)
		form.Set("password", password)
		if to := b.post(action, form).Header().Get("Location"); to != "/account" && !strings.HasPrefix(to, "/oauth/authorize?") {
			t.Errorf("%q led to %q", request, to)
		}
	}
}

// TestPromptAndMaxAge: who asks for a fresh log-in gets the page once, and is told
// when the user logged in.
func TestPromptAndMaxAge(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(url.Values){
		"login": setting("prompt", "login"), "select_account": setting("prompt", "select_account"), "max_age": setting("max_age", "0"),
	} {
		b := w.loggedIn()
		former := b.cookies["keyturn"]
		page := b.authorize(asks(func(v url.Values) { change(v); v.Set("login_hint", "ada@"); v.Set("ui_locales", "fr de") }))
		if page.Code != 200 || !strings.Contains(page.Body.String(), `value="ada@"`) || !strings.Contains(page.Body.String(), `lang="de"`) {
			t.Fatalf("%s: %d %s", name, page.Code, page.Body)
		}
		led := b.logIn(page, email, password)
		if v := answerIn(t, b.get(led.Header().Get("Location"))); v.Get("code") == "" {
			t.Errorf("%s: %v", name, v)
		}
		if b.cookies["keyturn"] == former {
			t.Errorf("%s: the cookie stayed", name)
		}
	}
	if v := answerIn(t, w.loggedIn().authorize(asks(setting("max_age", "3600")))); v.Get("code") == "" {
		t.Errorf("max_age of an hour: %v", v)
	}
}

// TestFormPost: the answer is posted where the client wants that, and a request that
// is posted is led to the address that cookies are sent with.
func TestFormPost(t *testing.T) {
	w := newWorld(t)
	b := w.loggedIn()
	page := b.authorize(asks(setting("response_mode", "form_post")))
	action, form := formOn(t, page)
	if page.Code != 200 || action != callback || form.Get("state") != "st&te" || form.Get("iss") != issuer {
		t.Fatalf("%d to %q: %v", page.Code, action, form)
	}
	if csp := page.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "script-src 'self'") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy: %s", csp)
	}
	if strings.Contains(page.Body.String(), "hreflang") {
		t.Error("the page leads to itself in other languages, where its answer would be lost")
	}
	read[codeTokens](t, w.exchange(form.Get("code")), 200)

	r := httptest.NewRequest("POST", "/oauth/authorize", strings.NewReader(asks(nil).Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	led := w.serve(r)
	if to := led.Header().Get("Location"); led.Code != 303 || !strings.HasPrefix(to, "/oauth/authorize?") {
		t.Fatalf("posted: %d %q", led.Code, to)
	} else if v := answerIn(t, b.get(to)); v.Get("code") == "" {
		t.Errorf("posted: %v", v)
	}
	action, form = formOn(t, b.authorize(asks(func(v url.Values) {
		v.Set("client_id", "native")
		v.Set("scope", "openid")
		v.Set("redirect_uri", "com.example.app:/callback")
		v.Set("response_mode", "form_post")
	})))
	if action != "com.example.app:/callback" || form.Get("code") == "" {
		t.Errorf("posted to an app: %q %v", action, form)
	}
}

// TestF7_WhatEndsSessionsVoidsCodesAndCookies: a code that is out and a browser's log-in count no
// more when the account's sessions end.
func TestF7_WhatEndsSessionsVoidsCodesAndCookies(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		for name, end := range map[string]func(b *browser){
			"password": func(*browser) { must(t, w.users.ResetPassword(t.Context(), w.uid, password)) },
			"operator": func(*browser) { _, err := w.users.EndSessions(t.Context(), w.uid, ""); must(t, err) },
			"log-out":  func(b *browser) { action, form := formOn(t, b.get("/account/logout")); b.post(action, form) },
			"disabled": func(*browser) { must(t, w.users.Disable(t.Context(), w.uid)) },
		} {
			must(t, w.users.Enable(t.Context(), w.uid))
			b := w.loggedIn()
			cookie, code := b.cookies["keyturn"], b.code(nil)
			end(b)
			if rec := w.exchange(code); rec.Code != 400 || !strings.Contains(rec.Body.String(), "invalid_grant") {
				t.Errorf("%s: the code counts: %d %s", name, rec.Code, rec.Body)
			}
			b.cookies["keyturn"] = cookie
			if v := answerIn(t, b.authorize(asks(setting("prompt", "none")))); v.Get("error") != "login_required" {
				t.Errorf("%s: the cookie counts: %v", name, v)
			}
		}
	})
}

// TestSessionsCannotBeFixed: no cookie that somebody could have planted becomes a
// log-in, each log-in has one of its own, and it ends the one before.
func TestSessionsCannotBeFixed(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	b.cookies["keyturn"] = "kt_bs_planted"
	if rec := b.logIn(b.get("/account"), email, password); rec.Code != 303 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	first := b.cookies["keyturn"]
	if c := b.set["keyturn"]; first == "kt_bs_planted" || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != 2 || time.Until(c.Expires) > 13*time.Hour {
		t.Errorf("the cookie: %+v", c)
	}
	thief := w.browser()
	thief.cookies["keyturn"] = first
	if rec := thief.get("/account"); !strings.Contains(rec.Body.String(), email) {
		t.Error("the cookie does not count")
	}
	rec := b.logIn(b.authorize(asks(setting("prompt", "login"))), email, password)
	if rec.Code != 303 || b.cookies["keyturn"] == first {
		t.Errorf("%d, and the cookie stayed", rec.Code)
	}
	if rec := thief.get("/account"); strings.Contains(rec.Body.String(), email) {
		t.Error("the cookie of before counts after another log-in")
	}
	// A refresh token is no cookie, nor the other way round.
	held := w.login()
	thief.cookies["keyturn"] = held.Refresh
	if rec := thief.get("/account"); strings.Contains(rec.Body.String(), email) {
		t.Error("a refresh token counts as a cookie")
	}
	for _, token := range []string{b.cookies["keyturn"], "kt_rt_" + strings.TrimPrefix(b.cookies["keyturn"], "kt_bs_")} {
		if rec := w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {token}}); rec.Code != 400 {
			t.Errorf("a cookie counts as a refresh token: %d", rec.Code)
		}
	}
	if rec := b.get("/account"); !strings.Contains(rec.Body.String(), email) {
		t.Error("the log-in has ended")
	}
}

// TestF4_NothingStoredMakesACookie looks in the store for the cookie and the code.
func TestF4_NothingStoredMakesACookie(t *testing.T) {
	w := newWorld(t)
	b := w.loggedIn()
	b.code(nil)
	live, err := w.store.FamiliesOfUser(t.Context(), w.uid, time.Now(), 10)
	must(t, err)
	if len(live) != 1 {
		t.Fatalf("%d sessions", len(live))
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(b.cookies["keyturn"], "kt_bs_"))
	must(t, err)
	text, err := json.Marshal(live[0])
	must(t, err)
	for n := 22; n+8 <= 54; n += 8 {
		if strings.Contains(string(text), base64.StdEncoding.EncodeToString(raw[n : n+8])[:10]) {
			t.Error("the session holds a part of its cookie")
		}
	}
}

// TestFormsOfOthersAreRefused: another site can log nobody in or out (CSRF).
func TestFormsOfOthersAreRefused(t *testing.T) {
	w := newWorld(t)
	stranger := w.browser()
	_, theirs := formOn(t, stranger.get("/account"))
	for name, c := range map[string]struct {
		header, value string
		change        func(url.Values)
	}{
		"cross-site":      {"Sec-Fetch-Site", "cross-site", nil},
		"same-site":       {"Sec-Fetch-Site", "same-site", nil},
		"another origin":  {"Origin", "https://evil.example", nil},
		"no token":        {"Sec-Fetch-Site", "same-origin", without("token")},
		"another's token": {"Sec-Fetch-Site", "same-origin", setting("token", theirs.Get("token"))},
		"an empty token":  {"Sec-Fetch-Site", "same-origin", setting("token", "")},
		"token, unasked":  {"Origin", "null", without("token")},
	} {
		for _, path := range []string{"/account/login", "/account/logout", "/account/signup", "/account/password", "/account/sessions", "/account/consent", "/account/applications", "/account/factors", "/account/factors/app"} {
			b := w.loggedIn()
			cookie := b.cookies["keyturn"]
			_, form := formOn(t, b.get("/account/logout"))
			for name, value := range map[string]string{
				"username": email, "password": password, "email": "grace@example.com", "current_password": password, "new_password": long, "session": "others",
			} {
				form.Set(name, value)
			}
			if c.change != nil {
				c.change(form)
			}
			r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set(c.header, c.value)
			if rec := b.do(r); rec.Code != 403 && rec.Code != 400 || b.cookies["keyturn"] != cookie {
				t.Errorf("%s, %s: %d", name, path, rec.Code)
			}
			if rec := b.get("/account"); !strings.Contains(rec.Body.String(), email) {
				t.Errorf("%s, %s: logged out", name, path)
			}
		}
	}
	// A browser that knows no Fetch Metadata has its token alone.
	b := w.browser()
	action, form := formOn(t, b.get("/account"))
	form.Set("username", email)
	form.Set("password", password)
	r := httptest.NewRequest("POST", action, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if rec := b.do(r); rec.Code != 303 {
		t.Errorf("an old browser: %d", rec.Code)
	}
}

// scripted is an attribute that runs something.
var scripted = regexp.MustCompile(` on[a-z]+="`)

// TestPagesAreProtected: no page, and no refusal, can be framed, cached, or made to
// run what is not the server's.
func TestPagesAreProtected(t *testing.T) {
	w := newWorld(t)
	b := w.loggedIn()
	hostile := `"><script>alert(1)</script>`
	for name, rec := range map[string]*httptest.ResponseRecorder{
		"log in":   w.browser().authorize(asks(func(v url.Values) { v.Set("login_hint", hostile); v.Set("state", hostile) })),
		"account":  b.get("/account"),
		"error":    b.get("/oauth/authorize?client_id=" + url.QueryEscape(hostile)),
		"refused":  atLogin(hostile, "no", nil)(w, tokens{}),
		"posted":   b.authorize(asks(func(v url.Values) { v.Set("response_mode", "form_post"); v.Set("state", hostile) })),
		"redirect": b.authorize(asks(nil)),
		"nothing":  w.serve(httptest.NewRequest("DELETE", "/account", nil)),
	} {
		h := rec.Header()
		csp := h.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: the policy has no %s: %s", name, part, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || h.Get("X-Frame-Options") != "DENY" || h.Get("Referrer-Policy") != "no-referrer" ||
			h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", name, h)
		}
		if body := rec.Body.String(); strings.Contains(body, "<script>") || strings.Contains(body, " style=") || scripted.MatchString(body) {
			t.Errorf("%s: %s", name, body)
		}
	}
}

// TestU1_ThePageRefusesAlike holds the answers to refused log-ins at the page to
// each other, but for the name that was sent.
func TestU1_ThePageRefusesAlike(t *testing.T) {
	w := newWorld(t)
	var want string
	for _, r := range w.refusals(importedHash) {
		rec := w.sendRefusal("/account/login", r)
		for _, name := range []string{"X-Request-Id", "Content-Length"} {
			rec.Header().Del(name)
		}
		header, err := json.Marshal(rec.Header())
		must(t, err)
		got := string(header) + strings.ReplaceAll(rec.Body.String(), r.email, "NAME")
		got = challenged.ReplaceAllString(got, "CHALLENGE")
		if rec.Code != 403 || want != "" && got != want {
			t.Errorf("%s: %d\n%s\nwant\n%s", r.kind, rec.Code, got, want)
		}
		want = got
	}
}

// challenged is what every page asks a passkey anew.
var challenged = regexp.MustCompile(`kt_lc_[\w-]+|&#34;challenge&#34;:&#34;[\w-]+`)

// TestU2_ThePageToo: a crowd is turned away with a page.
func TestU2_ThePageToo(t *testing.T) {
	w := newWorld(t)
	*w.users.Hasher = passwords.Hasher{} // always busy
	if rec := atLogin(email, password, nil)(w, tokens{}); rec.Code != 503 || rec.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
	if events := w.journal.take(); len(events) != 1 || events[0].Action != audit.UserLoggedIn || events[0].Reason != audit.ReasonBusy {
		t.Errorf("%+v", events)
	}
}

// TestU4_OneThrottleForAll: what is guessed at the page counts at the token endpoint.
func TestU4_OneThrottleForAll(t *testing.T) {
	w := newWorld(t)
	at := time.Now() // it stands still: what is slowed down stays so
	w.users.Throttle = throttle.New(w.store, func() time.Time { return at })
	b := w.browser()
	for n := 0; ; n++ {
		rec := b.logIn(b.get("/account"), email, "wrong")
		if rec.Code == 429 && rec.Header().Get("Retry-After") != "" {
			break
		}
		if n > 20 {
			t.Fatal("nobody slows guessing")
		}
	}
	if rec := w.post("/oauth/token", values{"grant_type": {"password"}, "username": {email}, "password": {password}}); rec.Code != 429 {
		t.Errorf("the token endpoint: %d", rec.Code)
	}
}

// TestA3_WhatWasNotRecordedDidNotHappen: a log-in at the page, a code and its exchange come to
// nothing while the log takes no event, and the code is as good as it was.
func TestA3_WhatWasNotRecordedDidNotHappen(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		sessions := func() int {
			live, err := w.store.AllFamilies(t.Context(), "", 100)
			must(t, err)
			return len(live)
		}
		w.journal.breakDown(true)
		if rec := atLogin(email, password, nil)(w, tokens{}); rec.Code != 503 || rec.Header().Get("Set-Cookie") != "" && strings.Contains(rec.Header().Get("Set-Cookie"), "kt_bs_") {
			t.Errorf("log-in: %d %v", rec.Code, rec.Header())
		}
		if n := sessions(); n != 0 {
			t.Errorf("%d sessions", n)
		}
		w.journal.breakDown(false)
		b := w.loggedIn()
		w.journal.breakDown(true)
		if v := answerIn(t, b.authorize(asks(nil))); v.Get("error") != "temporarily_unavailable" || v.Has("code") {
			t.Errorf("code: %v", v)
		}
		w.journal.breakDown(false)
		code := b.code(nil)
		w.journal.breakDown(true)
		if rec := w.exchange(code); rec.Code != 503 || strings.Contains(rec.Body.String(), "token\"") {
			t.Errorf("exchange: %d %s", rec.Code, rec.Body)
		}
		if n := sessions(); n != 1 {
			t.Errorf("%d sessions", n)
		}
		w.journal.breakDown(false)
		held := read[codeTokens](t, w.exchange(code), 200)
		// A reuse ends the session at once, and owes its event.
		w.journal.take()
		w.journal.breakDown(true)
		w.exchange(code)
		w.journal.breakDown(false)
		if rec := w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {held.Refresh}}); rec.Code != 400 {
			t.Errorf("the reuse ended nothing: %d", rec.Code)
		}
		w.journal.take()
		_, err := oauth.SessionEnder{Store: w.store, Audit: w.audit, Now: func() time.Time { return time.Now().Add(time.Hour) }}.SettleDecisions(t.Context())
		must(t, err)
		if events := w.journal.take(); len(events) != 1 || events[0].Action != audit.TokenReuse {
			t.Errorf("what was owed: %+v", events)
		}
	})
}

// TestF5_ALogInThatFailsHalvesNothing has each call of the store go wrong, at the
// page and at the exchange: one decision comes of it, or none, and no code is good
// for two sessions.
func TestF5_ALogInThatFailsHalvesNothing(t *testing.T) {
	for _, fault := range []storetest.Fault{storetest.Fails, storetest.Persists} {
		for n := 0; ; n++ {
			w := newFaultyWorld(t)
			code := w.loggedIn().code(nil)
			before, err := w.store.FamiliesOfUser(t.Context(), w.uid, time.Now(), 10)
			must(t, err)
			w.journal.take()
			w.faulty.Inject(nil)
			w.fail(n, fault)
			rec := w.exchange(code)
			asked := w.faulty.Asked()
			w.faulty.Inject(nil)
			if n >= len(asked) {
				break
			}
			events := append(w.journal.take(), w.settled()...)
			if rec.Code != 200 && rec.Code != 503 || decisionsOf(events) != 1 {
				t.Errorf("%s at %s: %d, events %+v", fault, asked[n], rec.Code, events)
			}
			w.exchange(code)
			w.exchange(code)
			after, err := w.store.FamiliesOfUser(t.Context(), w.uid, time.Now(), 10)
			must(t, err)
			if len(after) > len(before) {
				t.Errorf("%s at %s: a code that was used twice has a session", fault, asked[n])
			}
		}
	}
}

// TestPagesSpeakTheReadersLanguage: what a browser prefers, or the client asks for.
func TestPagesSpeakTheReadersLanguage(t *testing.T) {
	w := newWorld(t)
	for accept, want := range map[string]string{
		"": "en", "de-AT,de;q=0.9": "de", "sw, fr;q=0.9, de;q=0.5": "fr", "ja": "ja", "ar-EG": "ar", "pt-PT": "pt", "es-419": "es", "*": "en", "%%": "en", "sw": "en",
	} {
		r := httptest.NewRequest("GET", "/account", nil)
		r.Header.Set("Accept-Language", accept)
		dir := "ltr"
		if want == "ar" {
			dir = "rtl"
		}
		if body := w.serve(r).Body.String(); !strings.Contains(body, `<html lang="`+want+`" dir="`+dir+`">`) {
			t.Errorf("%q: %s", accept, body)
		}
	}
}
