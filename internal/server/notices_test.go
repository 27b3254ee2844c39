package server_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	netmail "net/mail"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/mail/mailtest"
	"github.com/keyturn/keyturn/internal/outbox"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/storetest"
	"github.com/keyturn/keyturn/users"
)

const (
	onLinux = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	onPhone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)

// mailbox reads the letters that a server took.
type mailbox struct {
	w    *world
	smtp *mailtest.Server
	read int
}

// arrived delivers what waits, and returns the subjects of what was not read before, with
// the texts.
func (m *mailbox) arrived() (subjects, texts []string) {
	m.w.t.Helper()
	if failed := m.w.deliver(); len(failed) != 0 {
		m.w.t.Errorf("not delivered: %v", failed)
	}
	taken := m.smtp.Taken()
	for ; m.read < len(taken); m.read++ {
		letter, err := netmail.ReadMessage(strings.NewReader(taken[m.read]))
		must(m.w.t, err)
		if to := letter.Header.Get("To"); to != "<"+email+">" {
			m.w.t.Errorf("a letter to %s", to)
		}
		subjects = append(subjects, letter.Header.Get("Subject"))
		texts = append(texts, m.smtp.Letter(m.w.t, m.read+1))
	}
	return subjects, texts
}

// logsIn logs in by the password grant, from an address with a User-Agent.
func (w *world) logsIn(ip, agent, password string) *httptest.ResponseRecorder {
	return w.ask(party{ip, agent, "shop", w.secret}, url.Values{"grant_type": {"password"}, "username": {email}, "password": {password}})
}

// TestNoticesOfWhatChanged: each change of a password or of second factors, each session
// that two parties used, and that an account is closed, is told to the owner, once.
func TestNoticesOfWhatChanged(t *testing.T) {
	w := newWorld(t)
	box := &mailbox{w: w, smtp: w.mailed()}
	const set, factor, reuse = "Your former password at Engines is void", "How you log in to Engines has changed", "A session at Engines was ended"
	held := w.login()
	a := w.setUp(held.Access)
	var resetToken string
	for _, c := range []struct {
		name string
		do   func()
		// about is the subject, says is what the letter must have.
		about string
		says  []string
	}{
		{"app added", func() { read[any](t, w.sendJSON("POST", "/auth/factors", held.Access, a.adding()), 201) }, factor, []string{"Change: Authenticator app added", "Network address: 192.0.2.1", "Time: " + time.Now().UTC().Format("2006-01-02")}},
		{"codes renewed", func() { read[any](t, w.sendJSON("POST", "/auth/recovery-codes", held.Access, nil), 200) }, factor, []string{"Change: New recovery codes"}},
		{"app removed", func() { w.sendJSON("DELETE", "/auth/factors/"+a.id, held.Access, nil) }, factor, []string{"Change: Authenticator app removed"}},
		{"passkey added", func() { w.passkey() }, factor, []string{"Change: Passkey added"}},
		{"passkey removed by an operator", func() {
			u, err := w.store.UserByID(t.Context(), w.uid)
			must(t, err)
			must(t, w.users.RemoveFactor(t.Context(), w.uid, u.Factors.List[0].ID))
		}, factor, []string{"Change: Passkey removed"}},
		{"reuse", func() {
			w.change("shop", func(c *clients.Client) { c.Name = "The shop" })
			thief, victim := party{"203.0.113.66", onPhone, "shop", w.secret}, party{"198.51.100.7", onLinux, "shop", w.secret}
			got := read[tokens](t, w.ask(victim, url.Values{"grant_type": {"password"}, "username": {email}, "password": {password}}), 200)
			first := got.Refresh
			for range 2 {
				got = read[tokens](t, w.refresh(victim, got.Refresh), 200)
			}
			for range 2 {
				w.refresh(thief, first)
			}
			w.refresh(victim, got.Refresh)
		}, reuse, []string{"Application: The shop", "Device: Firefox, Linux / Safari, iPhone", "Network address: 198.51.100.7 / 203.0.113.66"}},
		{"password changed", func() {
			w.sendJSON("POST", "/auth/password", w.login().Access, map[string]string{"current_password": password, "new_password": long})
		}, set, []string{"sessions elsewhere have ended"}},
		{"password reset by an operator", func() { must(t, w.users.ResetPassword(t.Context(), w.uid, password)) }, set, nil},
		{"password made void", func() {
			var err error
			resetToken, _, err = w.users.IssueReset(t.Context(), w.uid, time.Hour, true)
			must(t, err)
		}, set, []string{"void by those who run it", "You cannot set a new one by yourself"}},
		{"password set by a token", func() {
			w.sendJSON("POST", "/auth/reset", "", map[string]string{"token": resetToken, "new_password": password})
		}, set, nil},
		{"name changed", func() { w.sendJSON("PATCH", "/auth/me", w.login().Access, map[string]string{"first_name": "Augusta"}) }, "", nil},
		{"wrong password", func() {
			w.sendJSON("POST", "/auth/password", w.login().Access, map[string]string{"current_password": "wrong", "new_password": long})
		}, "", nil},
		{"account closed", func() {
			w.users.DeletionGrace = time.Hour
			read[any](t, w.sendJSON("DELETE", "/auth/me", w.login().Access, nil), 200)
		}, "Your account at Engines is closed", []string{"will be deleted soon", "Network address: 192.0.2.1"}},
	} {
		c.do()
		subjects, texts := box.arrived()
		at := slices.Index(subjects, c.about)
		// A log-in from what is new is a letter of its own.
		rest := slices.DeleteFunc(subjects, func(s string) bool { return strings.HasPrefix(s, "New log-in") })
		if c.about == "" && len(rest) != 0 || c.about != "" && !slices.Equal(rest, []string{c.about}) {
			t.Errorf("%s: %q", c.name, rest)
			continue
		}
		for _, said := range c.says {
			if !strings.Contains(texts[at], said) {
				t.Errorf("%s: no %q in %s", c.name, said, texts[at])
			}
		}
	}
}

