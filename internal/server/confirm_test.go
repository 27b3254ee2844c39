package server_test

import (
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/mail"
	"github.com/keyturn/keyturn/internal/store/storetest"
	"github.com/keyturn/keyturn/internal/throttle"
	"github.com/keyturn/keyturn/users"
)

const grace = "grace@example.com"

// confirming sends the token of the letter to grace, who signed up, changed.
func confirming(change func(map[string]string)) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder {
		sent := map[string]string{"password": long}
		w.quietly(func() { sent["token"] = w.signedUp() })
		if change != nil {
			change(sent)
		}
		return w.sendJSON("POST", "/auth/confirm", "", sent)
	}
}

// signedUp has grace sign up, and returns the token of her letter.
func (w *world) signedUp() string {
	w.t.Helper()
	w.sendJSON("POST", "/auth/signup", "", map[string]string{"email": grace, "username": "grace", "first_name": "Grace", "password": long})
	w.deliver()
	_, token := linkOf(w.t, w.smtp, len(w.smtp.Taken()))
	return token
}

// confirmingAddress sends the token of the letter by which the address of the account is
// confirmed, after something happened.
func confirmingAddress(meanwhile func(w *world)) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder {
		var token string
		w.quietly(func() {
			must(w.t, w.users.SendLetter(w.t.Context(), w.uid, mail.Confirm, ""))
			w.deliver()
			_, token = linkOf(w.t, w.smtp, 1)
			if meanwhile != nil {
				meanwhile(w)
			}
		})
		return w.sendJSON("POST", "/auth/confirm", "", map[string]string{"token": token})
	}
}

// atConfirm fills in the form that the letter of a sign-up leads to.
func atConfirm(change func(url.Values)) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder {
		var token string
		w.quietly(func() { token = w.signedUp() })
		b := w.browser()
		action, form := formOn(w.t, b.get("/account/confirm?token="+token))
		form.Set("password", long)
		change(form)
		return b.post(action, form)
	}
}

// confirmations are the decisions about links that confirm something.
func confirmations() []decided {
	up, asked, verified := audit.UserSignedUp, audit.LetterAsked, audit.EmailVerified
	guess := func(w *world, _ tokens) {
		w.users.Throttle = throttle.New(w.store, time.Now)
		token := w.signedUp()
		for w.sendJSON("POST", "/auth/confirm", "", map[string]string{"token": token, "password": "a guess"}).Code != 429 {
		}
	}
	twice := func(w *world, t tokens) {
		confirming(nil)(w, t)
		w.users.Letters = nil
	}
	opened := func(w *world) string { // by a link that was opened before
		w.sendJSON("POST", "/auth/signup", "", map[string]string{"email": grace, "password": long})
		w.deliver()
		_, token := linkOf(w.t, w.smtp, 1)
		return token
	}
	return []decided{
		{"sign-up by a letter", body("/auth/signup", map[string]string{"email": grace, "password": long}), 202, asked, ""},
		{"sign-up by a letter, taken", body("/auth/signup", map[string]string{"email": email, "password": long, "language": "de"}), 202, asked, ""},
		{"sign-up by a letter, username", after(func(w *world, t tokens) { confirming(nil)(w, t) }, body("/auth/signup", map[string]string{"email": "eve@example.com", "username": "Grace", "password": long})), 409, up, "username_taken"},
		{"sign-up by a letter at the page", atSignUp(grace, nil), 200, asked, ""},
		{"confirmation", confirming(nil), 201, up, ""},
		{"confirmation, malformed", body("/auth/confirm", []string{"x"}), 400, up, "malformed_body"},
		{"confirmation, large", body("/auth/confirm", map[string]string{"token": strings.Repeat("x", 17<<10)}), 413, up, "malformed_body"},
		{"confirmation, a form", raw("/auth/confirm", strings.NewReader("token=x")), 415, up, "malformed_body"},
		{"confirmation by no link", confirming(func(v map[string]string) { v["token"] = "kt_su_x" }), 403, up, "bad_reset_token"},
		{"confirmation by somebody else", confirming(func(v map[string]string) { v["password"] = "another long sentence" }), 403, up, "wrong_password"},
		{"confirmation, throttled", after(guess, confirming(nil)), 429, up, "throttled"},
		{"confirmation, twice", after(twice, func(w *world, _ tokens) *httptest.ResponseRecorder {
			_, token := linkOf(w.t, w.smtp, 1)
			return w.sendJSON("POST", "/auth/confirm", "", map[string]string{"token": token, "password": long})
		}), 409, up, "email_taken"},
		{"confirmation of an address", confirmingAddress(nil), 200, verified, ""},
		{"confirmation of a former address", confirmingAddress(func(w *world) {
			other := "augusta@example.com"
			_, err := w.users.UpdateProfile(w.t.Context(), w.uid, users.Profile{Email: &other})
			must(w.t, err)
		}), 403, verified, "bad_reset_token"},
		{"confirmation of the address of nobody", confirmingAddress(func(w *world) { must(w.t, w.users.Delete(w.t.Context(), w.uid)) }), 404, verified, "unknown_user"},
		{"confirmation of an address, no store", confirmingAddress(func(w *world) {
			faulty := storetest.NewFaulty(w.store)
			faulty.Inject(func(method string) storetest.Fault {
				if method == "UserByID" {
					return storetest.Fails
				}
				return storetest.None
			})
			w.users.Store = faulty
		}), 503, verified, "unavailable"},
		{"confirmation at the page by somebody else", atConfirm(setting("password", "another long sentence")), 403, up, "wrong_password"},
		{"confirmation at the page, foreign form", atConfirm(without("token")), 403, up, "foreign_form"},
		{"confirmation at the page, throttled", after(guess, func(w *world, t tokens) *httptest.ResponseRecorder {
			return atConfirm(func(url.Values) {})(w, t)
		}), 429, up, "throttled"},
		{"confirmation at the page, twice", after(twice, func(w *world, t tokens) *httptest.ResponseRecorder {
			return atConfirm(func(v url.Values) { w.quietly(func() { v.Set("link", opened(w)) }) })(w, t)
		}), 409, up, "email_taken"},
	}
}

