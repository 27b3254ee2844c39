package server_test

import (
	"encoding/base64"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/store/storetest"
	"github.com/keyturn/keyturn/oauth"
)

// farewell is where the shop sends users who have logged out.
const farewell = "https://app.example.com/bye"

// redeemed has a browser get a code, and returns what that was exchanged for.
func (b *browser) redeemed(change func(url.Values)) codeTokens {
	b.w.t.Helper()
	return read[codeTokens](b.w.t, b.w.exchange(b.code(change)), 200)
}

// leaving is a request of the shop's to log out, changed.
func leaving(hint string, change func(url.Values)) url.Values {
	v := url.Values{"post_logout_redirect_uri": {farewell}, "state": {"st&te"}, "client_id": {"shop"}}
	if hint != "" {
		v.Set("id_token_hint", hint)
	}
	if change != nil {
		change(v)
	}
	return v
}

func (b *browser) leave(v url.Values) *httptest.ResponseRecorder {
	return b.get("/oauth/logout?" + v.Encode())
}

// leavingBy is a request to log out with the ID token of this log-in, changed.
func leavingBy(change func(url.Values)) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder {
		var b *browser
		var held codeTokens
		w.quietly(func() {
			b = w.loggedIn()
			held = b.redeemed(nil)
		})
		return b.leave(leaving(held.ID, change))
	}
}

// leavingNow is a request to log out of who is not logged in.
func leavingNow(w *world, _ tokens) *httptest.ResponseRecorder {
	return w.browser().leave(leaving("", nil))
}

func (w *world) lives(refresh string) bool {
	w.t.Helper()
	return w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}).Code == 200
}

func led(rec *httptest.ResponseRecorder) bool {
	return rec.Code == 303 && rec.Header().Get("Location") == farewell+"?state=st%26te"
}

// TestLogOutByAnApplication: with an ID token of the log-in nobody is asked, on any
// replica; what was begun through it ends with it, and nothing else.
func TestLogOutByAnApplication(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		w.change("shop", func(c *clients.Client) {
			c.DefaultScope, c.Scope = c.Scope, append(slices.Clone(c.Scope), "offline_access")
		})
		other := w.loggedIn()
		elsewhere := other.redeemed(nil)
		app := w.login()
		b := w.loggedIn()
		first, second := b.redeemed(nil), b.redeemed(nil)
		offline := b.redeemed(setting("scope", "openid offline_access"))
		w.handler = w.build() // another replica
		w.journal.take()
		if rec := b.leave(leaving(first.ID, nil)); !led(rec) || b.isLoggedIn(email) {
			t.Errorf("status %d to %q", rec.Code, rec.Header().Get("Location"))
		}
		events := w.journal.take()
		if len(events) != 1 || events[0].Action != audit.UserLoggedOut || events[0].Count != 2 || events[0].ClientID != "shop" || events[0].UserID != w.uid {
			t.Errorf("events: %+v", events)
		}
		for name, token := range map[string]string{"the application's": first.Refresh, "another's": second.Refresh} {
			if w.lives(token) {
				t.Errorf("%s session lives", name)
			}
		}
		if rec := w.sendJSON("GET", "/oauth/userinfo", second.Access, nil); rec.Code != 401 {
			t.Errorf("its access token counts: %d", rec.Code)
		}
		for name, token := range map[string]string{"offline": offline.Refresh, "another browser's": elsewhere.Refresh, "an app's": app.Refresh} {
			if !w.lives(token) {
				t.Errorf("%s session has ended", name)
			}
		}
		if !other.isLoggedIn(email) {
			t.Error("another browser is logged out")
		}
		w.journal.take()
		if rec := b.leave(leaving(first.ID, nil)); !led(rec) || len(w.journal.take()) != 0 {
			t.Errorf("once more: %d", rec.Code)
		}
	})
}

