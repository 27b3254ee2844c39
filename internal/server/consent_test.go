package server_test

import (
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/users"
)

// asThirdParty makes the shop somebody else's.
func (w *world) asThirdParty() { w.change("shop", func(c *clients.Client) { c.ThirdParty = true }) }

// decide presses a button of the page that asks for consent.
func (b *browser) decide(rec *httptest.ResponseRecorder, decision string, change func(url.Values)) *httptest.ResponseRecorder {
	b.w.t.Helper()
	action, form := formOn(b.w.t, rec)
	form.Set("decision", decision)
	if change != nil {
		change(form)
	}
	return b.post(action, form)
}

// atConsent decides on what the shop asks for, which is a third party's.
func atConsent(decision string, change func(url.Values)) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder {
		var b *browser
		var page *httptest.ResponseRecorder
		w.asThirdParty()
		w.quietly(func() {
			b = w.loggedIn()
			page = b.authorize(asks(nil))
		})
		return b.decide(page, decision, change)
	}
}

// given is send by a user who lets the client have something.
func given(clientID string, send sending) sending {
	return func(w *world, t tokens) *httptest.ResponseRecorder {
		w.quietly(func() { must(w.t, w.users.GiveConsent(w.t.Context(), w.uid, clientID, []string{"openid"}, "")) })
		return send(w, t)
	}
}

// atApplications presses the button to withdraw what the wiki may have.
func atApplications(change func(url.Values)) sending {
	return given("wiki", atForm("/account/applications", func(form url.Values) {
		form.Set("application", "wiki")
		if change != nil {
			change(form)
		}
	}))
}

// TestConsent asks the user of a third party's client once for each scope, and not again
// until that is withdrawn, which ends what was begun.
func TestConsent(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		w.asThirdParty()
		b := w.browser()
		narrow := setting("scope", "openid")
		page := b.get(b.logIn(b.authorize(asks(narrow)), email, password).Header().Get("Location"))
		if page.Code != 200 || !strings.Contains(page.Body.String(), "Allow <bdi>shop</bdi>?") || !strings.Contains(page.Body.String(), "who you are") || strings.Contains(page.Body.String(), "your e-mail address") {
			t.Fatalf("the page: %d %s", page.Code, page.Body)
		}
		if v := answerIn(t, b.authorize(asks(setting("prompt", "none")))); v.Get("error") != "consent_required" {
			t.Errorf("without a page: %v", v)
		}
		if v := answerIn(t, b.decide(page, "deny", nil)); v.Get("error") != "access_denied" || v.Get("state") != "st&te" || v.Has("code") {
			t.Errorf("the user says no: %v", v)
		}
		led := b.decide(b.authorize(asks(narrow)), "allow", nil)
		answer := answerIn(t, b.get(led.Header().Get("Location")))
		held := read[codeTokens](t, w.exchange(answer.Get("code")), 200)
		if v := answerIn(t, b.authorize(asks(func(v url.Values) { narrow(v); v.Set("prompt", "none") }))); v.Get("code") == "" {
			t.Errorf("it is asked for again: %v", v)
		}
		if rec := b.authorize(asks(nil)); rec.Code != 200 || !strings.Contains(rec.Body.String(), "your e-mail address") {
			t.Errorf("more is not asked for: %d", rec.Code)
		}
		if rec := b.authorize(asks(func(v url.Values) { narrow(v); v.Set("prompt", "consent") })); rec.Code != 200 {
			t.Errorf("prompt=consent: %d", rec.Code)
		}
		pushed := w.push(func(v url.Values) { v.Set("prompt", "consent login") })
		page = b.get(b.logIn(b.authorize(pushed), email, password).Header().Get("Location"))
		if v := answerIn(t, b.get(b.decide(page, "allow", nil).Header().Get("Location"))); v.Get("code") == "" {
			t.Errorf("a pushed request: %v", v)
		}
		u, err := w.users.ByID(t.Context(), w.uid)
		must(t, err)
		if !u.ConsentsTo("shop", []string{"openid", "email", "profile"}) || len(u.Consents) != 1 {
			t.Errorf("consents: %+v", u.Consents)
		}
		code := answerIn(t, b.authorize(asks(nil))).Get("code")
		list := b.get("/account/applications")
		if !strings.Contains(list.Body.String(), "<bdi>shop</bdi>") {
			t.Errorf("applications: %s", list.Body)
		}
		w.journal.take()
		action, form := formOn(t, list)
		form.Set("application", "shop")
		if rec := b.post(action, form); rec.Code != 303 {
			t.Errorf("withdrawal: %d %s", rec.Code, rec.Body)
		}
		if events := w.journal.take(); len(events) != 1 || events[0].Action != audit.ConsentWithdrawn || events[0].Count != 1 || events[0].ClientID != "shop" || events[0].UserID != w.uid {
			t.Errorf("events: %+v", events)
		}
		if rec := w.post("/oauth/token", refresh(held.Refresh)); rec.Code != 400 {
			t.Errorf("a session from before: %d", rec.Code)
		}
		if rec := w.exchange(code); rec.Code != 400 || !strings.Contains(rec.Body.String(), "invalid_grant") {
			t.Errorf("a code from before: %d %s", rec.Code, rec.Body)
		}
		if rec := b.authorize(asks(nil)); rec.Code != 200 || !b.isLoggedIn(email) {
			t.Errorf("after it: %d, or the log-in has ended", rec.Code)
		}
	})
}

