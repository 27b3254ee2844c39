package server_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/mail"
	"github.com/keyturn/keyturn/internal/store/storetest"
	"github.com/keyturn/keyturn/users"
)

// owner is somebody with an account and a mailbox.
type owner struct {
	*world
	uid, address string
}

// owner adds an account. Nobody is told of what happens to it, so that each letter has a
// link.
func (w *world) owner(name string) owner {
	w.t.Helper()
	if w.smtp == nil {
		w.mailed()
		w.users.Notices, w.users.Letters, w.users.DeletionGrace = "", nil, time.Hour
	}
	u, err := w.users.Add(w.t.Context(), users.NewUser{Email: name + "@example.com", Password: password})
	must(w.t, err)
	time.Sleep(2 * time.Millisecond) // letters are told apart by the millisecond
	return owner{w, u.UID, u.Email}
}

// asks has a letter asked for, as anybody can.
func (o owner) asks(language string) {
	o.t.Helper()
	time.Sleep(2 * time.Millisecond)
	if rec := o.sendJSON("POST", "/auth/forgot", "", map[string]string{"email": o.address, "language": language}); rec.Code != 202 {
		o.t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// links are the tokens in letters to the address, in the order in which they arrived.
func (o owner) links() (tokens []string) {
	o.t.Helper()
	o.deliver()
	for n, letter := range o.smtp.Taken() {
		if strings.Contains(letter, "To: <"+o.address+">") {
			_, token := linkOf(o.t, o.smtp, n+1)
			tokens = append(tokens, token)
		}
	}
	return tokens
}

// link is the token of a letter that is asked for now.
func (o owner) link() string {
	o.t.Helper()
	before := len(o.links())
	o.asks("en")
	links := o.links()
	if len(links) != before+1 {
		o.t.Fatalf("%s: %d letters more", o.address, len(links)-before)
	}
	return links[before]
}

func (o owner) operators(force bool) string {
	o.t.Helper()
	token, _, err := o.users.IssueReset(o.t.Context(), o.uid, time.Hour, force)
	must(o.t, err)
	return token
}

// redeems sets the long password by a token.
func (o owner) redeems(what, token string, want int) {
	o.t.Helper()
	if rec := o.sendJSON("POST", "/auth/reset", "", map[string]string{"token": token, "new_password": long}); rec.Code != want {
		o.t.Errorf("%s: %s: %d, want %d", o.address, what, rec.Code, want)
	}
}

func (o owner) logsIn(password string, want int) {
	o.t.Helper()
	if rec := o.sendJSON("POST", "/auth/login", "", map[string]string{"email": o.address, "password": password}); rec.Code != want {
		o.t.Errorf("%s logs in: %d, want %d", o.address, rec.Code, want)
	}
}

// TestAStrangerVoidsNoTokenOfAnOperator: by asking for a letter, also while no letter goes
// out. Each stands beside the other, until one is used.
func TestAStrangerVoidsNoTokenOfAnOperator(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		o := w.owner("a")
		token := o.operators(false)
		link := o.link()
		o.redeems("the token, after a letter", token, 200)
		o.redeems("the link, after the token", link, 403)

		o = w.owner("b")
		token = o.operators(false)
		w.smtp.Answer("RCPT", "451 later")
		o.asks("en")
		if failed := w.deliver(); len(failed) != 1 {
			t.Errorf("%v", failed)
		}
		o.redeems("the token, while no letter goes out", token, 200)
		w.smtp.Answer("RCPT", "")

		o = w.owner("c")
		link = o.link()
		token = o.operators(false)
		o.redeems("the link, after an operator made a token", link, 200)
		o.redeems("the token, after the link", token, 403)

		o = w.owner("d")
		token = o.operators(false)
		later := o.operators(false)
		o.redeems("a token that the operator replaced", token, 403)
		o.redeems("the one in its place", later, 200)
	})
}

