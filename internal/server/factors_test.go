package server_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"html"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/factors"
	"github.com/keyturn/keyturn/internal/throttle"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// app is an authenticator app, written apart from the server's.
type app struct {
	id, secret, challenge string
	// spent is the code that enrolled it.
	spent    string
	recovery []string
}

func (a app) code(at time.Time) string {
	key, err := base32.StdEncoding.DecodeString(a.secret)
	if err != nil {
		panic(err)
	}
	mac := hmac.New(sha1.New, key)
	binary.Write(mac, binary.BigEndian, at.Unix()/30)
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&(1<<31-1)%1e6)
}

// enrol gives the account a second factor. The code of this step is spent then, and
// the next one is good for the rest of it.
func (w *world) enrol() (a app) {
	w.t.Helper()
	w.quietly(func() {
		u, err := w.store.UserByID(w.t.Context(), w.uid)
		must(w.t, err)
		secret := factors.NewSecret()
		a = app{id: uuid.NewString(), secret: factors.Text(secret)}
		a.spent = a.code(time.Now())
		a.recovery, err = w.users.EnrolTOTP(w.t.Context(), u, a.id, secret, "phone", a.spent)
		must(w.t, err)
	})
	return a
}

// setUp is what the user of an access token sets an app up with.
func (w *world) setUp(access string) (a app) {
	w.t.Helper()
	w.quietly(func() {
		got := read[struct{ ID, Challenge, Secret string }](w.t, w.sendJSON("GET", "/auth/factors/totp", access, nil), 200)
		a = app{id: got.ID, challenge: got.Challenge, secret: got.Secret}
	})
	return a
}

// adding is the body that adds the app.
func (a app) adding() map[string]string {
	return map[string]string{"challenge": a.challenge, "code": a.code(time.Now()), "name": "phone"}
}

func (a app) next() string { return a.code(time.Now().Add(30 * time.Second)) }

// challenged logs in by the password alone, and returns the challenge.
func (w *world) challenged() string {
	w.t.Helper()
	var made struct{ Challenge string }
	w.quietly(func() {
		rec := w.sendJSON("POST", "/auth/login", "", map[string]string{"email": email, "password": password})
		if rec.Code != 403 || !strings.Contains(rec.Body.String(), "second-factor-needed") {
			w.t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		must(w.t, json.Unmarshal(rec.Body.Bytes(), &made))
	})
	return made.Challenge
}

func (w *world) answerChallenge(challenge, code string) *httptest.ResponseRecorder {
	return w.sendJSON("POST", "/auth/login/factor", "", map[string]string{"challenge": challenge, "code": code})
}

// staleToken is of a live session whose user logged in an hour ago.
func staleToken(w *world, _ tokens) string {
	live, err := w.store.FamiliesOfUser(w.t.Context(), w.uid, time.Now(), 1)
	must(w.t, err)
	return w.token(saying().with("sub", w.uid).with("sid", live[0].ID).with("auth_time", time.Now().Add(-time.Hour).Unix()))
}

// atCode sends the form for a code, after the password.
func atCode(code func(app) string, change func(url.Values)) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder {
		a := w.enrol()
		b := w.browser()
		var action string
		var form url.Values
		w.quietly(func() {
			action, form = formOn(w.t, b.get("/account"))
			form.Set("username", email)
			form.Set("password", password)
			rec := b.post(action, form)
			if rec.Code != 200 {
				w.t.Fatalf("%d %s", rec.Code, rec.Body)
			}
			action, form = formOn(w.t, rec)
		})
		form.Set("code", code(a))
		if change != nil {
			change(form)
		}
		return b.post(action, form)
	}
}