// TestLogOutAsks: without an ID token of this very log-in the user is asked, and the
// form is of this page.
func TestLogOutAsks(t *testing.T) {
	w := newWorld(t)
	eve, b := w.loggedIn(), w.loggedIn()
	foreign, own := eve.redeemed(nil), b.redeemed(nil)
	head, rest, _ := strings.Cut(own.ID, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	for name, hint := range map[string]string{
		"none": "", "nonsense": "x", "of another log-in": foreign.ID, "an access token": own.Access, "a refresh token": own.Refresh,
		"changed": head + "." + payload + "x." + signature, "unsigned": head + "." + payload + ".",
		"alg none": base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + payload + ".",
	} {
		w.journal.take()
		rec := b.leave(leaving(hint, nil))
		if rec.Code != 200 || !strings.Contains(rec.Body.String(), "<strong dir=\"auto\">shop</strong>") || len(w.journal.take()) != 0 || !b.isLoggedIn(email) {
			t.Fatalf("%s: %d %s", name, rec.Code, rec.Body)
		}
		action, form := formOn(t, rec)
		if rec := b.post(action, change(form, without("token"))); rec.Code != 403 || !b.isLoggedIn(email) {
			t.Errorf("%s: a foreign form: %d", name, rec.Code)
		}
	}
	posted := b.post("/oauth/logout", leaving("", nil))
	if posted.Code != 303 {
		t.Fatalf("posted: %d", posted.Code)
	}
	rec := b.get(posted.Header().Get("Location"))
	for _, language := range []string{"", "&ui_locales=de"} {
		action, form := formOn(t, rec)
		if language != "" {
			if rec := b.post(action, form); !led(rec) || b.isLoggedIn(email) || w.lives(own.Refresh) {
				t.Errorf("status %d to %q", rec.Code, rec.Header().Get("Location"))
			}
		}
		rec = b.get("/account/logout?request=" + url.QueryEscape(form.Get("request")) + language)
	}
	// An ID token whose key has left tells the client, and no more.
	b = w.loggedIn()
	old := leaving(unproven(t, b.redeemed(nil).ID), without("client_id"))
	action, form := formOn(t, b.leave(old))
	if !b.isLoggedIn(email) {
		t.Error("an ID token that is not proven logs out")
	}
	if rec := b.post(action, form); !led(rec) || b.isLoggedIn(email) {
		t.Errorf("with an old ID token: %d to %q", rec.Code, rec.Header().Get("Location"))
	}
	if rec := w.loggedIn().leave(url.Values{}); rec.Code != 200 || strings.Contains(rec.Body.String(), `name="request"`) {
		t.Errorf("of nobody: %d %s", rec.Code, rec.Body)
	}
	if rec := w.browser().leave(url.Values{}); rec.Code != 200 || !strings.Contains(rec.Body.String(), "You are logged out") {
		t.Errorf("of nobody who is logged in: %d", rec.Code)
	}
}

func change(v url.Values, by func(url.Values)) url.Values {
	by(v)
	return v
}

// TestLogOutLeadsNobodyAstray: only addresses that the client is registered with, as
// they are, whoever is logged in.
func TestLogOutLeadsNobodyAstray(t *testing.T) {
	w := newWorld(t)
	b := w.loggedIn()
	hint := b.redeemed(nil).ID
	for _, uri := range []string{
		"https://evil.example", farewell + "/", farewell + "?x", farewell + "#x", farewell + ".evil.example", "HTTPS://app.example.com/bye", "//app.example.com/bye",
		"https://app.example.com@evil.example/bye", callback, "javascript:alert(1)", "https://app.example.com/b%79e", " " + farewell,
	} {
		for _, hint := range []string{hint, ""} {
			for name, b := range map[string]*browser{"logged in": b, "logged out": w.browser()} {
				if rec := b.leave(leaving(hint, setting("post_logout_redirect_uri", uri))); rec.Code != 400 || rec.Header().Get("Location") != "" {
					t.Errorf("%s, %q: %d to %q", name, uri, rec.Code, rec.Header().Get("Location"))
				}
			}
		}
	}
	for name, by := range map[string]func(url.Values){
		"no client": func(v url.Values) { v.Del("client_id"); v.Del("id_token_hint") }, "another client": setting("client_id", "native"),
		"two": func(v url.Values) { v.Add("post_logout_redirect_uri", "https://evil.example") },
	} {
		if rec := b.leave(leaving(hint, by)); rec.Code != 400 || rec.Header().Get("Location") != "" {
			t.Errorf("%s: %d", name, rec.Code)
		}
	}
	action, form := formOn(t, b.leave(leaving("", nil)))
	form.Set("request", leaving("", setting("post_logout_redirect_uri", "https://evil.example")).Encode())
	if rec := b.post(action, form); rec.Code != 400 || rec.Header().Get("Location") != "" {
		t.Errorf("in the form: %d", rec.Code)
	}
	if !b.isLoggedIn(email) {
		t.Error("a refused request logged out")
	}
}

// TestAnIDTokenIsNoAccessToken, nowhere where one is due.
func TestAnIDTokenIsNoAccessToken(t *testing.T) {
	w := newWorld(t)
	held := w.loggedIn().redeemed(nil)
	for _, path := range []string{"/oauth/userinfo", "/auth/me"} {
		if rec := w.sendJSON("GET", path, held.ID, nil); rec.Code != 401 {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
	if rec := w.post("/oauth/introspect", values{"token": {held.ID}}); rec.Body.String() != `{"active":false}` {
		t.Errorf("introspection: %s", rec.Body)
	}
}

// TestALogInAgainIsTheSameLogIn to the applications: with it, and not before, their
// sessions end; that of somebody else ends them.
func TestALogInAgainIsTheSameLogIn(t *testing.T) {
	w := newWorld(t)
	b := w.loggedIn()
	held := b.redeemed(nil)
	if rec := b.logIn(b.authorize(asks(setting("prompt", "login"))), email, password); rec.Code != 303 {
		t.Fatalf("log-in: %d", rec.Code)
	}
	next := b.redeemed(nil)
	held = read[codeTokens](t, w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {held.Refresh}}), 200)
	if rec := b.leave(leaving(held.ID, nil)); !led(rec) || w.lives(held.Refresh) || w.lives(next.Refresh) {
		t.Errorf("status %d, or sessions live", rec.Code)
	}
	b = w.loggedIn()
	held = b.redeemed(nil)
	if rec := w.sendJSON("POST", "/auth/signup", "", map[string]string{"email": "bob@example.com", "password": long}); rec.Code != 201 {
		t.Fatalf("sign-up: %d", rec.Code)
	}
	if rec := b.logIn(b.authorize(asks(setting("prompt", "login"))), "bob@example.com", long); rec.Code != 303 || w.lives(held.Refresh) {
		t.Errorf("log-in of another: %d, or the session lives", rec.Code)
	}
}

// TestF6_LogOutBeatsAnExchangeUnderWay wherever between the steps of the exchange it falls.
func TestF6_LogOutBeatsAnExchangeUnderWay(t *testing.T) {
	for _, method := range []string{"HeldFamily", "FamilyByID", "UserByID", "CreateFamily", "ClientByID", "HoldFamily"} {
		w := newFaultyWorld(t)
		b := w.loggedIn()
		hint, code := b.redeemed(nil).ID, b.code(nil)
		replica := *w.world
		replica.store = w.faulty.Unwrap()
		replica.handler = replica.build()
		b.w = &replica
		ended := 0
		w.meanwhile(method, func() { ended = b.leave(leaving(hint, nil)).Code })
		rec := w.exchange(code)
		w.faulty.Inject(func(string) storetest.Fault { return storetest.None })
		if ended != 303 {
			t.Fatalf("%s: log-out: %d", method, ended)
		}
		if rec.Code == 200 && w.lives(read[codeTokens](t, rec, 200).Refresh) {
			t.Errorf("%s: the session outlives the log-out", method)
		}
	}
}

// TestA3_ALogOutOwesItsEvent: it stands at once though the log takes nothing, with all
// that it ends, and its one event comes.
func TestA3_ALogOutOwesItsEvent(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		b := w.loggedIn()
		held := b.redeemed(nil)
		w.journal.breakDown(true)
		if rec := b.leave(leaving(held.ID, nil)); rec.Code != 503 || b.isLoggedIn(email) {
			t.Errorf("status %d", rec.Code)
		}
		w.journal.breakDown(false)
		if w.lives(held.Refresh) {
			t.Error("its session lives")
		}
		w.journal.take()
		_, err := oauth.SessionEnder{Store: w.store, Audit: w.audit, Now: func() time.Time { return time.Now().Add(time.Hour) }}.SettleDecisions(t.Context())
		must(t, err)
		if events := w.journal.take(); len(events) != 1 || events[0].Action != audit.UserLoggedOut || events[0].Count != 1 {
			t.Errorf("what was owed: %+v", events)
		}
	})
}

