package server_test

import (
	"crypto/tls"
	"errors"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/mail"
	"github.com/keyturn/keyturn/internal/mail/mailtest"
	"github.com/keyturn/keyturn/internal/mail/transport"
	"github.com/keyturn/keyturn/internal/outbox"
	"github.com/keyturn/keyturn/internal/throttle"
	"github.com/keyturn/keyturn/users"
)

// mailed has w write letters to an SMTP server, to which deliver brings them.
func (w *world) mailed() *mailtest.Server {
	w.smtp = mailtest.New(w.t)
	handler := w.build()
	if s, ok := w.handler.(*stenographer); ok {
		s.next = handler
	} else {
		w.handler = handler
	}
	return w.smtp
}

// wordsOfLetters are read once.
var wordsOfLetters = sync.OnceValues(func() (*mail.Words, error) {
	return mail.NewWords(mail.Brand{Name: "Engines", Site: issuer, Color: "#0b57d0", OnColor: "#ffffff"}, "en", "")
})

func (w *world) letters() *mail.Post {
	words, err := wordsOfLetters()
	must(w.t, err)
	return &mail.Post{
		Carrier: &transport.SMTP{
			Host: "127.0.0.1", Port: w.smtp.Port, Username: mailtest.Username, Password: mailtest.Password,
			TLS: &tls.Config{RootCAs: w.smtp.Roots, ServerName: "127.0.0.1"},
		},
		Words: words, Box: &outbox.Box{Store: w.store, Now: time.Now}, Sealer: w.masters.Sealer(mail.SealLetters),
		From: "no-reply@example.com", Domain: "example.com", Now: time.Now, Prepare: w.users.PrepareLetter, GiveUp: w.users.GiveUpLetter,
	}
}