// factorDecisions are those about second factors.
func factorDecisions() []decided {
	enrolled := func(send func(w *world, t tokens, a app) *httptest.ResponseRecorder) sending {
		return func(w *world, t tokens) *httptest.ResponseRecorder { return send(w, t, w.enrol()) }
	}
	adding := func(change func(w *world, body map[string]string)) sending {
		return func(w *world, t tokens) *httptest.ResponseRecorder {
			body := w.setUp(t.Access).adding()
			change(w, body)
			return w.sendJSON("POST", "/auth/factors", t.Access, body)
		}
	}
	member := func(name, value string) sending {
		return adding(func(_ *world, body map[string]string) { body[name] = value })
	}
	used := func(a app) string { return a.spent }
	right := map[string]string{"email": email, "password": password}
	rows := []decided{
		{"factors", bearer("GET", "/auth/factors", nil), 200, audit.UserRead, ""},
		{"set up a factor", bearer("GET", "/auth/factors/totp", nil), 200, audit.UserRead, ""},
		{"set up a factor, stale", func(w *world, t tokens) *httptest.ResponseRecorder {
			return w.sendJSON("GET", "/auth/factors/totp", staleToken(w, t), nil)
		}, 401, audit.FactorEnrolled, "stale_login"},
		{"add a factor", adding(func(*world, map[string]string) {}), 201, audit.FactorEnrolled, ""},
		{"add a second factor", adding(func(w *world, _ map[string]string) { w.enrol() }), 201, audit.FactorEnrolled, ""},
		{"add a factor by another code", member("code", "x"), 403, audit.FactorEnrolled, "wrong_code"},
		{"add a factor of another name", member("name", "\n"), 422, audit.FactorEnrolled, "invalid_factor"},
		{"add a factor by another challenge", member("challenge", "kt_lc_x"), 403, audit.FactorEnrolled, "bad_challenge"},
		{"add a factor by a challenge to log in", adding(func(w *world, body map[string]string) {
			w.enrol()
			body["challenge"] = w.challenged()
		}), 403, audit.FactorEnrolled, "bad_challenge"},
		{"log in by a challenge to add a factor", func(w *world, t tokens) *httptest.ResponseRecorder {
			a := w.setUp(t.Access)
			b := w.browser()
			var form url.Values
			w.quietly(func() { _, form = formOn(w.t, b.get("/account")) })
			form.Set("challenge", a.challenge)
			form.Set("code", a.code(time.Now()))
			return b.post("/account/login", form)
		}, 403, audit.UserLoggedIn, "account_changed"},
		{"remove a factor", enrolled(func(w *world, t tokens, a app) *httptest.ResponseRecorder {
			return w.sendJSON("DELETE", "/auth/factors/"+a.id, t.Access, nil)
		}), 204, audit.FactorRemoved, ""},
		{"remove no factor", bearer("DELETE", "/auth/factors/x", nil), 404, audit.FactorRemoved, "unknown_factor"},
		{"recovery codes", enrolled(func(w *world, t tokens, _ app) *httptest.ResponseRecorder {
			return w.sendJSON("POST", "/auth/recovery-codes", t.Access, nil)
		}), 200, audit.RecoveryRenewed, ""},
		{"recovery codes for nothing", bearer("POST", "/auth/recovery-codes", nil), 404, audit.RecoveryRenewed, "unknown_factor"},
		{"a log-in without its code", enrolled(func(w *world, _ tokens, _ app) *httptest.ResponseRecorder {
			return w.sendJSON("POST", "/auth/login", "", right)
		}), 403, audit.TokenRefused, "factor_due"},
		{"the password grant", enrolled(func(w *world, _ tokens, _ app) *httptest.ResponseRecorder {
			return w.post("/oauth/token", values{"grant_type": {"password"}, "username": {email}, "password": {password}})
		}), 400, audit.TokenRefused, "factor_due"},
		{"a wrong code", enrolled(func(w *world, _ tokens, _ app) *httptest.ResponseRecorder {
			return w.answerChallenge(w.challenged(), "x")
		}), 403, audit.TokenRefused, "wrong_code"},
		{"a code used before", enrolled(func(w *world, _ tokens, a app) *httptest.ResponseRecorder {
			return w.answerChallenge(w.challenged(), used(a))
		}), 403, audit.TokenRefused, "used_code"},
		{"a challenge of ours, changed", enrolled(func(w *world, _ tokens, a app) *httptest.ResponseRecorder {
			return w.answerChallenge(w.challenged()+"A", a.next())
		}), 403, audit.TokenRefused, "bad_challenge"},
		{"the page without its code", after(func(w *world, _ tokens) { w.enrol() }, atLogin(email, password, nil)), 200, audit.UserLoggedIn, "factor_due"},
		{"the page, a wrong code", atCode(func(app) string { return "x" }, nil), 403, audit.UserLoggedIn, "wrong_code"},
		{"the page, a code used before", atCode(used, nil), 403, audit.UserLoggedIn, "used_code"},
		{"the page, another challenge", atCode(app.next, func(form url.Values) { form.Set("challenge", "x") }), 403, audit.UserLoggedIn, "bad_challenge"},
	}
	rows = slices.Concat(rows, factorPages(), passkeyDecisions())
	for _, c := range []struct {
		route  string
		action audit.Action
		body   any
	}{
		{"POST /auth/factors", audit.FactorEnrolled, map[string]string{"challenge": "x", "code": "1"}},
		{"DELETE /auth/factors/x", audit.FactorRemoved, nil}, {"POST /auth/recovery-codes", audit.RecoveryRenewed, nil},
	} {
		method, path, _ := strings.Cut(c.route, " ")
		if c.body != nil {
			rows = append(rows, decided{c.route + ", malformed", bearer(method, path, []string{"x"}), 400, c.action, "malformed_body"})
		}
		rows = append(rows,
			decided{c.route + ", stale", func(w *world, t tokens) *httptest.ResponseRecorder {
				return w.sendJSON(method, path, staleToken(w, t), c.body)
			}, 401, c.action, "stale_login"},
			decided{c.route + ", of nobody", after(func(w *world, _ tokens) {
				u, err := w.store.UserByID(w.t.Context(), w.uid)
				must(w.t, err)
				must(w.t, w.store.RemoveUser(w.t.Context(), u))
			}, bearer(method, path, c.body)), 404, c.action, "unknown_user"},
			decided{c.route + ", no store", failing("UserByID", bearer(method, path, c.body)), 503, c.action, "unavailable"},
			decided{c.route + ", hung up", hangingUp("UserByID", bearer(method, path, c.body)), 503, c.action, "hung_up"})
	}
	return rows
}

