package server_test

import (
	"html"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/throttle"
	"github.com/keyturn/keyturn/users"
)

// send fills in the form of a page, and sends it.
func (b *browser) send(page string, filled map[string]string) *httptest.ResponseRecorder {
	b.w.t.Helper()
	action, form := formOn(b.w.t, b.get(page))
	for name, value := range filled {
		form.Set(name, value)
	}
	return b.post(action, form)
}

// isLoggedIn reports whether the account page knows the browser.
func (b *browser) isLoggedIn(address string) bool {
	return strings.Contains(b.get("/account").Body.String(), `<strong dir="auto">`+address+"</strong>")
}

// TestF7_APasswordChangedAtThePageEndsTheOthers: this browser's log-in goes on, and
// nothing else that was begun with the former password.
func TestF7_APasswordChangedAtThePageEndsTheOthers(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		mine, other, held := w.loggedIn(), w.loggedIn(), w.login()
		code := other.code(nil)
		rec := mine.send("/account/password", map[string]string{"current_password": password, "new_password": long})
		if rec.Code != 200 || !mine.isLoggedIn(email) || other.isLoggedIn(email) {
			t.Errorf("%d; mine goes on: %t, the other: %t", rec.Code, mine.isLoggedIn(email), other.isLoggedIn(email))
		}
		for name, rec := range map[string]*httptest.ResponseRecorder{
			"refresh": w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {held.Refresh}}), "code": w.exchange(code),
		} {
			if rec.Code != 400 {
				t.Errorf("%s: %d", name, rec.Code)
			}
		}
		if rec := w.browser().logIn(w.browser().get("/account"), email, password); rec.Code != 403 {
			t.Errorf("the former password: %d", rec.Code)
		}
	})
}

// TestSessionsAtThePage: one's own can be ended, one and all others, and nobody else's.
func TestSessionsAtThePage(t *testing.T) {
	w := newWorld(t)
	grace, err := w.users.Add(t.Context(), users.NewUser{Email: "grace@example.com", Password: long})
	must(t, err)
	hers := w.browser()
	hers.logIn(hers.get("/account"), grace.Email, long)
	b, held := w.loggedIn(), w.login()
	theirs, err := w.store.FamiliesOfUser(t.Context(), grace.UID, time.Now(), 10)
	must(t, err)
	if rec := b.send("/account/sessions", map[string]string{"session": theirs[0].ID}); rec.Code != 404 || !hers.isLoggedIn(grace.Email) {
		t.Errorf("another's session: %d", rec.Code)
	}
	page := b.get("/account/sessions").Body.String()
	if n := strings.Count(page, "<h2"); n != 2 || strings.Contains(page, theirs[0].ID) || !strings.Contains(page, "<bdi>shop</bdi>") {
		t.Errorf("%d sessions are shown: %s", n, page)
	}
	if rec := b.send("/account/sessions", map[string]string{"session": sessionOf(t, held.Access)}); rec.Code != 303 || rec.Header().Get("Location") != "/account/sessions" {
		t.Errorf("one's own: %d %v", rec.Code, rec.Header())
	}
	if rec := w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {held.Refresh}}); rec.Code != 400 {
		t.Errorf("it goes on: %d", rec.Code)
	}
	other := w.loggedIn()
	b.send("/account/sessions", map[string]string{"session": "others"})
	if other.isLoggedIn(email) || !b.isLoggedIn(email) || !hers.isLoggedIn(grace.Email) {
		t.Error("not the others, and they alone, have ended")
	}
}

