package server_test

import (
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/store/storetest"
	"github.com/keyturn/keyturn/users"
)

// TestF9_BothEndsAreToldOnceThoughTheServerDies: at whatever step it dies, both addresses
// are told if the event says so, once, and neither is if it does not.
func TestF9_BothEndsAreToldOnceThoughTheServerDies(t *testing.T) {
	standing := map[bool]int{}
	for n := 0; ; n++ {
		w := newFaultyWorld(t)
		w.mailed()
		held := w.login()
		w.journal.take()
		calls := 0
		w.faulty.Inject(func(string) storetest.Fault {
			if calls++; calls == n+1 {
				runtime.Goexit()
			}
			return storetest.None
		})
		done := make(chan struct{})
		go func() {
			defer close(done)
			asksForEmail(augusta)(w.world, held)
		}()
		<-done
		w.faulty.Inject(nil)
		if calls <= n {
			break // it was done before
		}
		events := w.journal.take()
		for range 3 {
			w.deliver() // by another server
			events = append(events, w.settled()...)
		}
		stands := false
		for _, e := range events {
			stands = stands || e.Action == audit.LetterAsked && e.Outcome == audit.Success
		}
		want := 0
		if stands {
			want = 1
		}
		standing[stands]++
		if to, from := w.lettersTo(augusta), w.lettersTo(email); to != want || from != want {
			t.Errorf("dead at step %d: %d letters to the address, %d to the former; told %+v", n, to, from, events)
		}
		if list, err := w.store.Messages(t.Context(), "", 10); err != nil || len(list) != 0 {
			t.Errorf("dead at step %d: %d letters wait, %v", n, len(list), err)
		}
	}
	if standing[true] < 3 || standing[false] < 3 {
		t.Errorf("it died before it stood %d times, and %d times after", standing[false], standing[true])
	}
}

// TestF9_WhoHangsUpIsToldOfAtBothEnds: the letters are written and the event is told, or
// neither.
func TestF9_WhoHangsUpIsToldOfAtBothEnds(t *testing.T) {
	for _, method := range []string{"Counts", "UserByID", "ReplaceUser", "AddMessage", "ReplaceMessage"} {
		w := newWorld(t)
		w.mailed()
		held := w.login()
		w.journal.take()
		hangingUp(method, asksForEmail(augusta))(w, held)
		list, err := w.store.Messages(t.Context(), "", 10)
		must(t, err)
		if told := w.journal.take(); len(told) != 1 || (told[0].Outcome == audit.Success) != (len(list) == 2) || len(list) == 1 {
			t.Errorf("%s: %d letters wait, told %+v", method, len(list), told)
		}
	}
}

// TestTwoWantOneAddress: of accounts that confirm the same address at once one has it, and
// the log says which.
func TestTwoWantOneAddress(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		w.mailed()
		w.users.Letters = nil // they are more than a handful
		var links []string
		owner := map[string]bool{}
		for _, name := range []string{"a", "b", "c", "d"} {
			u, err := w.users.Add(t.Context(), users.NewUser{Email: name + "@example.com", Password: long})
			must(t, err)
			owner[u.UID] = true
			held := read[tokens](t, w.sendJSON("POST", "/auth/login", "", map[string]string{"email": u.Email, "password": long}), 200)
			links = append(links, w.askedEmail(held, augusta))
		}
		w.journal.take()
		codes := make([]int, len(links))
		var all sync.WaitGroup
		for i, token := range links {
			all.Go(func() {
				r := httptest.NewRequest("POST", "/auth/confirm", strings.NewReader(`{"token":"`+token+`"}`))
				r.Header.Set("Content-Type", "application/json")
				rec := httptest.NewRecorder()
				w.handler.ServeHTTP(rec, r)
				codes[i] = rec.Code
			})
		}
		all.Wait()
		if slices.Sort(codes); !slices.Equal(codes, []int{200, 409, 409, 409}) {
			t.Errorf("answers %v", codes)
		}
		last := map[string]audit.Event{}
		for _, e := range w.journal.take() {
			last[e.UserID] = e
		}
		has, err := users.ByEmail(t.Context(), w.store, augusta)
		must(t, err)
		for uid, e := range last {
			if (e.Outcome == audit.Success) != (uid == has.UID) || uid != has.UID && e.Reason != audit.ReasonEmailTaken {
				t.Errorf("%s has it, and the log says of %s: %+v", has.UID, uid, e)
			}
			delete(owner, uid)
		}
		if len(owner) != 0 {
			t.Errorf("nothing is told of %v", owner)
		}
	})
}