// atFactors sends the form of the page of factors for who has one, filled in.
func atFactors(fill func(w *world, a app, form url.Values)) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder {
		var b *browser
		var form url.Values
		w.quietly(func() {
			b = w.loggedIn()
			a := w.enrol()
			_, form = formOn(w.t, b.get("/account/factors"))
			fill(w, a, form)
		})
		return b.post("/account/factors", form)
	}
}

// atApp sends the form by which one adds an app, filled in.
func atApp(fill func(w *world, a app, form url.Values)) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder {
		var b *browser
		var form url.Values
		w.quietly(func() {
			b = w.loggedIn()
			rec := b.get("/account/factors/app")
			_, form = formOn(w.t, rec)
			a := appOn(w.t, rec)
			form.Set("code", a.code(time.Now()))
			if fill != nil {
				fill(w, a, form)
			}
		})
		return b.post("/account/factors/app", form)
	}
}

var keyOn = regexp.MustCompile(`<code dir="ltr">([A-Z2-7 ]{39})</code>`)

// appOn is an app that was set up with what a page shows.
func appOn(t testing.TB, rec *httptest.ResponseRecorder) app {
	t.Helper()
	m := keyOn.FindStringSubmatch(rec.Body.String())
	if m == nil {
		t.Fatalf("status %d without a key: %s", rec.Code, rec.Body)
	}
	return app{secret: strings.ReplaceAll(m[1], " ", "")}
}

// later has the users of browsers have logged in a while ago.
func later(w *world, _ app, _ url.Values) {
	w.wallOff, w.steadyOff = 11*time.Minute, 11*time.Minute
	w.handler = w.build()
}

// factorPages are the decisions at the pages of factors.
func factorPages() []decided {
	removed, enrolled, renewed := audit.FactorRemoved, audit.FactorEnrolled, audit.RecoveryRenewed
	remove := func(_ *world, a app, form url.Values) { form.Set("remove", a.id) }
	set := func(name, value string) func(*world, app, url.Values) {
		return func(_ *world, _ app, form url.Values) { form.Set(name, value) }
	}
	return []decided{
		{"remove at the page", atFactors(remove), 303, removed, ""},
		{"remove nothing at the page", atFactors(set("remove", "x")), 404, removed, "unknown_factor"},
		{"remove by a foreign form", atFactors(set("token", "x")), 403, removed, "foreign_form"},
		{"remove, logged out", loggedOutMeanwhile("/account/factors"), 403, removed, "login_required"},
		{"remove, stale", atFactors(func(w *world, a app, form url.Values) { remove(w, a, form); later(w, a, form) }), 403, removed, "stale_login"},
		{"recovery codes at the page", atFactors(set("renew", "yes")), 200, renewed, ""},
		{"recovery codes, stale", atFactors(later), 403, renewed, "stale_login"},
		{"an app at the page", atApp(nil), 200, enrolled, ""},
		{"a second app at the page", atApp(func(w *world, _ app, _ url.Values) { w.enrol() }), 303, enrolled, ""},
		{"an app, a wrong code", atApp(set("code", "x")), 403, enrolled, "wrong_code"},
		{"an app, another challenge", atApp(set("challenge", "kt_lc_x")), 403, enrolled, "bad_challenge"},
		{"an app, a challenge to log in", atApp(func(w *world, a app, form url.Values) {
			w.enrol()
			b := w.browser()
			action, login := formOn(w.t, b.get("/account"))
			login.Set("username", email)
			login.Set("password", password)
			_, asked := formOn(w.t, b.post(action, login))
			form.Set("challenge", asked.Get("challenge"))
		}), 403, enrolled, "bad_challenge"},
		{"an app twice", atApp(func(w *world, a app, form url.Values) {
			b := w.loggedIn()
			_, mine := formOn(w.t, b.get("/account/factors/app"))
			mine.Set("challenge", form.Get("challenge"))
			mine.Set("code", form.Get("code"))
			if rec := b.post("/account/factors/app", mine); rec.Code != 200 {
				w.t.Fatalf("%d %s", rec.Code, rec.Body)
			}
		}), 403, enrolled, "account_changed"},
		{"one app too many", atApp(func(w *world, _ app, _ url.Values) { w.full() }), 422, enrolled, "invalid_factor"},
		{"an app by a foreign form", atApp(set("token", "x")), 403, enrolled, "foreign_form"},
		{"an app, logged out", loggedOutMeanwhile("/account/factors/app"), 403, enrolled, "login_required"},
		{"a log-in that has to set one up", after(requireFactor, bearerless(map[string]string{"email": email, "password": password})), 403, audit.TokenRefused, "enrolment_due"},
		{"a log-in at the page that has to set one up", after(requireFactor, atLogin(email, password, nil)), 200, audit.UserLoggedIn, "enrolment_due"},
	}
}

