package server_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/store/mongodb"
	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
	"github.com/keyturn/keyturn/internal/store/storetest"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// faultyWorld is a world whose store can be made to fail.
type faultyWorld struct {
	*world
	faulty *storetest.Faulty
	// hurried has a short deadline, for a store that hangs in real time; nil
	// where the time is the bubble's.
	hurried http.Handler
}

func newFaultyWorld(t testing.TB) faultyWorld {
	return faultyWorldOn(t, storetest.NewFaulty(openSQLite(t)))
}

func faultyWorldOn(t testing.TB, st *storetest.Faulty) faultyWorld {
	j := &journal{t: t}
	w := newWorldOn(t, st, j)
	w.journal = j
	return faultyWorld{world: w, faulty: st}
}

// askedBy returns the methods that a request asks of the store, in order.
func (w faultyWorld) askedBy(d decided) []string {
	held := w.login()
	w.faulty.Inject(nil)
	d.send(w.world, held)
	return w.faulty.Asked()
}

// fail has the n-th call go wrong. A store that hangs, or was cut off, stays so.
func (w faultyWorld) fail(n int, fault storetest.Fault) {
	calls := -1
	w.faulty.Inject(func(string) storetest.Fault {
		calls++
		switch {
		case calls == n:
			return fault
		case calls > n && !fault.Answers():
			return storetest.Hangs
		}
		return storetest.None
	})
}

// check sends a request while the store goes wrong, and again once it has
// healed: the first is answered with 503 and recorded, and whoever holds a
// session goes on.
func (w faultyWorld) check(t *testing.T, d decided, n int, method string, fault storetest.Fault) {
	t.Helper()
	name := fmt.Sprintf("%s: %s, call %d, %s", d.name, method, n, fault)
	held := w.login()
	w.journal.take()
	patient := w.handler
	if w.hurried != nil && !fault.Answers() {
		w.handler = w.hurried
	}
	w.fail(n, fault)
	began := time.Now()
	rec := d.send(w.world, held)
	took := time.Since(began)
	w.faulty.Inject(nil)
	w.handler = patient
	events := w.journal.take()

	switch rec.Code {
	case http.StatusServiceUnavailable:
		unfinished := strings.Contains(rec.Body.String(), "#still-being-carried-out")
		if unfinished == (rec.Header().Get("Retry-After") != "") || unfinished && fault.Answers() {
			t.Errorf("%s: 503 with Retry-After %q: %s", name, rec.Header().Get("Retry-After"), rec.Body)
		}
	case d.status:
		// Where only an answer of the store was lost, it is asked what it did.
		// A step that must be done once the event is written, or the change made,
		// is tried again.
		insisted := method == "ReplaceUser" || method == "HoldFamily" || method == "HoldDenied" || method == "RevokeFamiliesOfUser"
		if !insisted && fault != storetest.Persists {
			t.Errorf("%s: answered with %d", name, rec.Code)
		}
	default:
		t.Errorf("%s: answered with %d: %s", name, rec.Code, rec.Body)
	}
	if strings.Contains(rec.Body.String(), "fault") || strings.Contains(rec.Body.String(), "context") {
		t.Errorf("%s: the answer tells of the inside: %s", name, rec.Body)
	}
	// What was left on its way is carried on, and told once more under its id.
	events = append(events, w.settled()...)
	if n := decisionsOf(events); n != 1 || rec.Code == d.status && events[0].Outcome != audit.Success {
		t.Errorf("%s: %d decisions, events %+v", name, n, events)
	}
	if w.hurried == nil && took > w.timeout+3*time.Second {
		t.Errorf("%s: answered after %v", name, took)
	}
	w.goesOn(t, name, d, held, fault.Persistent() || rec.Code == d.status)
}

// decisionsOf counts the decisions that events tell of.
func decisionsOf(events []audit.Event) int {
	ids, n := map[string]bool{}, 0
	for _, e := range events {
		if e.ID == "" || !ids[e.ID] {
			n++
		}
		ids[e.ID] = true
	}
	return n
}

// settled carries on what is under way, as if its time were over, and returns the
// events of that.
func (w faultyWorld) settled() []audit.Event {
	w.t.Helper()
	later := func() time.Time { return time.Now().Add(time.Hour) }
	_, err := oauth.SessionEnder{Store: w.store, Audit: w.audit, Now: later}.SettleDecisions(w.t.Context())
	must(w.t, err)
	now := w.users.Now
	w.users.Now = later
	_, err = w.users.SettleDecisions(w.t.Context())
	must(w.t, err)
	w.users.Now = now
	return w.journal.take()
}