// TestPeopleSeeTheNameOfAClient, and never its markup, wherever they saw its id.
func TestPeopleSeeTheNameOfAClient(t *testing.T) {
	w := newWorld(t)
	w.asThirdParty()
	w.change("shop", func(c *clients.Client) { c.Name = "Ada’s <b>shop</b> & more" })
	b := w.browser()
	shown := map[string]*httptest.ResponseRecorder{"the log-in": b.authorize(asks(nil))}
	shown["the consent"] = b.get(b.logIn(shown["the log-in"], email, password).Header().Get("Location"))
	answer := b.get(b.decide(shown["the consent"], "allow", nil).Header().Get("Location"))
	read[codeTokens](t, w.exchange(answerIn(t, answer).Get("code")), 200)
	shown["the applications"], shown["the sessions"] = b.get("/account/applications"), b.get("/account/sessions")
	shown["the way back"] = b.authorize(asks(setting("response_mode", "form_post")))
	for name, rec := range shown {
		if body := rec.Body.String(); rec.Code != 200 || !strings.Contains(body, ">Ada’s &lt;b&gt;shop&lt;/b&gt; &amp; more</") || strings.Contains(body, ">shop<") {
			t.Errorf("%s: %d %s", name, rec.Code, body)
		}
	}
}

// TestConsentIsTheUsersOwn: what another user was asked, or another application, counts for
// nobody else; the deployment's own applications ask nobody.
func TestConsentIsTheUsersOwn(t *testing.T) {
	w := newWorld(t)
	b := w.loggedIn()
	if v := answerIn(t, b.authorize(asks(nil))); v.Get("code") == "" {
		t.Errorf("an application of the deployment's: %v", v)
	}
	w.asThirdParty()
	page := b.authorize(asks(nil))
	grace, err := w.users.Add(t.Context(), users.NewUser{Email: "grace@example.com", Password: long})
	must(t, err)
	// In another window of the browser.
	b.logIn(w.browser().get("/account"), "x", "x")
	hers := w.browser()
	hers.logIn(hers.get("/account"), grace.Email, long)
	action, form := formOn(t, page)
	form.Set("decision", "allow")
	_, own := formOn(t, hers.get("/account/password"))
	form.Set("token", own.Get("token"))
	if rec := hers.post(action, form); rec.Code != 200 || !strings.Contains(rec.Body.String(), grace.Email) {
		t.Errorf("a page that another user was shown: %d %s", rec.Code, rec.Body)
	}
	for _, uid := range []string{w.uid, grace.UID} {
		if u, err := w.users.ByID(t.Context(), uid); err != nil || len(u.Consents) > 0 {
			t.Errorf("%+v, %v", u.Consents, err)
		}
	}
	if rec := b.decide(page, "", nil); answerIn(t, rec).Get("error") != "access_denied" {
		t.Errorf("no decision: %v", rec.Header())
	}
}