func requireFactor(w *world, _ tokens) {
	w.requireFactor = []string{"*"}
	w.handler = w.build()
}

func bearerless(body any) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder {
		return w.sendJSON("POST", "/auth/login", "", body)
	}
}

// TestASecondFactorIsRequired: by a role, of everybody, by a client or for one request a
// log-in goes on with a second factor alone, which who has none sets up on the way.
func TestASecondFactorIsRequired(t *testing.T) {
	for name, c := range map[string]struct {
		require func(w *world)
		change  func(url.Values)
	}{
		"everybody": {func(w *world) { w.requireFactor = []string{"*"} }, nil},
		"a role": {func(w *world) {
			w.requireFactor = []string{"auditor", "admin"}
			_, err := w.users.SetClaims(t.Context(), w.uid, []string{"admin"}, "")
			must(t, err)
		}, nil},
		"a client": {func(w *world) { w.change("shop", func(c *clients.Client) { c.RequireFactor = true }) }, nil},
		"a pushed request": {func(w *world) {
			w.change("shop", func(c *clients.Client) { c.RequiresPAR = true })
		}, setting("acr_values", oauth.MultiFactor)},
		"one request": {func(*world) {}, setting("acr_values", "urn:other "+oauth.MultiFactor)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.t = t
			weak := w.loggedIn()
			if code := weak.code(nil); code == "" {
				t.Fatal("no code before")
			}
			c.require(w)
			w.handler = w.build()
			none := func(v url.Values) {
				v.Set("prompt", "none")
				if c.change != nil {
					c.change(v)
				}
			}
			asks := asks
			if name == "a pushed request" {
				asks = w.push
			}
			if v := answerIn(t, weak.authorize(asks(none))); v.Get("error") != "login_required" {
				t.Errorf("%v", v)
			}
			rec := weak.logIn(weak.authorize(asks(c.change)), email, password)
			a := appOn(t, rec)
			action, form := formOn(t, rec)
			form.Set("code", "wrong")
			rec = weak.post(action, form)
			if again := appOn(t, rec); rec.Code != 403 || again.secret != a.secret {
				t.Errorf("after a wrong code: %d, another key: %t", rec.Code, again.secret != a.secret)
			}
			action, form = formOn(t, rec)
			form.Set("code", a.code(time.Now()))
			rec = weak.post(action, form)
			body := rec.Body.String()
			next := regexp.MustCompile(`class="second" href="([^"]+)"`).FindStringSubmatch(body)
			if rec.Code != 200 || strings.Count(body, "<li><code") != 10 || next == nil {
				t.Fatalf("%d %s", rec.Code, body)
			}
			v := answerIn(t, weak.get(html.UnescapeString(next[1])))
			got := read[codeTokens](t, w.exchange(v.Get("code")), 200)
			for _, token := range []string{got.Access, got.ID} {
				if said := claimsOf(t, token); said["acr"] != oauth.MultiFactor || fmt.Sprint(said["amr"]) != "[pwd otp mfa]" {
					t.Errorf("%v", said)
				}
			}
			if v := answerIn(t, weak.authorize(asks(none))); v.Get("code") == "" {
				t.Errorf("with the factor: %v", v)
			}
		})
	}
}

