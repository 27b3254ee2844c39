package server_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/factors"
	"github.com/keyturn/keyturn/internal/throttle"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// passkey gives the account a passkey, and recovery codes if it is the first factor.
func (w *world) passkey() (a *authenticator, recovery []string) {
	w.t.Helper()
	a = newAuthenticator(w.t)
	w.quietly(func() {
		held := w.token(saying().with("sub", w.uid).with("sid", w.session()).with("auth_time", time.Now().Unix()))
		q := read[question](w.t, w.sendJSON("GET", "/auth/factors/passkey", held, nil), 200)
		recovery = read[struct {
			Codes []string `json:"recovery_codes"`
		}](w.t, w.add(held, q, a.made(w.t, q)), 201).Codes
	})
	return a, recovery
}

// session is the id of a live session of the account.
func (w *world) session() string {
	live, err := w.store.FamiliesOfUser(w.t.Context(), w.uid, time.Now(), 1)
	must(w.t, err)
	if len(live) == 0 {
		w.login()
		return w.session()
	}
	return live[0].ID
}

func (w *world) add(token string, q question, made json.RawMessage) *httptest.ResponseRecorder {
	return w.sendJSON("POST", "/auth/factors", token, map[string]any{"challenge": q.Challenge, "credential": made, "name": "key"})
}

// asked is the question of a log-in by a passkey alone, and due that of one whose
// password was right.
func (w *world) asked() (q question) {
	w.t.Helper()
	return read[question](w.t, w.sendJSON("GET", "/auth/login/passkey", "", nil), 200)
}

func (w *world) due() (q question) {
	w.t.Helper()
	w.quietly(func() {
		q = read[question](w.t, w.sendJSON("POST", "/auth/login", "", map[string]string{"email": email, "password": password}), 403)
	})
	return q
}

func (w *world) answer(q question, signed json.RawMessage) *httptest.ResponseRecorder {
	return w.sendJSON("POST", "/auth/login/factor", "", map[string]any{"challenge": q.Challenge, "credential": signed})
}