// TestSignUpByALetter goes from the form over a letter to the account, which is there only
// then, and whose address is confirmed wherever it is told.
func TestSignUpByALetter(t *testing.T) {
	w := newWorld(t)
	smtp := w.mailed()
	b := w.browser()
	action, form := formOn(t, b.get("/account/signup?ui_locales=fr"))
	form.Set("email", grace)
	form.Set("first_name", "Grace\u200b") // invisible
	form.Set("new_password", long)
	if rec := b.post(action, form); rec.Code != 422 {
		t.Errorf("a name that is not one: %d", rec.Code)
	}
	form.Set("first_name", "Bcc: eve@example.com https://evil.example")
	if rec := b.post(action, form); rec.Code != 200 || !strings.Contains(rec.Body.String(), "indésirables") {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if failed := w.deliver(); len(failed) != 0 {
		t.Fatal(failed)
	}
	link, token := linkOf(t, smtp, 1)
	if text := smtp.Letter(t, 1); !strings.Contains(text, "Confirmez-le") || strings.Contains(smtp.Taken()[0], "evil") {
		t.Errorf("the letter: %s", text)
	}
	b.get(link) // a program that opens links
	if rec := b.logIn(b.get("/account"), grace, long); rec.Code != 403 {
		t.Errorf("before the link is opened: %d", rec.Code)
	}
	w.journal.take()
	other := w.browser()
	action, form = formOn(t, other.get(link))
	form.Set("password", long)
	rec := other.post(action, form)
	if rec.Code != 303 || other.set["keyturn"] == nil {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	var told []string
	for _, e := range w.journal.take() {
		if told = append(told, string(e.Action)); strings.Contains(e.Detail, token) {
			t.Errorf("the log has the token: %+v", e)
		}
	}
	if !slices.Equal(told, []string{"user-signed-up", "user-logged-in"}) {
		t.Errorf("told %q", told)
	}
	in := read[struct {
		Access string `json:"access_token"`
		User   struct {
			Verified bool `json:"email_verified"`
		}
	}](t, w.sendJSON("POST", "/auth/login", "", map[string]string{"email": grace, "password": long}), 200)
	me := read[struct {
		Verified bool `json:"email_verified"`
	}](t, w.sendJSON("GET", "/auth/me", in.Access, nil), 200)
	if !in.User.Verified || !me.Verified {
		t.Errorf("%+v, %+v", in, me)
	}
}

// TestALostLetterOfASignUpIsSentAgain to who signs up again, within the bounds of the
// address, and each has a link that makes the one account.
func TestALostLetterOfASignUpIsSentAgain(t *testing.T) {
	w := newWorld(t)
	smtp := w.mailed()
	var asked []string
	for range 4 {
		w.journal.take()
		if rec := w.sendJSON("POST", "/auth/signup", "", map[string]string{"email": grace, "password": long}); rec.Code != 202 {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		for _, e := range w.journal.take() {
			asked = append(asked, string(e.Action)+" "+e.Reason.String())
		}
		w.deliver()
	}
	if want := []string{"letter-asked ", "letter-asked ", "letter-asked ", "letter-asked throttled"}; !slices.Equal(asked, want) || len(smtp.Taken()) != 3 {
		t.Fatalf("%q, and %d letters", asked, len(smtp.Taken()))
	}
	for i, want := range []int{201, 409} {
		_, token := linkOf(t, smtp, 3-i)
		if rec := w.sendJSON("POST", "/auth/confirm", "", map[string]string{"token": token, "password": long}); rec.Code != want {
			t.Errorf("letter %d: %d %s", 3-i, rec.Code, rec.Body)
		}
	}
}

// TestU1_SignUpTellsNobodyWhoHasAnAccount: the same answer at the same cost, by JSON and at
// the page; the letter tells the owner.
func TestU1_SignUpTellsNobodyWhoHasAnAccount(t *testing.T) {
	w := newWorld(t)
	c := w.weigh()
	smtp := w.mailed()
	w.users.Throttle = throttle.New(w.store, time.Now)
	off, err := w.users.Add(t.Context(), users.NewUser{Email: "off@example.com", Password: password})
	must(t, err)
	must(t, w.users.Disable(t.Context(), off.UID))
	for name, ask := range map[string]func(address string) *httptest.ResponseRecorder{
		"by JSON": func(address string) *httptest.ResponseRecorder {
			return w.sendJSON("POST", "/auth/signup", "", map[string]string{"email": address, "password": long})
		},
		"at the page": func(address string) *httptest.ResponseRecorder { return atSignUp(address, nil)(w, tokens{}) },
	} {
		free := c.alike(func() *httptest.ResponseRecorder { return ask(grace) })
		for _, address := range []string{email, off.Email} {
			if got := c.alike(func() *httptest.ResponseRecorder { return ask(address) }); got != free {
				t.Errorf("%s, of %s:\n%s\nof an address that is free:\n%s", name, address, got, free)
			}
		}
	}
	w.deliver()
	letters := map[bool]int{}
	for n := range smtp.Taken() {
		letters[strings.Contains(smtp.Letter(t, n+1), "has an account already")]++
	}
	if letters[true] != 4 || letters[false] != 2 {
		t.Errorf("%v", letters)
	}
}

// TestA3_AnAddressIsConfirmedOnlyWithItsEvent, and what sessions say of it follows.
func TestA3_AnAddressIsConfirmedOnlyWithItsEvent(t *testing.T) {
	w := newWorld(t)
	smtp := w.mailed()
	held := read[tokens](t, w.post("/oauth/token", values{"grant_type": {"password"}, "username": {email}, "password": {password}, "scope": {"openid email"}}), 200)
	must(t, w.users.SendLetter(t.Context(), w.uid, mail.Confirm, ""))
	w.deliver()
	_, token := linkOf(t, smtp, 1)
	verified := func() bool {
		t.Helper()
		held = read[tokens](t, w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {held.Refresh}}), 200)
		in := read[struct {
			Verified bool `json:"email_verified"`
		}](t, w.post("/oauth/introspect", values{"token": {held.Access}}), 200)
		info := read[struct {
			Verified bool `json:"email_verified"`
		}](t, w.sendJSON("GET", "/oauth/userinfo", held.Access, nil), 200)
		if in != info {
			t.Errorf("the token says %v, userinfo %v", in, info)
		}
		return in.Verified
	}
	w.journal.breakDown(true)
	rec := w.sendJSON("POST", "/auth/confirm", "", map[string]string{"token": token})
	w.journal.breakDown(false)
	if rec.Code != 503 || verified() {
		t.Errorf("without the log: %d, verified %t", rec.Code, verified())
	}
	for range 2 { // a link to confirm an address can be opened again
		if rec := w.sendJSON("POST", "/auth/confirm", "", map[string]string{"token": token}); rec.Code != 200 || !verified() {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	}
	other := "augusta@example.com"
	_, err := w.users.UpdateProfile(t.Context(), w.uid, users.Profile{Email: &other})
	must(t, err)
	if verified() {
		t.Error("another address is verified")
	}
}

// TestWhoConfirmsStaysLoggedIn: in the browser of the account the page is the account, in
// another the log-in.
func TestWhoConfirmsStaysLoggedIn(t *testing.T) {
	w := newWorld(t)
	smtp := w.mailed()
	must(t, w.users.SendLetter(t.Context(), w.uid, mail.Confirm, ""))
	w.deliver()
	_, token := linkOf(t, smtp, 1)
	for name, c := range map[string]struct {
		b    *browser
		link string
		has  string
	}{
		"logged in": {w.loggedIn(), token, "/account/sessions"},
		"not":       {w.browser(), token, `name="username"`},
	} {
		action, form := formOn(t, c.b.get("/account/confirm?token="+url.QueryEscape(c.link)))
		if rec := c.b.post(action, form); !strings.Contains(rec.Body.String(), c.has) {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
}

// TestTheFormSaysWhatIsConfirmed: the address, which spends nothing; and of a link that
// cannot count, before or after its form is sent, that it does not, without a form, and
// where to have another letter sent.
func TestTheFormSaysWhatIsConfirmed(t *testing.T) {
	w := newWorld(t)
	smtp := w.mailed()
	ahead := time.Duration(0)
	w.users.Now = func() time.Time { return time.Now().Add(ahead) }
	up := w.signedUp()
	must(t, w.users.SendLetter(t.Context(), w.uid, mail.Confirm, ""))
	w.deliver()
	_, own := linkOf(t, smtp, len(smtp.Taken()))
	must(t, w.users.AskEmail(t.Context(), w.uid, "", augusta, ""))
	w.deliver()
	var change string
	for n := range smtp.Taken() {
		if strings.Contains(smtp.Letter(t, n+1), "kt_ec_") {
			_, change = linkOf(t, smtp, n+1)
		}
	}
	w.journal.take()
	b := w.browser()
	for token, says := range map[string]string{up: `value="` + grace + `"`, own: "<strong dir=\"auto\">" + email + "</strong> is confirmed", change: "changes to <strong dir=\"auto\">" + augusta} {
		if rec := b.get("/account/confirm?token=" + url.QueryEscape(token)); rec.Code != 200 || !strings.Contains(rec.Body.String(), says) {
			t.Errorf("%.6s: %d %s", token, rec.Code, rec.Body)
		}
	}
	void := func(about string, rec *httptest.ResponseRecorder, leads string) {
		t.Helper()
		if body := rec.Body.String(); rec.Code != 403 || !strings.Contains(body, "This link does not count") || strings.Contains(body, "<form") || !strings.Contains(body, `href="/account/`+leads+`"`) {
			t.Errorf("%s: %d %s", about, rec.Code, body)
		}
	}
	for _, token := range []string{"", "x", "kt_su_x", up + "x", strings.Repeat("x", 8<<10)} {
		void("no link", b.get("/account/confirm?token="+url.QueryEscape(token)), "signup")
	}
	if told := w.journal.take(); len(told) != 0 {
		t.Errorf("looking at links was told: %+v", told)
	}
	action, form := formOn(t, b.get("/account/confirm?token="+url.QueryEscape(change)))
	if rec := b.post(action, form); rec.Code != 200 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	void("a used link", b.post(action, form), "email")
	ahead = 25 * time.Hour
	for token, leads := range map[string]string{up: "signup", own: "signup", change: "email"} {
		void("an old link", b.get("/account/confirm?token="+url.QueryEscape(token)), leads)
	}
}

// TestOperatorsSendLetters, which are not limited, and to who has an address alone.
func TestOperatorsSendLetters(t *testing.T) {
	w := newWorld(t)
	smtp := w.mailed()
	for range 5 {
		must(t, w.users.SendLetter(t.Context(), w.uid, mail.Reset, "ja"))
	}
	w.deliver()
	if n := len(smtp.Taken()); n == 0 || !strings.Contains(smtp.Letter(t, 1), "30分間") {
		t.Errorf("%d letters", n)
	}
	kiosk, err := w.users.Add(t.Context(), users.NewUser{Username: "kiosk", Password: long})
	must(t, err)
	off, err := w.users.Add(t.Context(), users.NewUser{Email: "off@example.com", Password: long})
	must(t, err)
	must(t, w.users.Disable(t.Context(), off.UID))
	w.journal.take()
	for uid, reason := range map[string]string{kiosk.UID: "invalid_email", off.UID: "disabled_user", "00000000-0000-4000-8000-000000000000": "unknown_user"} {
		err := w.users.SendLetter(t.Context(), uid, mail.Confirm, "")
		if told := w.journal.take(); err == nil || len(told) != 1 || told[0].Reason.String() != reason {
			t.Errorf("%v, told %+v", err, told)
		}
	}
}