// TestAFactorSetUpAtTheLogIn is the same for an app with a form of its own; the grants
// that cannot ask are refused, but of a client that may do without.
func TestAFactorSetUpAtTheLogIn(t *testing.T) {
	w := newWorld(t)
	requireFactor(w, tokens{})
	grant := func() *httptest.ResponseRecorder {
		return w.post("/oauth/token", values{"grant_type": {"password"}, "username": {email}, "password": {password}})
	}
	if rec := grant(); rec.Code != 400 || !strings.Contains(rec.Body.String(), "second factor") {
		t.Errorf("the password grant: %d %s", rec.Code, rec.Body)
	}
	var due struct {
		Type, Challenge, Secret string
		URI                     string `json:"otpauth_uri"`
	}
	log := func(v any) *httptest.ResponseRecorder { return w.sendJSON("POST", "/auth/login", "", v) }
	right := map[string]string{"email": email, "password": password}
	must(t, json.Unmarshal(log(right).Body.Bytes(), &due))
	if !strings.HasSuffix(due.Type, "#second-factor-to-set-up") || !strings.Contains(due.URI, due.Secret) {
		t.Fatalf("%+v", due)
	}
	a, first := app{secret: due.Secret}, due
	if rec := w.answerChallenge(due.Challenge, "x"); rec.Code != 403 || !strings.Contains(rec.Body.String(), due.Secret) {
		t.Errorf("a wrong code: %d %s", rec.Code, rec.Body)
	}
	must(t, json.Unmarshal(log(right).Body.Bytes(), &due)) // another try, with another key
	got := read[struct {
		Access string   `json:"access_token"`
		Codes  []string `json:"recovery_codes"`
	}](t, w.answerChallenge(first.Challenge, a.code(time.Now())), 200)
	if len(got.Codes) != 10 || claimsOf(t, got.Access)["acr"] != oauth.MultiFactor {
		t.Errorf("%+v", got)
	}
	if rec := w.answerChallenge(due.Challenge, app{secret: due.Secret}.code(time.Now())); rec.Code != 403 || !strings.Contains(rec.Body.String(), "log-in-is-over") {
		t.Errorf("a second app by a challenge from before: %d %s", rec.Code, rec.Body)
	}
	read[tokens](t, w.answerChallenge(w.challenged(), a.next()), 200)
	w.change("shop", func(c *clients.Client) { c.PasswordAlone = true })
	w.handler = w.build()
	if said := claimsOf(t, read[tokens](t, grant(), 200).Access); said["acr"] != nil || fmt.Sprint(said["amr"]) != "[pwd]" {
		t.Errorf("%v", said)
	}
	w.challenged() // the routes of an app can ask, and do
}

// TestT1_AWrongClockLocksNobodyOut: while the server's clock is hours off, a recovery
// code opens the account; when it is right again, so do the app's.
func TestT1_AWrongClockLocksNobodyOut(t *testing.T) {
	w := newWorld(t)
	a := w.enrol()
	now := w.users.Now
	for _, off := range []time.Duration{-26 * time.Hour, 26 * time.Hour} {
		w.users.Now = func() time.Time { return time.Now().Add(off) }
		if rec := w.answerChallenge(w.challenged(), a.next()); rec.Code != 403 {
			t.Errorf("%v off: %d", off, rec.Code)
		}
		recovery := a.recovery[0]
		a.recovery = a.recovery[1:]
		read[tokens](t, w.answerChallenge(w.challenged(), recovery), 200)
	}
	w.users.Now = now
	read[tokens](t, w.answerChallenge(w.challenged(), a.next()), 200)
}

// TestK7_FactorsAreSealedAnew: after a turn of the master key the secrets are under the
// new one alone; who has not the former one leaves them as they are.
func TestK7_FactorsAreSealedAnew(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		a := w.enrol()
		line, err := keys.NewMaster()
		must(t, err)
		former := line
		under := func(lines string) {
			masters, err := keys.ParseMasters([]byte(lines))
			must(t, err)
			w.users.Sealer = masters.Sealer(users.SealFactors)
		}
		tells := func(outcome audit.Outcome, reason string) {
			t.Helper()
			events := w.journal.take()
			if len(events) != 1 || events[0].Action != audit.KeyRewrapped || events[0].UserID != w.uid || events[0].Outcome != outcome || events[0].Reason.String() != reason {
				t.Errorf("%+v", events)
			}
		}
		w.journal.take()
		under(line)
		if n, err := w.users.RewrapFactors(t.Context()); n != 0 || err == nil {
			t.Errorf("without the former master key: %d, %v", n, err)
		}
		tells(audit.Failure, "cannot_open")
		under(line + "\n" + w.master)
		w.journal.breakDown(true)
		if n, err := w.users.RewrapFactors(t.Context()); n != 0 || err == nil {
			t.Errorf("A3: without a log: %d, %v", n, err)
		}
		w.journal.breakDown(false)
		w.journal.take()
		_, err = w.users.SettleDecisions(t.Context())
		must(t, err)
		tells(audit.Success, "")
		second, err := keys.NewMaster()
		must(t, err)
		line = second
		under(second + "\n" + former)
		if n, err := w.users.RewrapFactors(t.Context()); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		tells(audit.Success, "")
		if n, err := w.users.RewrapFactors(t.Context()); n != 0 || err != nil || len(w.journal.take()) > 0 {
			t.Errorf("again: %d, %v", n, err)
		}
		under(line)
		read[tokens](t, w.answerChallenge(w.challenged(), a.next()), 200)
	})
}