// passkeyDecisions are those about passkeys.
func passkeyDecisions() []decided {
	refused, enrolled := audit.TokenRefused, audit.FactorEnrolled
	alone := func(change func(w *world, a *authenticator)) sending {
		return func(w *world, _ tokens) *httptest.ResponseRecorder {
			a, _ := w.passkey()
			q := w.asked()
			w.quietly(func() { change(w, a) })
			return w.answer(q, a.signed(w.t, q))
		}
	}
	making := func(change func(w *world, a *authenticator, q *question)) sending {
		return func(w *world, t tokens) *httptest.ResponseRecorder {
			a, q := newAuthenticator(w.t), question{}
			w.quietly(func() {
				q = read[question](w.t, w.sendJSON("GET", "/auth/factors/passkey", t.Access, nil), 200)
				if change != nil {
					change(w, a, &q)
				}
			})
			return w.add(t.Access, q, a.made(w.t, q))
		}
	}
	atPage := func(change func(a *authenticator)) sending {
		return func(w *world, _ tokens) *httptest.ResponseRecorder {
			a, _ := w.passkey()
			change(a)
			b := w.browser()
			return b.sendPasskey(b.get("/account"), a.signed)
		}
	}
	foreign := func(a *authenticator) { a.origin = "https://keyturn.example" }
	backwards := func(_ *world, a *authenticator) { a.count = 0 }
	return []decided{
		{"set up a passkey", bearer("GET", "/auth/factors/passkey", nil), 200, audit.UserRead, ""},
		{"set up a passkey, stale", func(w *world, t tokens) *httptest.ResponseRecorder {
			return w.sendJSON("GET", "/auth/factors/passkey", staleToken(w, t), nil)
		}, 401, enrolled, "stale_login"},
		{"a passkey is made", making(nil), 201, enrolled, ""},
		{"a passkey made for another page", making(func(_ *world, a *authenticator, _ *question) { foreign(a) }), 403, enrolled, "foreign_origin"},
		{"a passkey made by nobody", making(func(_ *world, a *authenticator, _ *question) { a.flags = 0 }), 403, enrolled, "wrong_passkey"},
		{"a passkey for a log-in", making(func(w *world, _ *authenticator, q *question) { q.Challenge = w.asked().Challenge }), 403, enrolled, "bad_challenge"},
		{"one passkey too many", making(func(w *world, _ *authenticator, _ *question) { w.full() }), 422, enrolled, "invalid_factor"},
		{"a passkey without its challenge", making(func(_ *world, _ *authenticator, q *question) { q.Challenge = "kt_lc_x" }), 403, enrolled, "bad_challenge"},
		{"a passkey twice", making(func(w *world, a *authenticator, q *question) {
			before, _ := w.passkey()
			*q, *a = w.begun(), *before
		}), 403, enrolled, "account_changed"},
		{"a passkey alone, no user", alone(func(_ *world, a *authenticator) { a.user = []byte("nobody") }), 403, refused, "unknown_user"},
		{"a passkey alone, another key", alone(func(w *world, a *authenticator) { a.key = newAuthenticator(w.t).key }), 403, refused, "wrong_passkey"},
		{"a passkey alone, another page", alone(func(_ *world, a *authenticator) { foreign(a) }), 403, refused, "foreign_origin"},
		{"a passkey alone, a disabled user", alone(func(w *world, _ *authenticator) { must(w.t, w.users.Disable(w.t.Context(), w.uid)) }), 403, refused, "disabled_user"},
		{"a passkey alone that has a copy", alone(backwards), 403, audit.FactorCloned, "cloned_passkey"},
		{"a passkey that has a copy", func(w *world, _ tokens) *httptest.ResponseRecorder {
			a, _ := w.passkey()
			q := w.due()
			a.count = 0
			return w.answer(q, a.signed(w.t, q))
		}, 403, audit.FactorCloned, "cloned_passkey"},
		{"a code for nobody's challenge", func(w *world, _ tokens) *httptest.ResponseRecorder {
			return w.answerChallenge(w.asked().Challenge, "123456")
		}, 403, refused, "unknown_user"},
		{"neither a code nor a passkey", bearerlessAt("/auth/login/factor", map[string]string{"challenge": "x"}), 400, refused, "malformed_body"},
		{"a passkey alone, no store", failing("UserByID", bearerlessPasskey), 503, refused, "store"},
		{"a passkey alone, hung up", hangingUp("UserByID", bearerlessPasskey), 503, refused, "hung_up"},
		{"a passkey at the page, another key", atPage(func(a *authenticator) { a.id[0]++ }), 403, audit.UserLoggedIn, "wrong_passkey"},
		{"a passkey at the page, another page", atPage(foreign), 403, audit.UserLoggedIn, "foreign_origin"},
	}
}

func bearerlessAt(path string, body any) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder { return w.sendJSON("POST", path, "", body) }
}

func bearerlessPasskey(w *world, _ tokens) *httptest.ResponseRecorder {
	a := newAuthenticator(w.t)
	a.user = []byte(w.uid)
	q := w.asked()
	return w.answer(q, a.signed(w.t, q))
}

// begun begins another passkey.
func (w *world) begun() question {
	w.t.Helper()
	held := w.token(saying().with("sub", w.uid).with("sid", w.session()).with("auth_time", time.Now().Unix()))
	return read[question](w.t, w.sendJSON("GET", "/auth/factors/passkey", held, nil), 200)
}

// full gives the account as many factors as it can have.
func (w *world) full() {
	w.alter(func(u *users.User) {
		for i := range factors.Most {
			u.Factors.List = append(u.Factors.List, factors.Factor{ID: fmt.Sprint(i), Kind: factors.TOTP})
		}
	})
}

// sendPasskey does what the script of a page does.
func (b *browser) sendPasskey(rec *httptest.ResponseRecorder, answer func(testing.TB, question) json.RawMessage) *httptest.ResponseRecorder {
	b.w.t.Helper()
	q := questionIn(b.w.t, rec)
	action, form := formOn(b.w.t, rec)
	form.Set("challenge", q.Challenge)
	form.Set("credential", string(answer(b.w.t, q)))
	return b.post(action, form)
}