// TestSessionsAreWhereTheUserIs: an application's server exchanges the code, and the
// user is shown their own device and address.
func TestSessionsAreWhereTheUserIs(t *testing.T) {
	w := newWorld(t)
	b := w.loggedIn()
	r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(exchanges(b.code(nil), nil).Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("User-Agent", "MyBackend/1.0")
	r.RemoteAddr = "203.0.113.9:4711"
	r.SetBasicAuth("shop", w.secret)
	access := read[codeTokens](t, w.serve(r), 200).Access
	for name, body := range map[string]string{
		"the page": b.get("/account/sessions").Body.String(), "the route": w.sendJSON("GET", "/auth/sessions", access, nil).Body.String(),
	} {
		if strings.Contains(body, "MyBackend") || strings.Contains(body, "203.0.113.9") || !strings.Contains(body, "shop") {
			t.Errorf("%s: %s", name, body)
		}
	}
}

// TestLogOutWithoutItsEventIsDone: who logged out while the audit log is full is told so.
func TestLogOutWithoutItsEventIsDone(t *testing.T) {
	w := newWorld(t)
	b := w.loggedIn()
	action, form := formOn(t, b.get("/account/logout"))
	w.journal.breakDown(true)
	rec := b.post(action, form)
	w.journal.breakDown(false)
	if body := rec.Body.String(); rec.Code != 503 || !strings.Contains(body, "It is done. ") || strings.Contains(body, "<h1>That did not work") {
		t.Errorf("%d %s", rec.Code, body)
	}
	if b.isLoggedIn(email) {
		t.Error("still logged in")
	}
}

// TestRememberedOrNot: a browser that is not to remember forgets when it is closed, and
// the server within hours; a remembered log-in lives as long as its cookie.
func TestRememberedOrNot(t *testing.T) {
	w := newWorld(t)
	for remember, ttl := range map[string]time.Duration{"": 12 * time.Hour, "yes": 720 * time.Hour} {
		b := w.browser()
		if rec := b.send("/account", map[string]string{"username": email, "password": password, "remember": remember}); rec.Code != 303 {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		expires := b.set["keyturn"].Expires
		live, err := w.store.FamiliesOfUser(t.Context(), w.uid, time.Now(), 1)
		must(t, err)
		f := live[0]
		if f.ExpiresAt.Sub(f.CreatedAt).Round(time.Minute) != ttl || f.IdleExpiresAt != f.ExpiresAt {
			t.Errorf("remember %q: it lives for %v", remember, f.ExpiresAt.Sub(f.CreatedAt))
		}
		if remember == "" && !expires.IsZero() || remember != "" && expires.Sub(f.ExpiresAt).Abs() > time.Second {
			t.Errorf("remember %q: the cookie expires at %v", remember, expires)
		}
	}
}

// TestSignUpCanBeClosed: then there is no such page, and none leads there.
func TestSignUpCanBeClosed(t *testing.T) {
	w := newWorld(t)
	_, form := formOn(t, w.browser().get("/account/signup"))
	w.signUpOff = true
	w.handler = w.build()
	b := w.browser()
	if body := b.get("/account").Body.String(); strings.Contains(body, "signup") {
		t.Errorf("a page leads there: %s", body)
	}
	form.Set("email", "grace@example.com")
	form.Set("new_password", long)
	if got, sent := b.get("/account/signup").Code, b.post("/account/signup", form).Code; got != 404 || sent != 404 {
		t.Errorf("%d, %d", got, sent)
	}
}

// keptPassword is a password that a page was sent and sends back.
var keptPassword = regexp.MustCompile(`type="password"[^>]* value=`)

// TestU5_ThePagesTakeNoOtherPasswords: what apps may not set, people may not.
func TestU5_ThePagesTakeNoOtherPasswords(t *testing.T) {
	w := newWorld(t)
	b := w.loggedIn()
	for _, weak := range []string{"", "short", "passwordpassword", "abcdefghijklmnopqrst", "ada@example.com", "keyturnkeyturnkeyturn", "a long\x00 enough one", strings.Repeat("x", 2000)} {
		signedUp := w.browser().send("/account/signup", map[string]string{"email": email, "first_name": "Ada", "new_password": weak})
		changed := b.send("/account/password", map[string]string{"current_password": password, "new_password": weak})
		for page, rec := range map[string]*httptest.ResponseRecorder{"sign-up": signedUp, "change": changed} {
			want := 422
			if strings.Contains(weak, "\x00") {
				want = 400
			}
			if rec.Code != want || keptPassword.MatchString(rec.Body.String()) {
				t.Errorf("%s to %.20q: %d", page, weak, rec.Code)
			}
		}
	}
	if rec := w.browser().send("/account/signup", map[string]string{"email": "grace@example.org", "new_password": "pässwörter aus Öl 日本"}); rec.Code != 201 {
		t.Errorf("a good one: %d", rec.Code)
	}
}

// TestU4_GuessesAtThePasswordPageCount: who took over a browser cannot guess there what
// is slowed down elsewhere.
func TestU4_GuessesAtThePasswordPageCount(t *testing.T) {
	w := newWorld(t)
	at := time.Now()
	w.users.Throttle = throttle.New(w.store, func() time.Time { return at })
	b := w.loggedIn()
	for n := 0; ; n++ {
		rec := b.send("/account/password", map[string]string{"current_password": "a guess", "new_password": long})
		if rec.Code == 429 && rec.Header().Get("Retry-After") != "" {
			break
		}
		if rec.Code != 403 || n > 20 {
			t.Fatalf("guess %d: %d", n, rec.Code)
		}
	}
	if rec := w.browser().send("/account", map[string]string{"username": email, "password": password}); rec.Code != 429 {
		t.Errorf("the log-in: %d", rec.Code)
	}
}

// TestALogInLeadsBack to the page that was asked for, over a second factor and in the
// language that was chosen, and to none that is not ours.
func TestALogInLeadsBack(t *testing.T) {
	w := newWorld(t)
	a := w.enrol()
	led := func(b *browser, rec *httptest.ResponseRecorder, code, want string) {
		t.Helper()
		action, form := formOn(t, b.logIn(rec, email, password))
		form.Set("code", "a guess")
		action, form = formOn(t, b.post(action, form))
		form.Set("code", code)
		if to := b.post(action, form).Header().Get("Location"); to != want {
			t.Errorf("it leads to %q, want %q", to, want)
		}
	}
	b := w.browser()
	led(b, b.get("/account/factors?ui_locales=fr"), a.recovery[0], "/account/factors?ui_locales=fr")
	other := w.browser()
	led(other, other.send("/account/login?ui_locales=de", map[string]string{"back": "//evil.example"}), a.recovery[1], "/account?ui_locales=de")
	action, form := formOn(t, b.get("/account/factors"))
	later(w, app{}, nil)
	for page, rec := range map[string]*httptest.ResponseRecorder{
		"/account/factors": b.post(action, form), "/account/delete": b.get("/account/delete"), "/account/factors/app": b.get("/account/factors/app"),
	} {
		text := rec.Body.String()
		if rec.Code != 403 || !strings.Contains(text, "logged in just now") || !strings.Contains(text, `value="`+email+`"`) || !strings.Contains(text, `href="`+page+`?ui_locales=de"`) {
			t.Errorf("%s, long after the log-in: %d %s", page, rec.Code, text)
		}
	}
	led(b, b.get("/account/delete"), a.recovery[2], "/account/delete")
	if rec := b.get("/account/delete"); !strings.Contains(rec.Body.String(), "Delete my account") {
		t.Errorf("after it: %d %s", rec.Code, rec.Body)
	}
}

// TestALogInInAnotherTabGoesOn: who came from an application to sign up confirms the
// address elsewhere in the browser, and goes on to the application by the page that was
// left.
func TestALogInInAnotherTabGoesOn(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	offer := regexp.MustCompile(`href="(/account/signup\?request=[^"]*)"`).FindStringSubmatch(b.authorize(asks(nil)).Body.String())
	if offer == nil {
		t.Fatal("no sign-up is offered")
	}
	left := regexp.MustCompile(`href="(/account/login\?request=[^"]*)"`).FindStringSubmatch(b.get(html.UnescapeString(offer[1])).Body.String())
	if left == nil {
		t.Fatal("no log-in is offered")
	}
	path := html.UnescapeString(left[1])
	b.logIn(b.get("/account"), email, password)
	rec := b.get(path)
	to := rec.Header().Get("Location")
	if rec.Code != 303 || !strings.HasPrefix(to, "/oauth/authorize?") {
		t.Fatalf("%d, led to %q", rec.Code, to)
	}
	if answerIn(t, b.get(to)).Get("code") == "" {
		t.Error("no code")
	}
	if rec := b.get("/account/login?request=" + url.QueryEscape("redirect_uri=https://evil.example")); rec.Code != 200 {
		t.Errorf("a request of nobody: %d", rec.Code)
	}
}

// TestWhatIsNoPage: people are shown a page about it, programs a problem.
func TestWhatIsNoPage(t *testing.T) {
	w := newWorld(t)
	w.signUpOff = true
	w.handler = w.build()
	for _, path := range []string{"/account/nothing", "/account/signup", "/nothing"} {
		shown := w.get(path, "Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Accept-Language", "de")
		if text := shown.Body.String(); shown.Code != 404 || !strings.Contains(text, "Unter dieser Adresse gibt es nichts.") || !strings.Contains(text, `href="/account"`) ||
			!strings.Contains(shown.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%s: %d %v %s", path, shown.Code, shown.Header(), text)
		}
		for _, accept := range []string{"*/*", "application/json, text/plain", ""} {
			if told := w.get(path, "Accept", accept); told.Code != 404 || told.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s, %q: %d %v", path, accept, told.Code, told.Header())
			}
		}
	}
	shown := w.get("/account/consent", "Accept", "text/html")
	if shown.Code != 405 || shown.Header().Get("Allow") != "POST, OPTIONS" || !strings.HasPrefix(shown.Header().Get("Content-Type"), "text/html") {
		t.Errorf("%d %v", shown.Code, shown.Header())
	}
}

// links are the addresses that a page leads to, or takes things from.
var links = regexp.MustCompile(`(?:href|action|src)="([^"]*)"`)

// TestPagesLeadNowhereElse: whatever a request says, a page leads to pages of ours.
func TestPagesLeadNowhereElse(t *testing.T) {
	w := newWorld(t)
	b := w.loggedIn()
	hostile := `javascript:alert(1)//"><script>`
	evil := url.QueryEscape("client_id=shop&redirect_uri=https://evil.example&ui_locales=" + hostile)
	r := httptest.NewRequest("GET", "/account/login", nil)
	r.Header.Set("User-Agent", hostile)
	pages := map[string]*httptest.ResponseRecorder{"another agent": b.do(r)}
	for _, path := range []string{"/account", "/account/login", "/account/signup", "/account/password", "/account/sessions", "/account/applications", "/account/factors", "/account/factors/app", "/account/logout"} {
		for _, who := range []*browser{b, w.browser()} {
			rec := who.get(path + "?request=" + evil + "&ui_locales=" + url.QueryEscape(hostile))
			pages[path+rec.Header().Get("Set-Cookie")] = rec
		}
	}
	pages["refused"] = w.browser().send("/account/signup", map[string]string{"email": hostile, "first_name": hostile, "request": "//evil.example", "new_password": long})
	for name, rec := range pages {
		body := rec.Body.String()
		if rec.Code == 303 && strings.HasPrefix(rec.Header().Get("Location"), "/oauth/authorize?") {
			continue
		}
		found := links.FindAllStringSubmatch(body, -1)
		if len(found) < 8 || strings.Contains(body, "<script>") {
			t.Errorf("%s: %d links: %s", name, len(found), body)
		}
		for _, m := range found {
			if !strings.HasPrefix(m[1], "/account") && !strings.HasPrefix(m[1], "/favicon.ico?v=") && !strings.HasPrefix(m[1], "/oauth/authorize?") {
				t.Errorf("%s leads to %s", name, m[1])
			}
		}
	}
}

// TestTheLogoRunsNothing: nor can another site's page read what the pages say.
func TestTheLogoRunsNothing(t *testing.T) {
	w := newWorld(t)
	if body := w.get("/account/logo").Body.String(); body == "" || body != w.get("/favicon.ico").Body.String() {
		t.Error("the icon is not the logo")
	}
	rec := w.get("/favicon.ico")
	csp := rec.Header().Get("Content-Security-Policy")
	if rec.Code != 200 || rec.Header().Get("Content-Type") != "image/svg+xml" || rec.Header().Get("X-Content-Type-Options") != "nosniff" ||
		!strings.Contains(csp, "sandbox") || !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
	page := w.get("/account", "Origin", "https://app.example.com")
	if page.Header().Get("Access-Control-Allow-Origin") != "" || page.Header().Get("Cross-Origin-Resource-Policy") != "same-origin" {
		t.Errorf("%v", page.Header())
	}
}

// TestAChosenLanguageStays over links, forms and a log-in, without a cookie.
func TestAChosenLanguageStays(t *testing.T) {
	w := newWorld(t)
	b := w.browser()
	page := b.get("/account/login?ui_locales=fr")
	if !strings.Contains(page.Body.String(), `href="/account/signup?ui_locales=fr"`) {
		t.Errorf("a link forgets it: %s", page.Body)
	}
	if rec := b.logIn(page, email, "wrong"); !strings.Contains(rec.Body.String(), `lang="fr"`) {
		t.Error("a refusal forgets it")
	}
	led := b.logIn(page, email, password)
	if to := led.Header().Get("Location"); to != "/account?ui_locales=fr" || !strings.Contains(b.get(to).Body.String(), "Votre compte") {
		t.Errorf("the log-in forgets it: %q", to)
	}
	// For an application it is a part of its request.
	body := w.browser().authorize(asks(nil)).Body.String()
	found := regexp.MustCompile(`href="(/oauth/authorize\?[^"]*ui_locales=ja[^"]*)"`).FindStringSubmatch(body)
	if found == nil {
		t.Fatalf("no link: %s", body)
	}
	if again := w.browser().get(html.UnescapeString(found[1])).Body.String(); !strings.Contains(again, `lang="ja"`) || !strings.Contains(again, ">shop<") {
		t.Errorf("the request in another language: %s", again)
	}
}