// TestA1_ACodeIsSpentWithItsEvent: that a code was spent is one decision, and that the
// session began another; the tokens say how their user proved who they are.
func TestA1_ACodeIsSpentWithItsEvent(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		a := w.enrol()
		for n, code := range []string{a.next(), a.recovery[3], strings.ToLower(a.recovery[9])} {
			challenge := w.challenged()
			got := read[tokens](t, w.answerChallenge(challenge, code), 200)
			events := w.journal.take()
			if len(events) != 2 || events[0].Action != audit.FactorUsed || events[1].Action != audit.TokenIssued || events[0].UserID != w.uid {
				t.Fatalf("code %d: %+v", n, events)
			}
			claims := claimsOf(t, got.Access)
			if fmt.Sprint(claims["amr"]) != "[pwd otp mfa]" {
				t.Errorf("amr %v", claims["amr"])
			}
			refreshed := read[tokens](t, w.sendJSON("POST", "/auth/refresh", "", map[string]string{"refresh_token": got.Refresh}), 200)
			if amr := claimsOf(t, refreshed.Access)["amr"]; fmt.Sprint(amr) != "[pwd otp mfa]" {
				t.Errorf("amr %v after a refresh", amr)
			}
			if rec := w.answerChallenge(challenge, a.recovery[n]); rec.Code != 403 || !strings.Contains(rec.Body.String(), "log-in-is-over") {
				t.Errorf("a challenge twice: %d %s", rec.Code, rec.Body)
			}
			if rec := w.answerChallenge(w.challenged(), code); rec.Code != 403 || !strings.Contains(rec.Body.String(), "wrong-code") {
				t.Errorf("a code twice: %d %s", rec.Code, rec.Body)
			}
			w.journal.take()
		}
		if u, err := w.users.ByID(t.Context(), w.uid); err != nil || len(u.Factors.Recovery) != 8 {
			t.Errorf("%d recovery codes are left, %v", len(u.Factors.Recovery), err)
		}
	})
}