// TestAfterForceNoLetterOpensTheAccount, whenever it was asked for, until there is another
// password: only what an operator makes or sends does.
func TestAfterForceNoLetterOpensTheAccount(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		forced := func(name string) (o owner, token string) {
			o = w.owner(name)
			link := o.link()
			w.smtp.Answer("RCPT", "451 later")
			o.asks("en")
			w.deliver()
			o.asks("en")
			token = o.operators(true)
			w.smtp.Answer("RCPT", "")
			o.asks("en")
			if n := len(o.links()); n != 1 {
				t.Errorf("%s: %d letters, one was sent before", name, n)
			}
			o.redeems("a link of before", link, 403)
			o.logsIn(password, 403)
			return o, token
		}
		again := func(o owner) {
			t.Helper()
			o.logsIn(long, 200)
			o.redeems("a letter once there is a password", o.link(), 200)
		}

		o, token := forced("a")
		o.redeems("the token", token, 200)
		again(o)

		o, token = forced("b")
		later := o.operators(false)
		o.asks("en")
		if n := len(o.links()); n != 1 {
			t.Errorf("after a later token: %d letters, one was sent before", n)
		}
		o.redeems("the first token", token, 403)
		o.redeems("the later token", later, 200)
		again(o)

		o, token = forced("c")
		must(t, w.users.SendLetter(t.Context(), o.uid, mail.Reset, "en"))
		links := o.links()
		o.asks("en") // does nothing to the operator's letter
		if n := len(o.links()); n != 2 || len(links) != 2 {
			t.Fatalf("%d letters", n)
		}
		o.redeems("the operator's letter", links[1], 200)
		o.redeems("the token, after that", token, 403)
		again(o)

		o, token = forced("d")
		must(t, w.users.ResetPassword(t.Context(), o.uid, long))
		o.redeems("the token, after users passwd", token, 403)
		again(o)

		// Once the token is too old nothing opens the account but what an operator does next.
		o, token = forced("e")
		must(t, alter(t.Context(), w.store, o.uid, func(u *users.User) { u.ResetExpiresAt = u.ResetExpiresAt.Add(-2 * time.Hour) }))
		o.redeems("the token, too old", token, 403)
		o.logsIn(password, 403)
		must(t, w.users.Disable(t.Context(), o.uid))
		must(t, w.users.Enable(t.Context(), o.uid))
		o.asks("en")
		if n := len(o.links()); n != 1 {
			t.Errorf("after the token's time: %d letters, one was sent before", n)
		}
		o.redeems("a new token", o.operators(false), 200)
		again(o)
	})
}

// overturns are what makes void what a letter gave. An account that is gone, and one that
// has another address, have no letter to the former address either.
var overturns = map[string]func(o owner){
	"another address": func(o owner) { o.moves("else") },
	"another address and back": func(o owner) {
		o.moves("else")
		o.moves("back")
	},
	"another address by its user": func(o owner) {
		held := read[tokens](o.t, o.sendJSON("POST", "/auth/login", "", map[string]string{"email": o.address, "password": password}), 200)
		other := "user-" + o.address
		o.smtp.Answer("RCPT", "")
		o.confirm(o.askedEmail(held, other))
	},
	"disabled": func(o owner) { must(o.t, o.users.Disable(o.t.Context(), o.uid)) },
	"disabled by a former version": func(o owner) {
		must(o.t, alter(o.t.Context(), o.store, o.uid, func(u *users.User) { u.Disabled = true }))
	},
	"disabled and enabled": func(o owner) {
		must(o.t, o.users.Disable(o.t.Context(), o.uid))
		must(o.t, o.users.Enable(o.t.Context(), o.uid))
	},
	"closed": func(o owner) {
		_, err := o.users.Close(o.t.Context(), o.uid)
		must(o.t, err)
	},
	"closed and enabled": func(o owner) {
		_, err := o.users.Close(o.t.Context(), o.uid)
		must(o.t, err)
		must(o.t, o.users.Enable(o.t.Context(), o.uid))
	},
	"deleted": func(o owner) { must(o.t, o.users.Delete(o.t.Context(), o.uid)) },
	"deleted and another there": func(o owner) {
		must(o.t, o.users.Delete(o.t.Context(), o.uid))
		_, err := o.users.Add(o.t.Context(), users.NewUser{Email: o.address, Password: password})
		must(o.t, err)
	},
	"another password": func(o owner) { must(o.t, o.users.ResetPassword(o.t.Context(), o.uid, long)) },
}