// TestAPasskeyFromEnrolmentToRemoval: second factor, then the only one, then lost.
func TestAPasskeyFromEnrolmentToRemoval(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		a, recovery := w.passkey()
		if len(recovery) != factors.RecoveryCodes {
			t.Errorf("%d recovery codes", len(recovery))
		}
		proves := func(rec *httptest.ResponseRecorder, amr string) tokens {
			t.Helper()
			got := read[tokens](t, rec, 200)
			events := w.journal.take()
			if len(events) != 2 || events[0].Action != audit.FactorUsed || !strings.HasPrefix(events[0].Detail, "passkey ") || events[1].Action != audit.TokenIssued {
				t.Errorf("%+v", events)
			}
			if said := claimsOf(t, got.Access); fmt.Sprint(said["amr"]) != amr || said["acr"] != oauth.MultiFactor || said["sub"] != w.uid {
				t.Errorf("%v", said)
			}
			return got
		}
		q := w.due()
		if p := q.read(t); len(p.Allow) != 1 || p.Allow[0].ID != b64.EncodeToString(a.id) || p.RPID != "localhost" {
			t.Errorf("%+v", p)
		}
		w.journal.take()
		proves(w.answer(q, a.signed(t, q)), "[pwd hwk user mfa]")
		if rec := w.answer(q, a.signed(t, q)); rec.Code != 403 || !strings.Contains(rec.Body.String(), "log-in-is-over") {
			t.Errorf("a challenge twice: %d %s", rec.Code, rec.Body)
		}
		w.journal.take()
		q = w.asked()
		if p := q.read(t); len(p.Allow) != 0 || p.UserVerification != "required" {
			t.Errorf("%+v", p)
		}
		got := proves(w.answer(q, a.signed(t, q)), "[hwk user mfa]")
		if rec := w.answer(q, a.signed(t, q)); rec.Code != 403 || !strings.Contains(rec.Body.String(), "log-in-is-over") {
			t.Errorf("a challenge twice: %d %s", rec.Code, rec.Body)
		}
		refreshed := read[tokens](t, w.sendJSON("POST", "/auth/refresh", "", map[string]string{"refresh_token": got.Refresh}), 200)
		if amr := claimsOf(t, refreshed.Access)["amr"]; fmt.Sprint(amr) != "[hwk user mfa]" {
			t.Errorf("amr %v after a refresh", amr)
		}
		if p := w.begun().read(t); len(p.Exclude) != 1 || p.User.ID != b64.EncodeToString([]byte(w.uid)) || p.User.Name != email {
			t.Errorf("%+v", p)
		}
		list := read[struct {
			Factors []struct{ ID, Kind, Name string }
		}](t, w.sendJSON("GET", "/auth/factors", got.Access, nil), 200).Factors
		if len(list) != 1 || list[0].Kind != "passkey" || list[0].Name != "key" {
			t.Fatalf("%+v", list)
		}
		read[tokens](t, w.answerChallenge(w.challenged(), recovery[0]), 200) // it is lost
		if rec := w.sendJSON("DELETE", "/auth/factors/"+list[0].ID, got.Access, nil); rec.Code != 204 {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
		w.login()
		if rec := w.answer(q, a.signed(t, w.asked())); rec.Code != 403 {
			t.Errorf("after it was removed: %d", rec.Code)
		}
	})
}

// TestAPasskeyAtThePage: who has to have a factor makes a passkey at the log-in, logs in
// with it beside the password, and without one, and sees it among the factors.
func TestAPasskeyAtThePage(t *testing.T) {
	w := newWorld(t)
	requireFactor(w, tokens{})
	a, b := newAuthenticator(t), w.browser()
	a.flags |= backupEligible | backedUp
	a.counts = false
	amr := func(want string) {
		t.Helper()
		got := read[codeTokens](t, w.exchange(b.code(nil)), 200)
		if said := claimsOf(t, got.ID); fmt.Sprint(said["amr"]) != want || said["acr"] != oauth.MultiFactor {
			t.Errorf("%v, want %s", said, want)
		}
		b = w.browser()
	}
	first := b.get("/account")
	if policy := first.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'self'") || !strings.Contains(first.Body.String(), `src="/account/passkey.js"`) {
		t.Errorf("%s", policy)
	}
	if policy := w.loggedOutPage("/account/signup").Header().Get("Content-Security-Policy"); strings.Contains(policy, "script") {
		t.Errorf("a page without a passkey: %s", policy)
	}
	enrol := b.logIn(first, email, password)
	a.origin = "https://elsewhere.example"
	rec := b.sendPasskey(enrol, a.made)
	if rec.Code != 403 || !strings.Contains(rec.Body.String(), "The passkey was not accepted.") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	a.origin = issuer
	if rec = b.sendPasskey(rec, a.made); rec.Code != 200 || strings.Count(rec.Body.String(), "<li><code") != 10 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	amr("[pwd swk user mfa]")
	if rec = b.sendPasskey(b.logIn(b.get("/account"), email, password), a.signed); rec.Code != 303 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	amr("[pwd swk user mfa]")
	rec = b.authorize(asks(nil)) // from an application, and back to it
	if rec = b.sendPasskey(rec, a.signed); rec.Code != 303 || !strings.HasPrefix(rec.Header().Get("Location"), "/oauth/authorize?") {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if body := b.get("/account/factors").Body.String(); !strings.Contains(body, ">Passkey") {
		t.Errorf("%s", body)
	}
	amr("[swk user mfa]")
	a.flags &^= userVerified
	if rec = b.sendPasskey(b.logIn(b.get("/account"), email, password), a.signed); rec.Code != 303 {
		t.Errorf("beside the password, without verification: %d", rec.Code)
	}
	if rec = w.browser().sendPasskey(w.browser().get("/account"), a.signed); rec.Code != 403 {
		t.Errorf("without either: %d", rec.Code)
	}
}

