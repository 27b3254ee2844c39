package server_test

import (
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/mongodb"
	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
	"github.com/keyturn/keyturn/users"
)

// onBothStores runs a test in a world on each store.
func onBothStores(t *testing.T, test func(t *testing.T, w *world)) {
	for name, open := range map[string]func(t *testing.T) store.Store{
		"SQLite": func(t *testing.T) store.Store { return openSQLite(t) },
		"MongoDB": func(t *testing.T) store.Store {
			st, err := mongodb.Open(t.Context(), mongotest.URI(t), mongodb.Options{AcceptRisk: true})
			must(t, err)
			t.Cleanup(func() { must(t, st.Close()) })
			return st
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := &journal{t: t}
			w := newWorldOn(t, open(t), j)
			w.journal = j
			test(t, w)
		})
	}
}

// TestF7_ADisablingThatDiedIsFinished disables an account, and then a client, as
// a process of an earlier version that dies between its two writes does: another ends the sessions, as
// soon as the disabling cannot be under way any more, and says so once.
func TestF7_ADisablingThatDiedIsFinished(t *testing.T) {
	for what, c := range map[string]struct {
		disable func(w *world)
		settle  func(w *world, now func() time.Time) (int, error)
		want    audit.Event
	}{
		"account": {func(w *world) { w.alter(func(u *users.User) { u.Disabled, u.Unsettled = true, true }) }, func(w *world, now func() time.Time) (int, error) {
			w.users.Now = now
			return w.users.Settle(w.t.Context())
		}, audit.Event{Reason: audit.ReasonUserDisabled}},
		"client": {
			func(w *world) { w.disableClient("shop") },
			func(w *world, now func() time.Time) (int, error) {
				return (&clients.Registry{Store: w.store, Audit: w.audit, Now: now}).Settle(w.t.Context())
			},
			audit.Event{Reason: audit.ReasonClientDisabled, ClientID: "shop"},
		},
	} {
		t.Run(what, func(t *testing.T) {
			onBothStores(t, func(t *testing.T, w *world) {
				w.login()
				w.journal.take()
				c.disable(w)
				later := func() time.Time { return time.Now().Add(time.Hour) }
				for n, step := range []struct {
					now                     func() time.Time
					settled, events, living int
				}{{time.Now, 0, 0, 1}, {later, 1, 1, 0}, {later, 0, 0, 0}} {
					settled, err := c.settle(w, step.now)
					must(t, err)
					live, err := w.store.FamiliesOfUser(t.Context(), w.uid, time.Now(), 10)
					must(t, err)
					events := w.journal.take()
					if settled != step.settled || len(live) != step.living || len(events) != step.events {
						t.Fatalf("step %d: %d settled, %d sessions live, events %+v; want %+v", n, settled, len(live), events, step)
					}
					for _, e := range events {
						if e.Action != audit.SessionsEnded || e.Outcome != audit.Success || e.Count != 1 || e.Reason != c.want.Reason || e.ClientID != c.want.ClientID {
							t.Errorf("event %+v", e)
						}
					}
				}
			})
		})
	}
}