func (o owner) moves(to string) {
	address := to + "-" + o.address
	if to == "back" {
		address = o.address
	}
	_, err := o.users.UpdateProfile(o.t.Context(), o.uid, users.Profile{Email: &address})
	must(o.t, err)
}

// TestWhatALetterGaveIsVoid: its link for good, and one that waits is not sent, whether it
// was tried before or not.
func TestWhatALetterGaveIsVoid(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		n := 0
		for what, overturn := range overturns {
			n++
			o := w.owner(fmt.Sprint("sent", n))
			link := o.link()
			overturn(o)
			o.redeems("a link, then "+what, link, 403)

			if what == "another address by its user" {
				continue // what waits goes out with its letter
			}
			for _, tried := range []bool{true, false} {
				o = w.owner(fmt.Sprintf("waits%d%v", n, tried))
				w.smtp.Answer("RCPT", "451 later")
				o.asks("en")
				if tried {
					w.deliver()
				}
				overturn(o)
				w.smtp.Answer("RCPT", "")
				if n := len(o.links()); n != 0 {
					t.Errorf("%s (tried before: %v): the letter is sent", what, tried)
				}
			}
		}
	})
}

// TestALetterToConfirmLooksAtItsAccount at each try.
func TestALetterToConfirmLooksAtItsAccount(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		for what, letters := range map[string]int{"": 1, "disabled": 0, "closed": 0, "deleted": 0, "another address": 0, "another password": 1} {
			o := w.owner("x" + strings.ReplaceAll(what, " ", ""))
			w.smtp.Answer("RCPT", "451 later")
			must(t, w.users.SendLetter(t.Context(), o.uid, mail.Confirm, "en"))
			w.deliver()
			if what != "" {
				overturns[what](o)
			}
			w.smtp.Answer("RCPT", "")
			if n := len(o.links()); n != letters {
				t.Errorf("%s: %d letters, want %d", what, n, letters)
			}
		}
	})
}

// TestWhatVoidsATokenOfAnOperator: it goes by no mailbox, so that another address by an
// operator leaves it alone; but what was made before a disabling opens nothing after it.
func TestWhatVoidsATokenOfAnOperator(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		for what, want := range map[string]int{
			"another address": 200, "another address and back": 200, "another address by its user": 403, "disabled": 403, "disabled and enabled": 403, "closed": 403,
			"closed and enabled": 403, "deleted": 403, "another password": 403,
		} {
			o := w.owner("t" + strings.ReplaceAll(what, " ", ""))
			token := o.operators(false)
			overturns[what](o)
			o.redeems(what, token, want)
		}
		o := w.owner("off")
		must(t, w.users.Disable(t.Context(), o.uid))
		token := o.operators(false)
		o.redeems("of a disabled account", token, 403)
		must(t, w.users.Enable(t.Context(), o.uid))
		o.redeems("once it is enabled", token, 200)
	})
}

// TestATokenIsLookedAtAsItIsSpent: one that was made void while its new password was
// hashed sets none.
func TestATokenIsLookedAtAsItIsSpent(t *testing.T) {
	for what, void := range map[string]func(u *users.User){
		"a letter's":    func(u *users.User) { u.Mailed.ExpiresAt = time.Time{} },
		"an operator's": func(u *users.User) { u.ResetHash = []byte{1} },
	} {
		w := newFaultyWorld(t)
		o := w.owner("a")
		token := o.link()
		if what == "an operator's" {
			token = o.operators(false)
		}
		reads := 0
		w.faulty.Inject(func(method string) storetest.Fault {
			if method == "UserByID" {
				if reads++; reads == 2 {
					must(t, alter(t.Context(), w.faulty.Unwrap(), o.uid, void))
				}
			}
			return storetest.None
		})
		o.redeems(what, token, 403)
		w.faulty.Inject(nil)
		if reads < 2 {
			t.Errorf("%s: read %d times", what, reads)
		}
		o.logsIn(password, 200)
	}
}