// asBefore undoes what a decision did to accounts, for the next in this world.
func (w faultyWorld) asBefore(d decided) {
	w.t.Helper()
	if d.name != "password change" && d.name != "sign-up" {
		return
	}
	must(w.t, w.users.ResetPassword(w.t.Context(), w.uid, password))
	eve, err := w.store.UserByEmailKey(w.t.Context(), "eve@example.com")
	if err == nil {
		err = w.users.Delete(w.t.Context(), eve.UID)
	}
	if !errors.Is(err, users.ErrNotFound) {
		must(w.t, err)
	}
	w.journal.take()
}

// goesOn checks that the token held before the fault is as good as ever.
func (w faultyWorld) goesOn(t *testing.T, name string, d decided, held tokens, done bool) {
	t.Helper()
	if d.name == "logout" && done {
		return // the session was ended, as was asked
	}
	next := held
	for range 2 {
		rec := w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {next.Refresh}})
		if rec.Code != http.StatusOK {
			t.Errorf("%s: the session is lost: %d %s", name, rec.Code, rec.Body)
			return
		}
		next = read[tokens](t, rec, http.StatusOK)
	}
	if again := d.send(w.world, held); again.Code != d.status && !spent(d, again) {
		t.Errorf("%s: once more, with the store healed: %d %s", name, again.Code, again.Body)
	}
	w.journal.take()
}

// spent reports whether a repetition is refused because the first was done, or
// because goesOn has moved the session on.
func spent(d decided, again *httptest.ResponseRecorder) bool {
	switch d.name {
	case "refresh":
		return again.Code == http.StatusBadRequest
	case "sign-up":
		return again.Code == http.StatusConflict
	case "password change":
		return again.Code == http.StatusForbidden
	}
	return false
}

// injected are the decisions that are put through every fault.
func injected(t *testing.T) []decided {
	t.Helper()
	names := []string{
		"password", "client credentials", "refresh", "introspection", "revocation", "userinfo",
		"login", "sign-up", "me", "sessions", "end others", "logout", "password change",
	}
	var chosen []decided
	for _, d := range decisions() {
		if slices.Contains(names, d.name) {
			chosen = append(chosen, d)
		}
	}
	if len(chosen) != len(names) {
		t.Fatalf("%d of %d decisions found", len(chosen), len(names))
	}
	return chosen
}

// TestF5_AStoreThatFailsHalvesNothing makes each call that a request makes of
// the store go wrong in each way. The clock is the bubble's, so that a store
// that hangs takes no time.
func TestF5_AStoreThatFailsHalvesNothing(t *testing.T) {
	for _, d := range injected(t) {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			var asked []string
			synctest.Test(t, func(t *testing.T) { asked = newFaultyWorld(t).askedBy(d) })
			if len(asked) == 0 {
				t.Fatal("the store was asked nothing")
			}
			for n, method := range asked {
				for _, fault := range storetest.Faults {
					synctest.Test(t, func(t *testing.T) { newFaultyWorld(t).check(t, d, n, method, fault) })
				}
			}
		})
	}
}

// TestF5_AStoreThatFailsHalvesNothingMongoDB does so over MongoDB, with a short
// deadline in real time.
func TestF5_AStoreThatFailsHalvesNothingMongoDB(t *testing.T) {
	for _, d := range injected(t) {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			st, err := mongodb.Open(t.Context(), mongotest.URI(t), mongodb.Options{AcceptRisk: true})
			must(t, err)
			t.Cleanup(func() { must(t, st.Close()) })
			w := faultyWorldOn(t, storetest.NewFaulty(st))
			w.timeout = 250 * time.Millisecond
			w.hurried = w.build()
			// Each process announces its kind of hash once: before it is asked
			// what it asks.
			must(t, w.users.ResetPassword(t.Context(), w.uid, password))
			w.timeout = 10 * time.Second
			w.handler = w.build()
			must(t, w.users.ResetPassword(t.Context(), w.uid, password))
			w.journal.take()
			asked := w.askedBy(d)
			w.asBefore(d)
			for n, method := range asked {
				for _, fault := range storetest.Faults {
					w.check(t, d, n, method, fault)
					w.asBefore(d)
				}
			}
		})
	}
}