// deliver has each letter that waits tried once, as the outbox does, and returns the
// errors.
func (w *world) deliver() (failed []error) {
	w.t.Helper()
	list, err := w.store.Messages(w.t.Context(), "", 100)
	must(w.t, err)
	kind := w.users.Post.Kind()
	for _, m := range list {
		err := kind.Send(w.t.Context(), &m)
		if errors.Is(err, outbox.ErrFinal) {
			err = kind.GiveUp(w.t.Context(), m, err)
		}
		if err == nil {
			err = w.store.RemoveMessage(w.t.Context(), m)
		} else {
			must(w.t, w.store.ReplaceMessage(w.t.Context(), m, m))
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

var linkIn = regexp.MustCompile(`http\S+`)

// linkOf is the link in the n-th letter, below the issuer, and its token.
func linkOf(t testing.TB, s *mailtest.Server, n int) (path, token string) {
	t.Helper()
	u, err := url.Parse(linkIn.FindString(s.Letter(t, n)))
	must(t, err)
	if !strings.HasPrefix(u.String(), issuer) {
		t.Fatalf("the link is %s", u)
	}
	return u.RequestURI(), u.Query().Get("token")
}

// atForgot fills in the form to have a letter sent by.
func atForgot(address string, change func(url.Values)) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder {
		b := w.browser()
		action, form := formOn(w.t, b.get("/account/forgot"))
		form.Set("email", address)
		if change != nil {
			change(form)
		}
		return b.post(action, form)
	}
}

// atReset fills in the form that a letter leads to.
func atReset(change func(url.Values)) sending {
	return func(w *world, _ tokens) *httptest.ResponseRecorder {
		var link string
		w.quietly(func() {
			w.sendJSON("POST", "/auth/forgot", "", map[string]string{"email": email})
			w.deliver()
			link, _ = linkOf(w.t, w.smtp, 1)
		})
		b := w.browser()
		action, form := formOn(w.t, b.get(link))
		form.Set("new_password", long)
		if change != nil {
			change(form)
		}
		return b.post(action, form)
	}
}

// letterDecisions are those about letters.
func letterDecisions() []decided {
	asked, redeemed := audit.LetterAsked, audit.ResetRedeemed
	often := func(w *world, _ tokens) {
		for range 3 {
			w.sendJSON("POST", "/auth/forgot", "", map[string]string{"email": email})
		}
	}
	slow := func(w *world, _ tokens) {
		w.users.Throttle = throttle.New(w.store, time.Now)
		for w.sendJSON("POST", "/auth/forgot", "", map[string]string{"email": email}).Code != 429 {
		}
	}
	rows := []decided{
		{"forgotten password", body("/auth/forgot", map[string]string{"email": email}), 202, asked, ""},
		{"forgotten password of nobody", body("/auth/forgot", map[string]string{"email": "nobody@example.com", "language": "de"}), 202, asked, ""},
		{"forgotten password, no address", body("/auth/forgot", map[string]string{"email": "nobody"}), 422, asked, "invalid_email"},
		{"forgotten password, malformed", body("/auth/forgot", []string{"x"}), 400, asked, "malformed_body"},
		{"forgotten password, large", body("/auth/forgot", map[string]string{"email": strings.Repeat("x", 17<<10)}), 413, asked, "malformed_body"},
		{"forgotten password, a form", raw("/auth/forgot", strings.NewReader("email=x")), 415, asked, "malformed_body"},
		{"forgotten password, throttled", after(slow, body("/auth/forgot", map[string]string{"email": email})), 429, asked, "throttled"},
		{"forgotten password, no store", failing("AddMessage", body("/auth/forgot", map[string]string{"email": email})), 503, asked, "unavailable"},
		{"forgotten password at the page", atForgot(email, nil), 200, asked, ""},
		{"forgotten password at the page, no address", atForgot("nobody", nil), 422, asked, "invalid_email"},
		{"forgotten password at the page, foreign form", atForgot(email, without("token")), 403, asked, "foreign_form"},
		{"forgotten password at the page, throttled", after(slow, atForgot(email, nil)), 429, asked, "throttled"},
		{"new password by a letter", atReset(nil), 200, redeemed, ""},
		{"new password by a letter, foreign form", atReset(without("token")), 403, redeemed, "foreign_form"},
		{"new password by no letter", atReset(setting("link", "kt_pr_x")), 403, redeemed, "bad_reset_token"},
		{"new password by a letter, a common one", atReset(setting("new_password", "passwordpassword")), 422, redeemed, "password_refused"},
	}
	rows = slices.Concat(rows, confirmations(), changesOfEmail(), unreadForms("/account/forgot", asked), unreadForms("/account/reset", redeemed), unreadForms("/account/confirm", audit.UserSignedUp))
	for i, d := range rows {
		send := d.send
		rows[i].send = func(w *world, t tokens) *httptest.ResponseRecorder {
			w.mailed()
			return send(w, t)
		}
	}
	// The answer is the same, and the reason of the failure another.
	return append(rows, decided{"forgotten password, once more than a handful", func(w *world, t tokens) *httptest.ResponseRecorder {
		w.mailed()
		rec := after(often, body("/auth/forgot", map[string]string{"email": email}))(w, t)
		if rec.Code == 202 {
			rec.Header().Set("Location", "error=none") // as far as granted is concerned
		}
		return rec
	}, 202, asked, "throttled"})
}

// TestForgottenPassword goes from the form over a letter to the log-in, with a program
// that opens links before people do.
func TestForgottenPassword(t *testing.T) {
	w := newWorld(t)
	smtp := w.mailed()
	held := w.login()
	w.journal.take()
	b := w.browser()
	if !strings.Contains(b.get("/account/login").Body.String(), `href="/account/forgot"`) {
		t.Error("the form to log in by leads to no other")
	}
	action, form := formOn(t, b.get("/account/forgot?ui_locales=de"))
	form.Set("email", " ADA@example.com ")
	if rec := b.post(action, form); rec.Code != 200 || !strings.Contains(rec.Body.String(), "Spam") {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if failed := w.deliver(); len(failed) != 0 {
		t.Fatal(failed)
	}
	link, token := linkOf(t, smtp, 1)
	if text := smtp.Letter(t, 1); !strings.Contains(text, "Engines") || !strings.Contains(text, "30 Minuten") || !strings.Contains(smtp.Taken()[0], "To: <"+email+">") {
		t.Errorf("the letter: %s\n%s", smtp.Taken()[0], text)
	}
	for range 3 {
		w.browser().get(link)
		w.serve(httptest.NewRequest("HEAD", link, nil))
	}
	other := w.browser() // on another device
	action, form = formOn(t, other.get(link))
	form.Set("new_password", "short")
	if rec := other.post(action, form); rec.Code != 422 {
		t.Errorf("a short password: %d", rec.Code)
	}
	form.Set("new_password", long)
	rec := other.post(action, form)
	if rec.Code != 200 || !strings.Contains(rec.Body.String(), "Ihr Passwort ist gesetzt") {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if rec := other.post(action, form); rec.Code != 403 || !strings.Contains(rec.Body.String(), "Dieser Link gilt nicht") {
		t.Errorf("the link's second use: %d %s", rec.Code, rec.Body)
	}
	if rec := other.logIn(other.get("/account"), email, long); rec.Code != 303 {
		t.Errorf("log-in: %d", rec.Code)
	}
	if rec := w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {held.Refresh}}); rec.Code != 400 {
		t.Errorf("a session of before: %d", rec.Code)
	}
	var told []string
	for _, e := range w.journal.take() {
		told = append(told, strings.TrimSpace(string(e.Action)+" "+e.Reason.String()))
		if strings.Contains(e.Detail, token) {
			t.Errorf("the log has the token: %+v", e)
		}
	}
	if want := []string{"letter-asked", "reset-issued", "reset-redeemed password_refused", "reset-redeemed", "reset-redeemed bad_reset_token", "user-logged-in", "token-refused ended_session"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// TestU1_NobodyLearnsWhoIsSentALetter: the same answer after the same steps, for an
// account, a disabled one and none.
func TestU1_NobodyLearnsWhoIsSentALetter(t *testing.T) {
	w := newWorld(t)
	_, err := w.users.Add(t.Context(), users.NewUser{Email: "off@example.com", Password: password})
	must(t, err)
	off, err := users.ByEmail(t.Context(), w.store, "off@example.com")
	must(t, err)
	must(t, w.users.Disable(t.Context(), off.UID))
	c := w.weigh()
	smtp := w.mailed()
	w.users.Throttle = throttle.New(w.store, time.Now)
	asking := func(address string) string {
		return c.alike(func() *httptest.ResponseRecorder {
			return w.sendJSON("POST", "/auth/forgot", "", map[string]string{"email": address})
		})
	}
	nobody := asking("nobody@example.com")
	for _, address := range []string{email, "off@example.com"} {
		if got := asking(address); got != nobody {
			t.Errorf("of %s:\n%s\nof nobody:\n%s", address, got, nobody)
		}
	}
	w.journal.take()
	if failed := w.deliver(); len(failed) != 0 || len(smtp.Taken()) != 1 {
		t.Errorf("%v, %d letters", failed, len(smtp.Taken()))
	}
	var told []string
	for _, e := range w.journal.take() {
		told = append(told, e.UserEmail+" "+e.Reason.String())
	}
	if slices.Sort(told); !slices.Equal(told, []string{email + " ", "nobody@example.com unknown_user", "off@example.com disabled_user"}) {
		t.Errorf("told %q", told)
	}
}

// TestOnlyTheLastLetterCounts: also if a former one is tried again after it, and none does
// once the password was set.
func TestOnlyTheLastLetterCounts(t *testing.T) {
	w := newWorld(t)
	smtp := w.mailed()
	w.users.Letters = nil // it takes more than a handful
	ask := func() {
		t.Helper()
		if rec := w.sendJSON("POST", "/auth/forgot", "", map[string]string{"email": email}); rec.Code != 202 {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
	}
	redeem := func(token string) int {
		return w.sendJSON("POST", "/auth/reset", "", map[string]string{"token": token, "new_password": long}).Code
	}
	// The server takes the first letter and breaks off: it is sent twice, the same.
	ask()
	smtp.Answer("END", "drop")
	if failed := w.deliver(); len(failed) != 1 {
		t.Fatalf("%v", failed)
	}
	smtp.Answer("END", "")
	time.Sleep(2 * time.Millisecond) // letters are told apart by the millisecond
	ask()
	if failed := w.deliver(); len(failed) != 0 {
		t.Fatal(failed)
	}
	var links []string
	for n := range smtp.Taken() {
		_, token := linkOf(t, smtp, n+1)
		links = append(links, token)
	}
	// The order of two that wait is open; the later one counts.
	slices.Sort(links)
	links = slices.Compact(links)
	if len(links) != 2 {
		t.Fatalf("%d links in %d letters", len(links), len(smtp.Taken()))
	}
	codes := []int{redeem(links[0]), redeem(links[1])}
	if slices.Sort(codes); !slices.Equal(codes, []int{200, 403}) {
		t.Errorf("the links: %v", codes)
	}
	// One that still waits when the password is set is not sent any more.
	w.users.Notices = "" // none of the new password
	w.deliver()
	sent := len(smtp.Taken())
	ask()
	must(t, w.users.ResetPassword(t.Context(), w.uid, password))
	if failed := w.deliver(); len(failed) != 0 || len(smtp.Taken()) != sent {
		t.Errorf("%v, %d letters", failed, len(smtp.Taken())-sent)
	}
	// After its time it does not count.
	ask()
	w.deliver()
	_, token := linkOf(t, smtp, sent+1)
	must(t, alter(t.Context(), w.store, w.uid, func(u *users.User) { u.Mailed.ExpiresAt = u.Mailed.ExpiresAt.Add(-31 * time.Minute) }))
	if code := redeem(token); code != 403 {
		t.Errorf("after its time: %d", code)
	}
}

// TestALetterThatNobodyTakesIsGivenUp: the log tells of one that is refused for good; one
// that is deferred waits.
func TestALetterThatNobodyTakesIsGivenUp(t *testing.T) {
	w := newWorld(t)
	smtp := w.mailed()
	for answer, want := range map[string]string{"550 no such mailbox": "reset: it is not to be tried again", "451 greylisted": ""} {
		smtp.Answer("RCPT", answer)
		w.sendJSON("POST", "/auth/forgot", "", map[string]string{"email": email})
		w.journal.take()
		failed := w.deliver()
		var told string
		for _, e := range w.journal.take() {
			if e.Action == audit.LetterUndelivered {
				told = e.Detail
			}
		}
		if (want == "") != (len(failed) == 1) || (want == "") != (told == "") || !strings.HasPrefix(told, want) {
			t.Errorf("%s: %v, told %q", answer, failed, told)
		}
		smtp.Answer("RCPT", "")
		w.deliver()
	}
	if n := len(smtp.Taken()); n != 1 {
		t.Errorf("%d letters arrived", n)
	}
}

// TestA3_ALinkCountsOnlyWithItsEvent: while the log is full no letter is written, and one
// that waits is sent when it can be told.
func TestA3_ALinkCountsOnlyWithItsEvent(t *testing.T) {
	w := newWorld(t)
	smtp := w.mailed()
	w.journal.breakDown(true)
	if rec := w.sendJSON("POST", "/auth/forgot", "", map[string]string{"email": email}); rec.Code != 503 || rec.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if list, err := w.store.Messages(t.Context(), "", 10); err != nil || len(list) != 0 {
		t.Errorf("%d letters wait, %v", len(list), err)
	}
	w.journal.breakDown(false)
	w.sendJSON("POST", "/auth/forgot", "", map[string]string{"email": email})
	w.journal.breakDown(true)
	before, err := w.store.UserByID(t.Context(), w.uid)
	must(t, err)
	if failed := w.deliver(); len(failed) != 1 || len(smtp.Taken()) != 0 {
		t.Errorf("%v, %d letters", failed, len(smtp.Taken()))
	}
	after, err := w.store.UserByID(t.Context(), w.uid)
	must(t, err)
	if before.Version, after.Version = 0, 0; !reflect.DeepEqual(before, after) {
		t.Errorf("%+v became %+v", before, after)
	}
	w.journal.breakDown(false)
	if failed := w.deliver(); len(failed) != 0 || len(smtp.Taken()) != 1 {
		t.Errorf("%v, %d letters", failed, len(smtp.Taken()))
	}
}

// TestF9_WhoHangsUpHasTheLetterWithItsEvent: it is written and told, or neither.
func TestF9_WhoHangsUpHasTheLetterWithItsEvent(t *testing.T) {
	for _, method := range []string{"AddCount", "Counts", "AddMessage", "ReplaceMessage"} {
		w := newWorld(t)
		hangingUp(method, func(w *world, _ tokens) *httptest.ResponseRecorder {
			w.mailed()
			return body("/auth/forgot", map[string]string{"email": email})(w, tokens{})
		})(w, tokens{})
		list, err := w.store.Messages(t.Context(), "", 10)
		must(t, err)
		told := w.journal.take()
		if n := len(told); n != 1 || (told[0].Outcome == audit.Success) != (len(list) == 1) {
			t.Errorf("%s: %d letters wait, told %+v", method, len(list), told)
		}
	}
}

// TestU4_AHandfulOfLettersToOneAddress: a handful to one address, whoever asks, and the same
// answer to each.
func TestU4_AHandfulOfLettersToOneAddress(t *testing.T) {
	w := newWorld(t)
	w.mailed()
	for range 200 {
		if rec := w.sendJSON("POST", "/auth/forgot", "", map[string]string{"email": email}); rec.Code != 202 {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
	}
	w.sendJSON("POST", "/auth/forgot", "", map[string]string{"email": "grace@example.com"})
	if list, err := w.store.Messages(t.Context(), "", 300); err != nil || len(list) != 4 {
		t.Errorf("%d letters wait, %v", len(list), err)
	}
}
