package server_test

import (
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/store/storetest"
	"github.com/keyturn/keyturn/internal/throttle"
	"github.com/keyturn/keyturn/users"
)

const augusta = "augusta@example.net"

func asksForEmail(address string) sending {
	return bearer("POST", "/auth/email", map[string]string{"email": address})
}

// linkTo is the link in the last letter to an address, and its token.
func (w *world) linkTo(address string) (path, token string) {
	w.t.Helper()
	taken := w.smtp.Taken()
	for n := len(taken); n > 0; n-- {
		if strings.Contains(taken[n-1], "To: <"+address+">") {
			return linkOf(w.t, w.smtp, n)
		}
	}
	w.t.Fatalf("%d letters, and none to %s", len(taken), address)
	return "", ""
}

// lettersTo counts the letters to an address.
func (w *world) lettersTo(address string) (n int) {
	for _, letter := range w.smtp.Taken() {
		if strings.Contains(letter, "To: <"+address+">") {
			n++
		}
	}
	return n
}

// askedEmail has the user ask for an address, and returns the token of the letter's link.
func (w *world) askedEmail(held tokens, address string) string {
	w.t.Helper()
	if rec := asksForEmail(address)(w, held); rec.Code != 202 {
		w.t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	w.deliver()
	_, token := w.linkTo(address)
	return token
}

func (w *world) confirm(token string) *httptest.ResponseRecorder {
	return w.sendJSON("POST", "/auth/confirm", "", map[string]string{"token": token})
}

// confirmingChange opens the link of a letter to augusta after something happened.
func confirmingChange(meanwhile func(w *world, t tokens, token string)) sending {
	return func(w *world, t tokens) *httptest.ResponseRecorder {
		var token string
		w.quietly(func() {
			if token = w.askedEmail(t, augusta); meanwhile != nil {
				meanwhile(w, t, token)
			}
		})
		return w.confirm(token)
	}
}

// voids are what a link to another address does not outlast.
var voids = map[string]func(w *world, t tokens, token string){
	"opened": func(w *world, _ tokens, token string) { w.confirm(token) },
	"another asked for": func(w *world, t tokens, _ string) {
		asksForEmail("king@example.org")(w, t)
	},
	"the same asked for": func(w *world, t tokens, _ string) { asksForEmail(augusta)(w, t) },
	"another address": func(w *world, _ tokens, _ string) {
		other := "countess@example.com"
		_, err := w.users.UpdateProfile(w.t.Context(), w.uid, users.Profile{Email: &other})
		must(w.t, err)
	},
	"another password": func(w *world, t tokens, _ string) {
		rec := w.sendJSON("POST", "/auth/password", t.Access, map[string]string{"current_password": password, "new_password": long})
		if rec.Code != 200 {
			w.t.Errorf("%d %s", rec.Code, rec.Body)
		}
	},
	"a password by an operator": func(w *world, _ tokens, _ string) { must(w.t, w.users.ResetPassword(w.t.Context(), w.uid, long)) },
	"a void password": func(w *world, _ tokens, _ string) {
		_, _, err := w.users.IssueReset(w.t.Context(), w.uid, time.Hour, true)
		must(w.t, err)
	},
	"disabled": func(w *world, _ tokens, _ string) { must(w.t, w.users.Disable(w.t.Context(), w.uid)) },
	"disabled and enabled": func(w *world, _ tokens, _ string) {
		must(w.t, w.users.Disable(w.t.Context(), w.uid))
		must(w.t, w.users.Enable(w.t.Context(), w.uid))
	},
	"closed": func(w *world, _ tokens, _ string) {
		w.users.DeletionGrace = time.Hour
		_, err := w.users.Close(w.t.Context(), w.uid)
		must(w.t, err)
	},
}

// changesOfEmail are the decisions of users about their own address.
func changesOfEmail() []decided {
	const asked, changed = audit.LetterAsked, audit.UserChanged
	fill := func(address string) func(url.Values) { return setting("email", address) }
	gone := func(w *world, _ tokens) {
		u, err := w.store.UserByID(w.t.Context(), w.uid)
		must(w.t, err)
		must(w.t, w.store.RemoveUser(w.t.Context(), u))
	}
	slow := func(w *world, _ tokens) {
		w.users.Throttle = throttle.New(w.store, time.Now)
		for w.sendJSON("POST", "/auth/forgot", "", map[string]string{"email": grace}).Code != 429 {
		}
	}
	often := func(w *world, t tokens) {
		for _, address := range []string{"a@example.com", "b@example.com", "c@example.com"} {
			asksForEmail(address)(w, t)
		}
	}
	rows := []decided{
		{"another address", asksForEmail(augusta), 202, asked, ""},
		{"one's own address", bearer("POST", "/auth/email", map[string]string{"email": email, "language": "fr"}), 202, asked, ""},
		{"another address, malformed", bearer("POST", "/auth/email", []string{"x"}), 400, asked, "malformed_body"},
		{"another address, large", asksForEmail(strings.Repeat("x", 17<<10)), 413, asked, "malformed_body"},
		{"another address, a form", func(w *world, t tokens) *httptest.ResponseRecorder {
			return raw("/auth/email", strings.NewReader("email=x"), "Authorization", "Bearer "+t.Access)(w, t)
		}, 415, asked, "malformed_body"},
		{"another address, none", asksForEmail("augusta"), 422, asked, "invalid_email"},
		{"another address, stale", func(w *world, t tokens) *httptest.ResponseRecorder {
			return w.sendJSON("POST", "/auth/email", staleToken(w, t), map[string]string{"email": augusta})
		}, 401, asked, "stale_login"},
		{"another address, throttled", after(slow, asksForEmail(augusta)), 429, asked, "throttled"},
		{"another address, once more than a handful", after(often, asksForEmail(augusta)), 429, asked, "throttled"},
		{"another address of nobody", after(gone, asksForEmail(augusta)), 404, asked, "unknown_user"},
		{"another address, no store", failing("UserByID", asksForEmail(augusta)), 503, asked, "unavailable"},
		{"another address, changed meanwhile", func(w *world, t tokens) *httptest.ResponseRecorder {
			w.alter(func(u *users.User) { u.Disabled = true })
			return asksForEmail(augusta)(w, t)
		}, 409, asked, "conflict"},
		{"another address at the page", atForm("/account/email", fill(augusta)), 200, asked, ""},
		{"another address at the page, once more than a handful", after(often, atForm("/account/email", fill(augusta))), 429, asked, "throttled"},
		{"another address at the page, none", atForm("/account/email", fill("augusta")), 422, asked, "invalid_email"},
		{"another address at the page, foreign form", atForm("/account/email", setting("token", "x")), 403, asked, "foreign_form"},
		{"another address at the page, logged out", loggedOutMeanwhile("/account/email"), 403, asked, "login_required"},
		{"another address at the page, stale", func(w *world, _ tokens) *httptest.ResponseRecorder {
			var b *browser
			var form url.Values
			w.quietly(func() {
				b = w.loggedIn()
				_, form = formOn(w.t, b.get("/account/email"))
				later(w, app{}, nil)
			})
			return b.post("/account/email", form)
		}, 403, asked, "stale_login"},
		{"change of address", confirmingChange(nil), 200, changed, ""},
		{"change of address by no link", body("/auth/confirm", map[string]string{"token": "kt_ec_x"}), 403, changed, "bad_reset_token"},
		{"change of address, taken meanwhile", confirmingChange(func(w *world, _ tokens, _ string) {
			_, err := w.users.Add(w.t.Context(), users.NewUser{Email: augusta, Password: long})
			must(w.t, err)
		}), 409, changed, "email_taken"},
		{"change of the address of nobody", confirmingChange(func(w *world, t tokens, _ string) { gone(w, t) }), 404, changed, "unknown_user"},
		{"change of address, no store", confirmingChange(func(w *world, _ tokens, _ string) {
			faulty := storetest.NewFaulty(w.store)
			faulty.Inject(func(method string) storetest.Fault {
				if method == "UserByID" {
					return storetest.Fails
				}
				return storetest.None
			})
			w.users.Store = faulty
		}), 503, changed, "unavailable"},
	}
	for what, meanwhile := range voids {
		rows = append(rows, decided{"change of address, then " + what, confirmingChange(meanwhile), 403, changed, "bad_reset_token"})
	}
	return slices.Concat(rows, unreadForms("/account/email", asked))
}

// TestAnotherAddressByALetter goes from the form over a letter to the other address, with
// a program that opens links before people do, and on another device. The former address
// is told, sessions go on, and what was sent to it opens nothing any more.
func TestAnotherAddressByALetter(t *testing.T) {
	w := newWorld(t)
	w.mailed()
	held := read[tokens](t, w.post("/oauth/token", values{"grant_type": {"password"}, "username": {email}, "password": {password}, "scope": {"openid email"}}), 200)
	w.sendJSON("POST", "/auth/forgot", "", map[string]string{"email": email})
	w.deliver()
	_, reset := w.linkTo(email)
	b := w.browser()
	if rec := b.logIn(b.get("/account/email"), email, password); rec.Header().Get("Location") != "/account/email" {
		t.Errorf("the log-in leads to %q", rec.Header().Get("Location"))
	}
	w.journal.take()
	if !strings.Contains(b.get("/account/profile").Body.String(), `href="/account/email"`) {
		t.Error("no page leads to the form")
	}
	action, form := formOn(t, b.get("/account/email?ui_locales=de"))
	form.Set("email", " Augusta@example.net")
	if rec := b.post(action, form); rec.Code != 200 || !strings.Contains(rec.Body.String(), "sobald Sie ihn bestätigt haben") || !b.isLoggedIn(email) {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if failed := w.deliver(); len(failed) != 0 || w.lettersTo("Augusta@example.net") != 1 || w.lettersTo(email) != 2 {
		t.Fatalf("%v, %d letters to the address, %d to the former", failed, w.lettersTo("Augusta@example.net"), w.lettersTo(email))
	}
	link, token := w.linkTo("Augusta@example.net")
	notice := w.smtp.Letter(t, 1+slices.IndexFunc(w.smtp.Taken(), func(l string) bool {
		return strings.Contains(l, "Subject: Your e-mail address at Engines") && strings.Contains(l, "To: <"+email+">")
	}))
	for _, says := range []string{"asked for another e-mail address", "Augusta@example.net", "192.0.2.1"} {
		if !strings.Contains(notice, says) {
			t.Errorf("the former address is not told %q: %s", says, notice)
		}
	}
	for range 2 {
		w.browser().get(link)
		w.serve(httptest.NewRequest("HEAD", link, nil))
	}
	if !b.isLoggedIn(email) {
		t.Error("the address changed when the link was opened")
	}
	other := w.browser()
	action, form = formOn(t, other.get(link))
	if rec := other.post(action, form); rec.Code != 200 || !strings.Contains(rec.Body.String(), "Ihre Adresse ist bestätigt") {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if rec := other.post(action, form); rec.Code != 403 || !strings.Contains(rec.Body.String(), "Dieser Link gilt nicht") {
		t.Errorf("the link's second use: %d %s", rec.Code, rec.Body)
	}
	if !b.isLoggedIn("Augusta@example.net") {
		t.Error("the browser's session does not go on with the other address")
	}
	held = read[tokens](t, w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {held.Refresh}}), 200)
	says := read[struct {
		Email    string
		Verified bool `json:"email_verified"`
	}](t, w.post("/oauth/introspect", values{"token": {held.Access}}), 200)
	if says.Email != "Augusta@example.net" || !says.Verified {
		t.Errorf("a session says %+v", says)
	}
	for address, code := range map[string]int{email: 403, "augusta@EXAMPLE.net": 200} {
		if rec := w.sendJSON("POST", "/auth/login", "", map[string]string{"email": address, "password": password}); rec.Code != code {
			t.Errorf("log-in as %s: %d", address, rec.Code)
		}
	}
	if rec := w.sendJSON("POST", "/auth/reset", "", map[string]string{"token": reset, "new_password": long}); rec.Code != 403 {
		t.Errorf("the former address sets a password: %d", rec.Code)
	}
	var told []string
	for _, e := range w.journal.take() {
		told = append(told, strings.TrimSpace(string(e.Action)+" "+e.Reason.String()+" "+e.UserEmail+" "+e.Detail))
		if e.Action == audit.LetterAsked && (e.UserID != w.uid || e.SessionID == "" || e.ID == "") {
			t.Errorf("%+v", e)
		}
		if strings.Contains(e.Detail, token) {
			t.Errorf("the log has the token: %+v", e)
		}
	}
	if want := []string{"letter-asked  Augusta@example.net change", "user-changed  " + email + " email: Augusta@example.net", "user-changed bad_reset_token Augusta@example.net"}; !slices.Equal(told[:3], want) {
		t.Errorf("told %q, want %q", told[:3], want)
	}
}

// TestALetterIsNotOvertakenByTheAddress: one for a forgotten password that is about to be
// sent while the account gets another address opens nothing.
func TestALetterIsNotOvertakenByTheAddress(t *testing.T) {
	w := newFaultyWorld(t)
	w.mailed()
	w.sendJSON("POST", "/auth/forgot", "", map[string]string{"email": email})
	w.faulty.Inject(func(method string) storetest.Fault {
		if method == "UserByID" {
			must(t, alter(t.Context(), w.faulty.Unwrap(), w.uid, func(u *users.User) { u.Email, u.EmailKey = augusta, augusta }))
		}
		return storetest.None
	})
	w.deliver()
	w.faulty.Inject(nil)
	u, err := w.store.UserByID(t.Context(), w.uid)
	must(t, err)
	if n := len(w.smtp.Taken()); n != 0 || u.Email != augusta || u.ResetHash != nil {
		t.Errorf("%d letters; %+v", n, u)
	}
}

// TestU1_NobodyLearnsWhoseAnAddressIs: the same answer after the same steps for an address
// that another account has; the letter to it says so.
func TestU1_NobodyLearnsWhoseAnAddressIs(t *testing.T) {
	w := newWorld(t)
	_, err := w.users.Add(t.Context(), users.NewUser{Email: grace, Password: long})
	must(t, err)
	faulty := storetest.NewFaulty(w.store)
	w.store = faulty
	w.mailed()
	w.users.Throttle = throttle.New(w.store, time.Now)
	held := w.login()
	var said []string
	var steps [][]string
	for _, address := range []string{grace, augusta} {
		var taken []string
		var mu sync.Mutex
		faulty.Inject(func(method string) storetest.Fault {
			mu.Lock()
			defer mu.Unlock()
			taken = append(taken, method)
			return storetest.None
		})
		rec := asksForEmail(address)(w, held)
		said = append(said, rec.Body.String())
		slices.Sort(taken)
		steps = append(steps, taken)
		faulty.Inject(nil)
		w.deliver()
	}
	if said[0] != said[1] || !reflect.DeepEqual(steps[0], steps[1]) || len(steps[0]) == 0 {
		t.Errorf("answers %q, steps %v", said, steps)
	}
	for address, says := range map[string]string{grace: "has an account already", augusta: "is to have this address"} {
		if n := slices.IndexFunc(w.smtp.Taken(), func(l string) bool { return strings.Contains(l, "To: <"+address+">") }); n < 0 || !strings.Contains(w.smtp.Letter(t, n+1), says) {
			t.Errorf("letter %d to %s", n, address)
		}
	}
}

// TestA3_AnAddressChangesOnlyWithItsEvent: while the log is full nobody is told, and
// nothing is changed, at each step.
func TestA3_AnAddressChangesOnlyWithItsEvent(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		w.mailed()
		held := w.login()
		account := func() users.User {
			u, err := w.store.UserByID(t.Context(), w.uid)
			must(t, err)
			u.Version = 0
			return u
		}
		fails := func(do func() *httptest.ResponseRecorder) {
			t.Helper()
			before := account()
			w.journal.breakDown(true)
			rec := do()
			w.journal.breakDown(false)
			if after := account(); rec.Code != 503 || rec.Header().Get("Retry-After") == "" || !reflect.DeepEqual(before, after) {
				t.Errorf("%d %s; %+v became %+v", rec.Code, rec.Body, before, after)
			}
		}
		for range 5 { // what was not recorded does not count as one of a handful
			fails(func() *httptest.ResponseRecorder { return asksForEmail(augusta)(w, held) })
		}
		if w.deliver(); len(w.smtp.Taken()) != 0 {
			t.Errorf("%d letters", len(w.smtp.Taken()))
		}
		token := w.askedEmail(held, augusta)
		fails(func() *httptest.ResponseRecorder { return w.confirm(token) })
		if rec := w.confirm(token); rec.Code != 200 || account().Email != augusta || !account().EmailVerified() {
			t.Errorf("%d %s: %+v", rec.Code, rec.Body, account())
		}
	})
}