// TestConsentSaysWhoseTheApplicationIs: one of the deployment's own that asks for consent
// is not said to be somebody else's, in no language.
func TestConsentSaysWhoseTheApplicationIs(t *testing.T) {
	w := newWorld(t)
	b := w.loggedIn()
	for lang, words := range map[string]struct{ own, others string }{
		"en": {"</bdi> asks for:", "is run by somebody else"}, "de": {"</bdi> möchte:", "von jemand anderem betrieben"},
		"fr": {"</bdi> demande :", "exploitée par quelqu’un d’autre"}, "es": {"</bdi> pide:", "la gestiona otra persona"},
		"pt": {"</bdi> pede:", "gerido por outra entidade"}, "ja": {"</bdi> は次のものを求めています:", "第三者が運営"}, "ar": {"يطلب <bdi>shop</bdi>:", "طرف آخر"},
	} {
		for _, third := range []bool{false, true} {
			w.change("shop", func(c *clients.Client) { c.ThirdParty = third })
			body := b.authorize(asks(func(v url.Values) { v.Set("prompt", "consent"); v.Set("ui_locales", lang) })).Body.String()
			if strings.Contains(body, words.own) == third || strings.Contains(body, words.others) != third {
				t.Errorf("%s, of a third party: %t: %s", lang, third, body)
			}
		}
	}
}

// TestGrantsRoute lists and withdraws what clients may have as plain JSON.
func TestGrantsRoute(t *testing.T) {
	w := newWorld(t)
	held := w.login()
	const odd = "a client/with%20an id"
	for _, id := range []string{"wiki", odd} {
		must(t, w.users.GiveConsent(t.Context(), w.uid, id, []string{"openid", "email"}, ""))
	}
	type list struct {
		Grants []struct {
			ClientID string `json:"client_id"`
			Scope    string
		}
	}
	got := read[list](t, w.sendJSON("GET", "/auth/grants", held.Access, nil), 200).Grants
	if len(got) != 2 || got[0].ClientID != "wiki" || got[0].Scope != "openid email" || got[1].ClientID != odd {
		t.Errorf("%+v", got)
	}
	for i, want := range []int{204, 404} {
		if rec := w.sendJSON("DELETE", "/auth/grants/"+url.PathEscape(odd), held.Access, nil); rec.Code != want {
			t.Errorf("withdrawal %d: %d %s", i, rec.Code, rec.Body)
		}
	}
	if got := read[list](t, w.sendJSON("GET", "/auth/grants", held.Access, nil), 200).Grants; len(got) != 1 || got[0].ClientID != "wiki" {
		t.Errorf("left: %+v", got)
	}
}

// TestA3_ConsentStandsOnlyWithItsEvent: while the log takes no event nobody gives anything,
// and what is withdrawn is, and owes its event.
func TestA3_ConsentStandsOnlyWithItsEvent(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		w.asThirdParty()
		b := w.loggedIn()
		page := b.authorize(asks(nil))
		w.journal.breakDown(true)
		if rec := b.decide(page, "allow", nil); rec.Code != 503 {
			t.Errorf("consent: %d", rec.Code)
		}
		w.journal.breakDown(false)
		if rec := b.authorize(asks(nil)); rec.Code != 200 {
			t.Errorf("it stands without its event: %d", rec.Code)
		}
		held := read[codeTokens](t, w.exchange(answerIn(t, b.get(b.decide(page, "allow", nil).Header().Get("Location"))).Get("code")), 200)
		action, form := formOn(t, b.get("/account/applications"))
		form.Set("application", "shop")
		w.journal.take()
		w.journal.breakDown(true)
		if rec := b.post(action, form); rec.Code != 503 {
			t.Errorf("withdrawal: %d", rec.Code)
		}
		w.journal.breakDown(false)
		if w.lives(held.Refresh) {
			t.Error("the session waits for the log")
		}
		w.journal.take()
		later := *w.users
		later.Now = func() time.Time { return time.Now().Add(time.Hour) }
		_, err := later.SettleDecisions(t.Context())
		must(t, err)
		if events := w.journal.take(); len(events) != 1 || events[0].Action != audit.ConsentWithdrawn || events[0].Count != 1 {
			t.Errorf("what was owed: %+v", events)
		}
	})
}