// TestNoticesOfLogIns: of a log-in from a device or a place that is new, but of the first,
// and of a handful a day.
func TestNoticesOfLogIns(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		box := &mailbox{w: w, smtp: w.mailed()}
		const about = "New log-in to your account at Engines"
		expect := func(what string, want ...string) string {
			t.Helper()
			subjects, texts := box.arrived()
			if !slices.Equal(subjects, want) {
				t.Fatalf("%s: %q", what, subjects)
			}
			return strings.Join(texts, "")
		}
		const home, nearby, elsewhere = "198.51.100.7", "198.51.7.200", "203.0.113.66"
		w.logsIn(home, onLinux, password)
		expect("the first")
		w.logsIn(home, onLinux, password)
		w.logsIn(nearby, onLinux, password)
		expect("the same again")
		w.logsIn(elsewhere, onPhone, "wrong")
		expect("a wrong password")
		w.logsIn(home, "Buy at evil.example!/1.0 "+onPhone, password)
		if said := expect("another device", about); !strings.Contains(said, "Device: iPhone\n") || strings.Contains(said, "evil") || !strings.Contains(said, "Application: shop\n") {
			t.Error(said)
		}
		w.logsIn(elsewhere, onLinux, password)
		if said := expect("another place", about); !strings.Contains(said, "Network address: "+elsewhere) {
			t.Error(said)
		}
		b := w.browser() // from the address and with the User-Agent of httptest
		b.logIn(b.get("/account"), email, password)
		if said := expect("the page", about); strings.Contains(said, "Application:") {
			t.Error(said)
		}
		read[tokens](t, w.ask(party{"100.64.0.9", "backend/1.0", "shop", w.secret}, exchanges(b.code(nil), nil)), 200)
		expect("its code, which the application's server exchanged")
		for i := range 30 {
			w.logsIn(fmt.Sprintf("203.%d.113.66", i), onLinux, password)
		}
		expect("30 more", about, about)
		must(t, w.users.ResetPassword(t.Context(), w.uid, long))
		expect("a new password", "Your former password at Engines is void")

		w.users.Notices = users.ChangeNotices
		w.logsIn("192.168.1.1", "curl/8", long)
		expect("switched off")
	})
}

// TestF5_AnOwedLetterIsWrittenOnce: a process that dies between a decision and its letter,
// or before it noted that it was written, leaves that to another; the letter is not sent
// before.
func TestF5_AnOwedLetterIsWrittenOnce(t *testing.T) {
	for _, at := range []string{"AddMessage", "AddMessage, done", "ReplaceMessage", "ReplaceMessage, done", "AddCount", "clear"} {
		w := newFaultyWorld(t)
		smtp := w.mailed()
		w.login() // the first
		method, done := strings.CutSuffix(at, ", done")
		for name, decide := range map[string]func(){
			"password": func() { _ = w.users.ResetPassword(context.Background(), w.uid, password) },
			"device":   func() { w.logsIn("203.0.113.66", onPhone, password) },
		} {
			writes := 0
			w.faulty.Inject(func(asked string) storetest.Fault {
				if at == "clear" && (asked == "ReplaceUser" || asked == "HoldFamily") {
					if writes++; writes == 3 || name == "device" && writes == 2 { // after the proposal and the making
						runtime.Goexit()
					}
				}
				if asked == method && !done {
					runtime.Goexit()
				}
				if asked == method {
					return storetest.Persists
				}
				return storetest.None
			})
			ended := make(chan struct{})
			go func() { defer close(ended); decide() }()
			<-ended
			w.faulty.Inject(nil)
			before := len(smtp.Taken())
			w.deliver()
			if n := len(smtp.Taken()) - before; n != 0 && !done {
				t.Errorf("%s, %s: sent before it was settled", name, at)
			}
			w.settleOnce(t.Context(), time.Hour)
			for range 2 {
				w.deliver()
				w.settleOnce(t.Context(), 2*time.Hour)
			}
			if n := len(smtp.Taken()) - before; n != 1 {
				t.Errorf("%s, %s: %d letters", name, at, n)
			}
		}
	}
}