// TestTwoAsksAtOnce: each is answered, and of the links that are sent the last one counts.
func TestTwoAsksAtOnce(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		w.mailed()
		w.users.Letters = nil
		held := w.login()
		addresses := []string{"a@example.com", "b@example.com", "c@example.com", "d@example.com"}
		codes := make([]int, len(addresses))
		var all sync.WaitGroup
		for i, address := range addresses {
			all.Go(func() {
				r := httptest.NewRequest("POST", "/auth/email", strings.NewReader(`{"email":"`+address+`"}`))
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Authorization", "Bearer "+held.Access)
				rec := httptest.NewRecorder()
				w.handler.ServeHTTP(rec, r)
				codes[i] = rec.Code
			})
		}
		all.Wait()
		w.deliver()
		yes, told := 0, w.lettersTo(email)
		for i, code := range codes {
			switch code {
			case 202:
				told--
			case 409: // it is being changed by another
			default:
				t.Errorf("%s: %d", addresses[i], code)
			}
			if w.lettersTo(addresses[i]) == 0 {
				continue // overtaken before it was sent
			}
			if _, token := w.linkTo(addresses[i]); w.confirm(token).Code == 200 {
				yes++
			}
		}
		if yes != 1 || told != 0 {
			t.Errorf("%d links count; answers %v, %d more notices than asks", yes, codes, told)
		}
	})
}

// TestU4_AHandfulOfOtherAddresses: an account asks for no more, whatever addresses; and one
// address is sent no more, whoever asks, with the same answer.
func TestU4_AHandfulOfOtherAddresses(t *testing.T) {
	w := newWorld(t)
	w.mailed()
	held := w.login()
	for range 3 {
		w.sendJSON("POST", "/auth/forgot", "", map[string]string{"email": augusta})
	}
	w.deliver()
	first := asksForEmail(augusta)(w, held)
	if first.Code != 202 || len(w.deliver()) != 0 || len(w.smtp.Taken()) != 0 {
		t.Errorf("%d, %d letters", first.Code, len(w.smtp.Taken()))
	}
	for range 2 {
		if rec := asksForEmail(strings.ToLower(time.Now().Format("x.000000000"))+"@example.com")(w, held); rec.Code != 202 || rec.Body.String() != first.Body.String() {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	}
	for range 50 {
		if rec := asksForEmail("another@example.com")(w, held); rec.Code != 429 {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
	}
	if w.deliver(); w.lettersTo(email) != 2 {
		t.Errorf("%d notices", w.lettersTo(email))
	}
}

// TestWithoutMailNobodyChangesTheAddress: then there are no such routes, and nothing leads
// there.
func TestWithoutMailNobodyChangesTheAddress(t *testing.T) {
	w := newWorld(t)
	b := w.loggedIn()
	if rec := asksForEmail(augusta)(w, w.login()); rec.Code != 404 {
		t.Errorf("%d", rec.Code)
	}
	if rec := b.get("/account/email"); rec.Code != 404 {
		t.Errorf("%d", rec.Code)
	}
	for _, page := range []string{"/account", "/account/profile"} {
		if strings.Contains(b.get(page).Body.String(), "account/email") {
			t.Errorf("%s leads to it", page)
		}
	}
}

// TestWithoutMailATokenOfAnOperatorHasItsPage, and no letter leads there.
func TestWithoutMailATokenOfAnOperatorHasItsPage(t *testing.T) {
	w := newWorld(t)
	token, _, err := w.users.IssueReset(t.Context(), w.uid, time.Hour, false)
	must(t, err)
	b := w.browser()
	action, form := formOn(t, b.get("/account/reset?token="+token))
	form.Set("new_password", long)
	if rec := b.post(action, form); rec.Code != 200 {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if rec := b.logIn(b.get("/account"), email, long); rec.Code != 303 {
		t.Errorf("the new password: %d", rec.Code)
	}
}