// consentDecisions are those about what clients may have.
func consentDecisions() []decided {
	give, take, list := audit.ConsentGiven, audit.ConsentWithdrawn, audit.ConsentsListed
	const page = "/account/applications"
	rows := []decided{
		{"consent", atConsent("allow", nil), 303, give, ""},
		{"no consent", atConsent("deny", nil), 303, audit.CodeIssued, "consent_refused"},
		{"no consent, and no page", after(func(w *world, _ tokens) { w.asThirdParty() }, authorizing(setting("prompt", "none"))), 303, audit.CodeIssued, "consent_required"},
		{"consent, foreign form", atConsent("allow", without("token")), 403, give, "foreign_form"},
		{"consent to nonsense", atConsent("allow", setting("request", "%zz")), 400, give, "malformed_form"},
		{"consent, logged out", func(w *world, t tokens) *httptest.ResponseRecorder {
			return atConsent("allow", func(url.Values) {
				w.quietly(func() {
					_, err := w.users.EndSessions(w.t.Context(), w.uid, "")
					must(w.t, err)
				})
			})(w, t)
		}, 403, give, "login_required"},
		{"consent, hung up", hangingUpAt(3, "UserByID", atConsent("allow", nil)), 503, give, "hung_up"},
		{"consent, no store", failing("ReplaceUser", atConsent("allow", nil)), 503, give, "unavailable"},
		{"consent withdrawn before the exchange", func(w *world, _ tokens) *httptest.ResponseRecorder {
			var code string
			w.asThirdParty()
			w.quietly(func() {
				must(w.t, w.users.GiveConsent(w.t.Context(), w.uid, "shop", []string{"openid", "email", "profile"}, ""))
				code = w.loggedIn().code(nil)
				_, err := w.users.WithdrawConsent(w.t.Context(), w.uid, "shop", audit.ReasonEndedByUser)
				must(w.t, err)
			})
			return w.exchange(code)
		}, 400, audit.TokenRefused, "consent_required"},

		{"applications", given("wiki", atLoggedIn(page)), 200, list, ""},
		{"withdrawal at the page", atApplications(nil), 303, take, "ended_by_user"},
		{"withdrawal, foreign form", atApplications(without("token")), 403, take, "foreign_form"},
		{"withdrawal from nobody", atApplications(setting("application", "shop")), 404, take, "unknown_consent"},
		{"withdrawal, logged out", given("wiki", loggedOutMeanwhile(page)), 403, take, "login_required"},
		{"withdrawal, hung up", given("wiki", hangingUpAt(3, "UserByID", atForm(page, setting("application", "wiki")))), 503, take, "hung_up"},
		{"withdrawal, no store", failing("ReplaceUser", bearer("DELETE", "/auth/grants/wiki", nil)), 404, take, "unknown_consent"},

		{"grants", given("wiki", bearer("GET", "/auth/grants", nil)), 200, list, ""},
		{"grants, no store", failing("UserByID", bearer("GET", "/auth/grants", nil)), 503, list, "store"},
		{"grants, hung up", hangingUp("UserByID", bearer("GET", "/auth/grants", nil)), 503, list, "hung_up"},
		{"withdrawal", given("wiki", bearer("DELETE", "/auth/grants/wiki", nil)), 204, take, "ended_by_user"},
		{"withdrawal, store away", given("wiki", failing("ReplaceUser", bearer("DELETE", "/auth/grants/wiki", nil))), 503, take, "unavailable"},
	}
	return slices.Concat(rows, unreadForms("/account/consent", give), unreadForms(page, take))
}

// consentErrands are what operators, and nobody at all, do about consents.
func consentErrands() []errand {
	give := func(uid string) func(faultyWorld) error {
		return func(w faultyWorld) error { return w.users.GiveConsent(w.t.Context(), uid, "wiki", nil, "") }
	}
	take := func(w faultyWorld, uid string) error {
		_, err := w.users.WithdrawConsent(w.t.Context(), uid, "wiki", audit.ReasonLoggedOutByOperator)
		return err
	}
	return []errand{
		{give("nobody"), audit.ConsentGiven, "unknown_user", "", 0},
		{func(w faultyWorld) error { return take(w, "nobody") }, audit.ConsentWithdrawn, "unknown_user", "", 0},
		{func(w faultyWorld) error {
			must(w.t, give(w.uid)(w))
			w.journal.take()
			return take(w, w.uid)
		}, audit.ConsentWithdrawn, "logged_out_by_operator", "", 0},
	}
}