// clocks sets the wall clock of the servers off, while elapsed time goes on.
func (w *world) clocks(off, steady time.Duration) {
	w.users.Now = func() time.Time { return time.Now().Add(off) }
	w.users.Confirmed = func() time.Time { return time.Now().Add(steady) }
}

// TestT1_NoTokenLivesByAClockThatWasAhead: neither an operator's nor a letter's counts
// longer than it was made for; a letter that waits is sent once the clock is right, and
// overtakes no later one.
func TestT1_NoTokenLivesByAClockThatWasAhead(t *testing.T) {
	const day = 26 * time.Hour
	onBothStores(t, func(t *testing.T, w *world) {
		o, waits, twice, moved, before := w.owner("a"), w.owner("b"), w.owner("c"), w.owner("d"), w.owner("e")
		w.smtp.Answer("RCPT", "451 later")
		before.asks("en")
		w.smtp.Answer("RCPT", "")
		w.clocks(day, 0)
		token, link := o.operators(false), o.link()
		old := moved.link()
		w.smtp.Answer("RCPT", "451 later")
		waits.asks("en")
		twice.asks("en")
		moved.asks("en")
		w.deliver()
		twice.asks("en")
		must(t, w.users.Disable(t.Context(), moved.uid))
		must(t, w.users.Enable(t.Context(), moved.uid))

		w.clocks(0, 0)
		o.redeems("an operator's token of that time", token, 403)
		o.redeems("a link of that time", link, 403)
		w.smtp.Answer("RCPT", "")
		twice.asks("de")
		last := ""
		for n := range 3 { // whatever their order
			if n > 0 {
				w.deliver()
			}
			for n, letter := range w.smtp.Taken() {
				if strings.Contains(letter, "To: <"+twice.address+">") && strings.Contains(w.smtp.Letter(t, n+1), "Minuten") {
					_, last = linkOf(t, w.smtp, n+1)
				}
			}
		}
		twice.redeems("the link asked for last", last, 200)
		if links := waits.links(); len(links) != 1 {
			t.Errorf("%d letters once the clock is right", len(links))
		} else {
			waits.redeems("the link that waited", links[0], 200)
		}
		if links := before.links(); len(links) != 1 {
			t.Errorf("%d letters of before the jump", len(links))
		} else {
			before.redeems("a link of before", links[0], 200)
		}
		moved.redeems("a link of that time, after a disabling", old, 403)
		if n := len(moved.links()); n != 1 {
			t.Errorf("%d letters, one was sent before the disabling", n)
		}
		moved.redeems("a letter once the clock is right", moved.link(), 200)
		o.redeems("a letter of the right time", o.link(), 200)
	})
}

// TestT1_ALetterThatNothingDatesIsToldOf: one of a command whose clock was ahead might
// overtake a later one.
func TestT1_ALetterThatNothingDatesIsToldOf(t *testing.T) {
	w := newWorld(t)
	o := w.owner("a")
	w.clocks(26*time.Hour, 26*time.Hour)
	must(t, w.users.SendLetter(t.Context(), o.uid, mail.Reset, "en"))
	w.clocks(0, 0)
	w.journal.take()
	if n := len(o.links()); n != 0 {
		t.Errorf("%d letters", n)
	}
	if told := w.journal.take(); len(told) != 1 || told[0].Action != audit.LetterUndelivered || !strings.Contains(told[0].Detail, "clock") {
		t.Errorf("told %+v", told)
	}
}

// TestT1_LettersGoOnWhileAClockIsBehind: also to an account that is younger than the
// clock says, and their links are good then and when the clock is right. So they are
// after a weekend without any server, when elapsed time is behind.
func TestT1_LettersGoOnWhileAClockIsBehind(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		then, later, weekend := w.owner("a"), w.owner("b"), w.owner("c")
		w.clocks(-2*time.Hour, 0)
		then.redeems("a link, while the clock is behind", then.link(), 200)
		link := later.link()
		w.clocks(0, 0)
		later.redeems("a link of then, once it is right", link, 200)
		w.clocks(0, -48*time.Hour)
		weekend.redeems("a link after a weekend", weekend.link(), 200)
	})
}