func (w *world) loggedOutPage(path string) *httptest.ResponseRecorder { return w.browser().get(path) }

// TestWhatAPasskeyMadeDoesNotHold has everything wrong that can be, once.
func TestWhatAPasskeyMadeDoesNotHold(t *testing.T) {
	w := newWorld(t)
	good, _ := w.passkey()
	other := newAuthenticator(t)
	q := w.asked()
	for name, c := range map[string]struct {
		change func(*authenticator)
		q      *question
	}{
		"another host":          {change: func(a *authenticator) { a.host = "keyturn.example" }},
		"nobody there":          {change: func(a *authenticator) { a.flags = userVerified }},
		"nobody made sure of":   {change: func(a *authenticator) { a.flags = userPresent }},
		"it can be copied now":  {change: func(a *authenticator) { a.flags |= backupEligible }},
		"copied, but cannot be": {change: func(a *authenticator) { a.flags |= backedUp }},
		"another passkey":       {change: func(a *authenticator) { a.id, a.key = other.id, other.key }},
		"no user":               {change: func(a *authenticator) { a.user = nil }},
		"a user's id too long":  {change: func(a *authenticator) { a.user = []byte(strings.Repeat("x", 65)) }},
		"another question":      {q: &question{Challenge: q.Challenge, Options: w.asked().Options}},
	} {
		a, asked := *good, q
		if c.change != nil {
			c.change(&a)
		}
		if c.q != nil {
			asked = *c.q
		}
		if rec := w.answer(asked, a.signed(t, asked)); rec.Code != 403 || !strings.Contains(rec.Body.String(), "wrong-code") {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	for _, made := range []string{`{}`, `""`, `[]`, `{"id":"AA","rawId":"AA","type":"public-key","response":{}}`} {
		if rec := w.answer(q, json.RawMessage(made)); rec.Code != 403 {
			t.Errorf("%s: %d %s", made, rec.Code, rec.Body)
		}
	}
	read[tokens](t, w.answer(q, good.signed(t, q)), 200)
	late := w.asked()
	w.wallOff, w.steadyOff = 5*time.Minute, 5*time.Minute
	w.handler = w.build()
	if rec := w.answer(late, good.signed(t, late)); rec.Code != 403 || !strings.Contains(rec.Body.String(), "log-in-is-over") {
		t.Errorf("after five minutes: %d %s", rec.Code, rec.Body)
	}
}

// TestU1_APasskeyTellsOfNoAccount: what a log-in by a passkey alone is asked does not
// depend on anybody, and who has none is refused as one who has another, after as many
// signatures.
func TestU1_APasskeyTellsOfNoAccount(t *testing.T) {
	w := newWorld(t)
	shape := func() string {
		p := w.asked().read(t)
		p.Challenge = ""
		return fmt.Sprintf("%+v", p)
	}
	before := shape()
	stranger := newAuthenticator(t)
	refusal := func(user string) string {
		stranger.user = []byte(user)
		q := w.asked()
		rec := w.answer(q, stranger.signed(t, q))
		return fmt.Sprint(rec.Code, rec.Body)
	}
	nobody, without := refusal("nobody"), refusal(w.uid)
	w.passkey()
	if with := refusal(w.uid); nobody != without || nobody != with || shape() != before {
		t.Errorf("of nobody: %s\nof one without: %s\nof one with: %s", nobody, without, with)
	}
	must(t, w.users.Disable(t.Context(), w.uid))
	if disabled := refusal(w.uid); disabled != nobody {
		t.Errorf("of a disabled one: %s", disabled)
	}
}

// TestU4_PasskeysAreThrottled: a network that sends many that do not hold is slowed.
func TestU4_PasskeysAreThrottled(t *testing.T) {
	w := newWorld(t)
	w.users.Throttle = throttle.New(w.store, time.Now)
	a, slow := newAuthenticator(t), 0
	a.user = []byte(w.uid)
	for n := 0; slow == 0 && n < 250; n++ { // a hundred are free in an hour
		q := w.asked()
		if w.answer(q, a.signed(t, q)).Code == 429 {
			slow++
		}
	}
	if slow == 0 {
		t.Error("250, and none was slowed")
	}
}

// TestF1_OnePasskeyAnswerBeginsOneSession, whatever comes twice.
func TestF1_OnePasskeyAnswerBeginsOneSession(t *testing.T) {
	w := newWorld(t)
	a, _ := w.passkey()
	a.counts, a.count = false, 0
	w.alter(func(u *users.User) { u.Factors.List[0].SignCount = 0 })
	q := w.asked()
	signed := a.signed(t, q)
	var in []int
	for range 3 {
		in = append(in, w.answer(q, signed).Code)
	}
	if !slices.Equal(in, []int{200, 403, 403}) {
		t.Errorf("%v", in)
	}
}

// TestA3_APasskeyStandsOnlyWithItsEvent: while the log is full none is added, and no
// counter moves.
func TestA3_APasskeyStandsOnlyWithItsEvent(t *testing.T) {
	w := newWorld(t)
	a, _ := w.passkey()
	before, err := w.users.ByID(t.Context(), w.uid)
	must(t, err)
	login, more, b := w.asked(), w.begun(), newAuthenticator(t)
	held := w.token(saying().with("sub", w.uid).with("sid", w.session()).with("auth_time", time.Now().Unix()))
	w.journal.breakDown(true)
	if rec := w.answer(login, a.signed(t, login)); rec.Code != 503 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if rec := w.add(held, more, b.made(t, more)); rec.Code != 503 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	w.journal.breakDown(false)
	if after, err := w.users.ByID(t.Context(), w.uid); err != nil || fmt.Sprint(after.Factors) != fmt.Sprint(before.Factors) {
		t.Errorf("%+v, %v", after.Factors, err)
	}
	read[tokens](t, w.answer(login, a.signed(t, login)), 200)
	if rec := w.add(held, more, b.made(t, more)); rec.Code != 201 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// TestAPasskeyAloneOpensNothingAfterForce: an operator who makes the password void shuts
// out who added a passkey, until the account has another password.
func TestAPasskeyAloneOpensNothingAfterForce(t *testing.T) {
	w := newWorld(t)
	a, _ := w.passkey()
	_, _, err := w.users.IssueReset(t.Context(), w.uid, time.Hour, true)
	must(t, err)
	q := w.asked()
	if rec := w.answer(q, a.signed(t, q)); rec.Code != 403 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	must(t, w.users.ResetPassword(t.Context(), w.uid, long))
	q = w.asked()
	read[tokens](t, w.answer(q, a.signed(t, q)), 200)
}

// TestAPasskeyGoesWithItsAccount: an export has it, an import of that makes it good
// again, and a turn of the master key leaves it alone.
func TestAPasskeyGoesWithItsAccount(t *testing.T) {
	w := newWorld(t)
	a, _ := w.passkey()
	var account users.ImportUser
	for u, err := range w.users.Export(t.Context(), "jsonl") {
		must(t, err)
		account = u
	}
	text, err := json.Marshal(account)
	must(t, err)
	account = users.ImportUser{}
	must(t, json.Unmarshal(text, &account))
	u, err := w.store.UserByID(t.Context(), w.uid)
	must(t, err)
	must(t, w.store.RemoveUser(t.Context(), u))
	if _, err := w.users.Import(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	if n, err := w.users.RewrapFactors(t.Context()); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	q := w.asked()
	read[tokens](t, w.answer(q, a.signed(t, q)), 200)
	account.UID, account.Email, account.Passkeys = "", "eve@example.com", append(account.Passkeys, account.Passkeys...)
	if _, err := w.users.Import(t.Context(), account); err == nil {
		t.Error("a passkey was imported twice")
	}
}