// TestA3_ACodeIsNotLostToAFullLog: a log-in that could not be recorded spent nothing.
func TestA3_ACodeIsNotLostToAFullLog(t *testing.T) {
	w := newWorld(t)
	a := w.enrol()
	challenge := w.challenged()
	for _, code := range []string{a.recovery[0], a.next()} {
		w.journal.breakDown(true)
		if rec := w.answerChallenge(challenge, code); rec.Code != 503 || strings.Contains(rec.Body.String(), "_token") {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
	}
	w.journal.breakDown(false)
	if u, err := w.users.ByID(t.Context(), w.uid); err != nil || len(u.Factors.Recovery) != 10 {
		t.Errorf("%d recovery codes, %v", len(u.Factors.Recovery), err)
	}
	read[tokens](t, w.answerChallenge(challenge, a.recovery[0]), 200)
}

// TestF1_OneCodeBeginsOneSession: of many who send one code, on two replicas, one gets
// in.
func TestF1_OneCodeBeginsOneSession(t *testing.T) {
	w := newWorld(t)
	a := w.enrol()
	other := *w
	other.handler = other.build()
	for _, code := range []string{a.next(), a.recovery[0]} {
		var wg sync.WaitGroup
		var in sync.Map
		challenges := []string{w.challenged(), w.challenged(), w.challenged(), w.challenged()}
		for i, c := range challenges {
			wg.Go(func() {
				replica := []*world{w, &other}[i%2]
				r := replica.jsonRequest("POST", "/auth/login/factor", "", "", map[string]string{"challenge": c, "code": code})
				rec := httptest.NewRecorder()
				replica.handler.ServeHTTP(rec, r)
				if in.Store(i, rec.Code); rec.Code != 200 && rec.Code != 403 && rec.Code != 409 {
					t.Errorf("%d %s", rec.Code, rec.Body)
				}
			})
		}
		wg.Wait()
		got := 0
		in.Range(func(_, status any) bool {
			if status == 200 {
				got++
			}
			return true
		})
		if got != 1 {
			t.Errorf("%d got in by one code", got)
		}
	}
}

// TestU4_CodesAreThrottled: guesses of codes are slowed, apart from those of passwords.
func TestU4_CodesAreThrottled(t *testing.T) {
	w := newWorld(t)
	a := w.enrol()
	w.users.Throttle = throttle.New(w.store, time.Now)
	challenge, slow := w.challenged(), 0
	for range 12 {
		if rec := w.answerChallenge(challenge, "000000"); rec.Code == 429 {
			slow++
		} else if rec.Code != 403 {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
	}
	if slow == 0 {
		t.Error("twelve guesses, and none was slowed")
	}
	if rec := w.answerChallenge(challenge, a.next()); rec.Code != 429 {
		t.Errorf("the right one meanwhile: %d", rec.Code)
	}
	w.challenged() // the password is still looked at
}

// TestU4_AThrottledCodeLeavesTheOtherWays: the page that says so offers the passkey still,
// and takes a recovery code at once; an app is answered how else to go on.
func TestU4_AThrottledCodeLeavesTheOtherWays(t *testing.T) {
	w := newWorld(t)
	held := w.login()
	_, recovery := w.passkey()
	a := w.setUp(held.Access)
	if rec := w.sendJSON("POST", "/auth/factors", held.Access, a.adding()); rec.Code != 201 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	w.users.Throttle = throttle.New(w.store, time.Now)
	b := w.browser()
	rec := b.logIn(b.get("/account"), email, password)
	guess := func() {
		action, form := formOn(t, rec)
		form.Set("code", "000000")
		rec = b.post(action, form)
	}
	for n := 0; rec.Code != 429 && n < 12; n++ {
		guess()
	}
	if text := rec.Body.String(); rec.Code != 429 || !strings.Contains(text, `id="passkey"`) || !strings.Contains(text, "recovery code: that never has to wait") || rec.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", rec.Code, text)
	}
	told := w.answerChallenge(w.challenged(), "000000")
	if text := told.Body.String(); told.Code != 429 || !strings.Contains(text, `"public_key"`) || !strings.Contains(text, `"challenge"`) {
		t.Errorf("%d %s", told.Code, text)
	}
	action, form := formOn(t, rec)
	form.Set("code", recovery[0])
	if rec = b.post(action, form); rec.Code != 303 {
		t.Errorf("a recovery code meanwhile: %d %s", rec.Code, rec.Body)
	}
}

// TestU1_AFactorShowsAfterThePassword: with a wrong password, and of a disabled
// account, nobody learns that there is a second factor, or has its challenge.
func TestU1_AFactorShowsAfterThePassword(t *testing.T) {
	w := newWorld(t)
	ask := func(password string) string {
		rec := w.sendJSON("POST", "/auth/login", "", map[string]string{"email": email, "password": password})
		return fmt.Sprint(rec.Code, rec.Body)
	}
	before := ask("wrong")
	a := w.enrol()
	if got := ask("wrong"); got != before {
		t.Errorf("%s\nbefore there was a factor: %s", got, before)
	}
	challenge := w.challenged()
	must(t, w.users.Disable(t.Context(), w.uid))
	if got := ask(password); got != before {
		t.Errorf("%s\nbefore: %s", got, before)
	}
	if rec := w.answerChallenge(challenge, a.next()); rec.Code != 403 || !strings.Contains(rec.Body.String(), "log-in-is-over") {
		t.Errorf("of a disabled account: %d %s", rec.Code, rec.Body)
	}
}

// TestAFactorFromEnrolmentToRemoval goes the way of an app, and of a browser.
func TestAFactorFromEnrolmentToRemoval(t *testing.T) {
	w := newWorld(t)
	held := w.login()
	made := read[struct {
		ID, Challenge, Secret string
		URI                   string `json:"otpauth_uri"`
	}](t, w.sendJSON("GET", "/auth/factors/totp", held.Access, nil), 200)
	if !strings.HasPrefix(made.URI, "otpauth://totp/The%20shop:ada@example.com?secret="+made.Secret) {
		t.Errorf("%+v", made)
	}
	w.login() // it is not in force
	a := app{id: made.ID, secret: made.Secret, challenge: made.Challenge}
	codes := read[struct {
		Codes []string `json:"recovery_codes"`
	}](t, w.sendJSON("POST", "/auth/factors", held.Access, a.adding()), 201)
	if len(codes.Codes) != 10 {
		t.Errorf("%v", codes)
	}
	type list struct {
		Factors []struct{ ID, Kind, Name string }
		Left    int `json:"recovery_codes_left"`
	}
	if got := fmt.Sprint(read[list](t, w.sendJSON("GET", "/auth/factors", held.Access, nil), 200)); got != fmt.Sprintf("{[{%s totp phone}] 10}", a.id) {
		t.Error(got)
	}
	u, err := w.store.UserByID(t.Context(), w.uid)
	must(t, err)
	if kept := fmt.Sprintf("%x", u.Factors.List[0].Sealed); strings.Contains(kept, fmt.Sprintf("%x", a.secret)) {
		t.Error("the secret is kept as it is")
	}
	rec := atCodeOf(w, a)
	if rec.Code != 303 {
		t.Errorf("at the page: %d %s", rec.Code, rec.Body)
	}
	got := read[tokens](t, w.answerChallenge(w.challenged(), codes.Codes[0]), 200)
	renewed := read[struct {
		Codes []string `json:"recovery_codes"`
	}](t, w.sendJSON("POST", "/auth/recovery-codes", got.Access, nil), 200)
	if rec := w.answerChallenge(w.challenged(), codes.Codes[1]); rec.Code != 403 {
		t.Errorf("a former recovery code: %d", rec.Code)
	}
	read[tokens](t, w.answerChallenge(w.challenged(), renewed.Codes[1]), 200)
	if rec := w.sendJSON("DELETE", "/auth/factors/"+a.id, got.Access, nil); rec.Code != 204 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	rec = w.sendJSON("GET", "/auth/factors/totp", staleToken(w, tokens{}), nil)
	if h := rec.Header().Get("WWW-Authenticate"); !strings.Contains(h, `error="insufficient_user_authentication"`) || !strings.HasSuffix(h, `, max_age="600"`) {
		t.Errorf("%d %s", rec.Code, h)
	}
	w.login()
	if u, err = w.store.UserByID(t.Context(), w.uid); err != nil || !u.Factors.IsZero() {
		t.Errorf("%+v, %v", u.Factors, err)
	}
}

// atCodeOf logs in at the page by password and code.
func atCodeOf(w *world, a app) *httptest.ResponseRecorder {
	b := w.browser()
	action, form := formOn(w.t, b.get("/account"))
	form.Set("username", email)
	form.Set("password", password)
	action, form = formOn(w.t, b.post(action, form))
	form.Set("code", a.next())
	return b.post(action, form)
}

// TestF7_AChallengeEndsWithThePassword: a log-in whose password was right goes on by
// no other password.
func TestF7_AChallengeEndsWithThePassword(t *testing.T) {
	w := newWorld(t)
	a := w.enrol()
	challenge := w.challenged()
	must(t, w.users.ResetPassword(t.Context(), w.uid, "another long sentence"))
	if rec := w.answerChallenge(challenge, a.next()); rec.Code != 403 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	w.alter(func(u *users.User) { u.Epoch = 0 })
	w.wallOff, w.steadyOff = 11*time.Minute, 11*time.Minute
	w.handler = w.build()
	if rec := w.answerChallenge(challenge, a.recovery[0]); rec.Code != 403 || !strings.Contains(rec.Body.String(), "log-in-is-over") {
		t.Errorf("after its time: %d %s", rec.Code, rec.Body)
	}
}

// TestA3_FactorsStandOnlyWithTheirEvents: while the log is full nothing about second
// factors changes, and the same again succeeds when there is room.
func TestA3_FactorsStandOnlyWithTheirEvents(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		held, a := w.login(), w.enrol()
		for _, c := range []struct {
			method, path string
			body         any
			status       int
		}{
			{"POST", "/auth/factors", w.setUp(held.Access).adding(), 201},
			{"POST", "/auth/recovery-codes", nil, 200},
			{"DELETE", "/auth/factors/" + a.id, nil, 204},
		} {
			before, err := w.store.UserByID(t.Context(), w.uid)
			must(t, err)
			w.journal.breakDown(true)
			if rec := w.sendJSON(c.method, c.path, held.Access, c.body); rec.Code != 503 {
				t.Errorf("%s %s: %d %s", c.method, c.path, rec.Code, rec.Body)
			}
			after, err := w.store.UserByID(t.Context(), w.uid)
			must(t, err)
			if after.Version = before.Version; !reflect.DeepEqual(before, after) {
				t.Errorf("%s %s changed %+v to %+v", c.method, c.path, before, after)
			}
			w.journal.breakDown(false)
			if rec := w.sendJSON(c.method, c.path, held.Access, c.body); rec.Code != c.status {
				t.Errorf("%s %s: %d %s", c.method, c.path, rec.Code, rec.Body)
			}
		}
	})
}