// TestF5_ALogOutThatFailsHalvesNothing has each call of the store go wrong: once what
// was begun is carried on, either nothing has ended or all has, with one event.
func TestF5_ALogOutThatFailsHalvesNothing(t *testing.T) {
	for _, fault := range []storetest.Fault{storetest.Fails, storetest.Persists} {
		for n := 0; ; n++ {
			w := newFaultyWorld(t)
			b := w.loggedIn()
			held := b.redeemed(nil)
			w.journal.take()
			w.fail(n, fault)
			b.leave(leaving(held.ID, nil))
			reached := len(w.faulty.Asked()) > n
			w.faulty.Inject(func(string) storetest.Fault { return storetest.None })
			_, err := oauth.SessionEnder{Store: w.store, Audit: w.audit, Now: func() time.Time { return time.Now().Add(time.Hour) }}.SettleDecisions(t.Context())
			must(t, err)
			told := 0
			for _, e := range w.journal.take() {
				if e.Action == audit.UserLoggedOut && e.Outcome == audit.Success {
					told++
				}
			}
			in, lives := w.loginLives(), w.lives(held.Refresh)
			if in != lives || told != map[bool]int{true: 0, false: 1}[lives] {
				t.Errorf("%s at call %d: logged in %t, the session lives %t, %d events", fault, n, in, lives, told)
			}
			if !reached {
				break
			}
		}
	}
}

// loginLives reports whether the user has a browser's log-in that lives, though the
// browser may have forgotten it.
func (w *world) loginLives() bool {
	live, err := w.store.FamiliesOfUser(w.t.Context(), w.uid, time.Now(), 100)
	must(w.t, err)
	return slices.ContainsFunc(live, func(f oauth.Family) bool { return f.ClientID == "" })
}