// TestA3_NoLetterWithoutItsEvent: while the log is full nothing that is refused has one.
func TestA3_NoLetterWithoutItsEvent(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		w.mailed()
		held := w.login()
		w.journal.breakDown(true)
		w.sendJSON("POST", "/auth/password", held.Access, map[string]string{"current_password": password, "new_password": long})
		w.sendJSON("POST", "/auth/factors", held.Access, w.setUp(held.Access).adding())
		if rec := w.logsIn("203.0.113.66", onPhone, password); rec.Code != 503 {
			t.Errorf("log-in: %d %s", rec.Code, rec.Body)
		}
		w.journal.breakDown(false)
		if list, err := w.store.Messages(t.Context(), "", 10); err != nil || len(list) != 0 {
			t.Errorf("%d letters wait, %v", len(list), err)
		}
		w.logsIn("203.0.113.66", onPhone, password)
		if list, err := w.store.Messages(t.Context(), "", 10); err != nil || len(list) != 1 {
			t.Errorf("%d letters wait, %v; the device was taken for known", len(list), err)
		}
	})
}

// TestALogInWaitsForNoLetter: if the outbox cannot be written it succeeds, its session can
// be used and ended, and the letter follows.
func TestALogInWaitsForNoLetter(t *testing.T) {
	w := newFaultyWorld(t)
	smtp := w.mailed()
	w.login() // the first
	w.faulty.Inject(func(method string) storetest.Fault {
		if method == "AddMessage" {
			return storetest.Fails
		}
		return storetest.None
	})
	got := read[tokens](t, w.logsIn("203.0.113.66", onPhone, password), 200)
	next := read[tokens](t, w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}}), 200)
	if rec := w.sendJSON("POST", "/auth/logout", next.Access, nil); rec.Code != 204 && rec.Code != 200 {
		t.Errorf("log-out: %d %s", rec.Code, rec.Body)
	}
	w.faulty.Inject(nil)
	must(t, w.settleOnce(t.Context(), time.Hour))
	if failed := w.deliver(); len(failed) != 0 || len(smtp.Taken()) != 1 {
		t.Errorf("%v, %d letters", failed, len(smtp.Taken()))
	}
}

// crowded is a store whose outbox is full.
type crowded struct{ store.Store }

func (crowded) AddMessage(context.Context, outbox.Message, int) error { return outbox.ErrFull }

// TestALetterThatHasNoRoomIsGivenUp, which the log tells, and the decision is done.
func TestALetterThatHasNoRoomIsGivenUp(t *testing.T) {
	w := newWorldOn(t, crowded{openSQLite(t)}, &journal{t: t})
	w.journal = w.audit.(*journal)
	w.mailed()
	w.journal.take()
	must(t, w.users.ResetPassword(t.Context(), w.uid, long))
	told := w.journal.take()
	if len(told) != 2 || told[1].Action != audit.LetterUndelivered || !strings.Contains(told[1].Detail, "password: ") || told[1].UserEmail != email {
		t.Errorf("%+v", told)
	}
	if u, err := w.store.HeldUser(t.Context(), w.uid); err != nil || !u.Free() {
		t.Errorf("%+v, %v", u, err)
	}
}

// TestU1_NoticesTellWhoIsRefusedNothing: they cost no refusal a visit to the store.
func TestU1_NoticesTellWhoIsRefusedNothing(t *testing.T) {
	w := newFaultyWorld(t)
	refusal := func() []string {
		w.faulty.Inject(nil)
		w.logsIn("203.0.113.66", onPhone, "wrong")
		return w.faulty.Asked()
	}
	without := refusal()
	w.mailed()
	if with := refusal(); !slices.Equal(with, without) {
		t.Errorf("with mail %v, without %v", with, without)
	}
}

// TestNoticesInTheLanguageOfTheAccount, and not in that of who asks.
func TestNoticesInTheLanguageOfTheAccount(t *testing.T) {
	w := newWorld(t)
	smtp := w.mailed()
	_, err := w.users.SetClaims(t.Context(), w.uid, nil, `{"locale":"de-AT"}`)
	must(t, err)
	must(t, w.users.ResetPassword(t.Context(), w.uid, long))
	w.deliver()
	if said := smtp.Letter(t, 1); !strings.Contains(said, "Das Passwort Ihres Kontos") {
		t.Error(said)
	}
}
