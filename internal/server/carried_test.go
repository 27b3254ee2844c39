package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/mongodb"
	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
	"github.com/keyturn/keyturn/users"
)

// hangingLog is a journal that does not answer the first event of a change of the action
// before others have done something, and then fails, or writes it. If it lands it is
// written although the log fails.
type hangingLog struct {
	*journal
	action    audit.Action
	meanwhile func(e audit.Event)
	fails     error
	lands     bool
}

func (l *hangingLog) Record(ctx context.Context, e audit.Event) error {
	if meanwhile := l.meanwhile; meanwhile != nil && !l.quiet && e.ID != "" && e.UserID+e.ClientID != "" && e.Action == l.action {
		l.meanwhile = nil
		meanwhile(e)
		if l.lands {
			must(l.t, l.journal.Record(ctx, e))
		}
		if l.fails != nil {
			return l.fails
		}
	}
	return l.journal.Record(ctx, e)
}

// hungWorld is a world whose log hangs at the first event of the action.
func hungWorld(t *testing.T, st store.Store, action audit.Action) (*world, *hangingLog) {
	log := &hangingLog{journal: &journal{t: t}}
	w := newWorldOn(t, st, log)
	w.journal, log.action = log.journal, action
	return w, log
}

// lastWords are the outcomes that count, by the ids of the decisions.
func lastWords(events []audit.Event) map[string]audit.Event {
	last := map[string]audit.Event{}
	for _, e := range events {
		if e.ID != "" {
			last[e.ID] = e
		}
	}
	return last
}

// TestA3_WhatAnotherCarriedOnIsNotToldAsFailed has the log of a server hang at the event
// of each decision that a request can make. Another server carries the decision on, and
// somebody changes, or deletes, the account. Then the log answers: the decision stands,
// whatever it answers, and the last word about it says so.
func TestA3_WhatAnotherCarriedOnIsNotToldAsFailed(t *testing.T) {
	rows := slices.DeleteFunc(slices.Concat(decisions(), refusals()), func(d decided) bool {
		return d.status >= 400 || !standsWithItsEvent(d.action) || d.action == audit.TokenRefreshed
	})
	for name, open := range map[string]func(t *testing.T) (store.Store, []decided){
		"SQLite": func(t *testing.T) (store.Store, []decided) { return openSQLite(t), rows },
		"MongoDB": func(t *testing.T) (store.Store, []decided) {
			st, err := mongodb.Open(t.Context(), mongotest.URI(t), mongodb.Options{AcceptRisk: true})
			must(t, err)
			t.Cleanup(func() { must(t, st.Close()) })
			return st, slices.DeleteFunc(slices.Clone(rows), func(d decided) bool {
				return !slices.Contains([]string{"password", "sign-up", "password change", "own names"}, d.name)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := map[audit.Action]bool{}
			for _, d := range rows {
				all := []string{"changed", "changed, and the log refuses", "deleted"}
				if seen[d.action] {
					all = all[:1]
				}
				seen[d.action] = true
				for _, then := range all {
					t.Run(d.name+", "+then, func(t *testing.T) {
						st, served := open(t)
						if !slices.ContainsFunc(served, func(s decided) bool { return s.name == d.name }) {
							return
						}
						carriedOnMeanwhile(t, st, d, then)
					})
				}
			}
		})
	}
}

func standsWithItsEvent(a audit.Action) bool {
	return slices.ContainsFunc(audit.Vocabulary(), func(term audit.Term) bool {
		return term.Action == a && term.Stands == audit.WithEvent
	})
}

func carriedOnMeanwhile(t *testing.T, st store.Store, d decided, then string) {
	w, log := hungWorld(t, st, d.action)
	held := w.login()
	w.journal.take()
	var id string
	if then == "changed, and the log refuses" {
		log.fails = errors.New("no space left on device")
	}
	log.meanwhile = func(e audit.Event) {
		id = e.ID
		must(t, w.settleOnce(t.Context(), time.Hour))
		name := "Another"
		switch {
		case e.Action == audit.UserDeleted: // that was the end of it
		case then == "deleted":
			must(t, w.users.Delete(t.Context(), e.UserID))
		default:
			_, err := w.users.UpdateProfile(t.Context(), e.UserID, users.Profile{FirstName: &name})
			must(t, err)
		}
	}
	rec := d.send(w, held)
	if id == "" {
		return // it changes no record
	}
	events := w.journal.take()
	outcome, status := audit.Success, d.status
	if d.action == audit.TokenIssued || d.action == audit.UserLoggedIn {
		outcome, status = audit.Failure, 503 // nobody has the tokens of a log-in that was left
	}
	if then != "deleted" && (rec.Code != status || granted(rec) != (status == d.status)) {
		t.Errorf("status %d, want %d: %s", rec.Code, status, rec.Body)
	}
	// The line of the log that hung bears the time at which it was asked for.
	slices.SortStableFunc(events, func(a, b audit.Event) int {
		switch {
		case a.Retold == b.Retold:
			return 0
		case b.Retold:
			return -1
		}
		return 1
	})
	if e := lastWords(events)[id]; e.Outcome != outcome || e.Action != d.action {
		t.Errorf("told as %+v", events)
	}
	if outcome == audit.Failure {
		return
	}
	for _, e := range events {
		if e.Outcome != audit.Success {
			t.Errorf("a failure is told: %+v", e)
		}
	}
}

// TestA3_WhatIsAnswered503NeverStands has the log of a server fail at the event of each
// decision that a request can make, without knowing whether it wrote it. The request is
// answered 503, nothing of it stands, then or later, the last word about it says so, and
// the same request is served when the log is well.
func TestA3_WhatIsAnswered503NeverStands(t *testing.T) {
	for _, d := range slices.Concat(decisions(), refusals()) {
		if d.status >= 400 || !standsWithItsEvent(d.action) || d.action == audit.TokenRefreshed {
			continue
		}
		for _, lands := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, lands: %t", d.name, lands), func(t *testing.T) {
				t.Parallel()
				w, log := hungWorld(t, openSQLite(t), d.action)
				held := w.login()
				w.journal.take()
				var id string
				log.meanwhile = func(e audit.Event) { id = e.ID }
				log.lands, log.fails = lands, audit.ErrInDoubt
				rec := d.send(w, held)
				if id == "" {
					return // it changes no record
				}
				if rec.Code != 503 || granted(rec) || rec.Header().Get("Retry-After") == "" {
					t.Errorf("status %d, want 503: %s", rec.Code, rec.Body)
				}
				must(t, w.settleOnce(t.Context(), 0))
				events := w.journal.take()
				if e := lastWords(events)[id]; e.Outcome != audit.Failure || e.Action != d.action || len(events) > 2 {
					t.Errorf("told as %+v", events)
				}
				if strings.HasSuffix(d.name, " at the page") {
					return // it logs in as well, for which there is a second factor now
				}
				if rec := d.send(w, held); rec.Code != d.status {
					t.Errorf("again: status %d, want %d: %s", rec.Code, d.status, rec.Body)
				}
				for _, e := range w.journal.take() {
					if e.Outcome != audit.Success || e.ID == id {
						t.Errorf("told later: %+v", e)
					}
				}
			})
		}
	}
}

// TestA3_ADeletionThatIsOvertakenIsToldAsFailed has the log hang at the deletion of an
// account, which somebody disables meanwhile.
func TestA3_ADeletionThatIsOvertakenIsToldAsFailed(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		log := &hangingLog{journal: w.journal, action: audit.UserDeleted}
		w.audit = log
		w.handler = w.build()
		held := w.login()
		var id string
		log.meanwhile = func(e audit.Event) {
			id = e.ID
			must(t, w.users.Disable(t.Context(), w.uid))
		}
		if rec := w.sendJSON("DELETE", "/auth/me", held.Access, nil); rec.Code != 409 {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
		if u, err := w.store.UserByID(t.Context(), w.uid); err != nil || !u.Disabled {
			t.Errorf("the account: %+v, %v", u, err)
		}
		if e := lastWords(w.journal.take())[id]; e.Outcome != audit.Failure {
			t.Errorf("told as %+v", e)
		}
	})
}

// TestA3_AClientThatAnotherCarriedOnIsNotToldAsFailed is the same of registrations and
// changes of clients, again and again on one client.
func TestA3_AClientThatAnotherCarriedOnIsNotToldAsFailed(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		log := &hangingLog{journal: w.journal}
		registry := &clients.Registry{Store: w.store, Audit: log, AccessTTL: time.Hour, Now: time.Now}
		w.audit = log
		widen := func(scope string) error {
			_, err := registry.Update(t.Context(), "new", func(c *clients.Client) { c.Scope = []string{scope} })
			return err
		}
		for n, c := range []struct {
			action audit.Action
			do     func() error
		}{
			{audit.ClientAdded, func() error {
				_, _, err := registry.Add(t.Context(), clients.Client{ID: "new", Grants: []string{"password"}})
				return err
			}},
			{audit.ClientChanged, func() error { return widen("first") }},
			{audit.ClientSecretTurned, func() error { _, err := registry.RotateSecret(t.Context(), "new"); return err }},
		} {
			w.journal.take()
			log.action = c.action
			log.meanwhile = func(audit.Event) {
				must(t, w.settleOnce(t.Context(), time.Hour))
				for range n + 1 {
					must(t, widen("second"))
				}
			}
			if err := c.do(); err != nil {
				t.Errorf("%s: %v", c.action, err)
			}
			for _, e := range w.journal.take() {
				if e.Outcome != audit.Success {
					t.Errorf("a failure is told: %+v", e)
				}
			}
		}
	})
}

// TestF9_WhatIsBeingMadeIsNotSaidToBeMissing has the log hang at the birth of a client and
// of an account. Who disables or deletes them then is told to try again.
func TestF9_WhatIsBeingMadeIsNotSaidToBeMissing(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		log := &hangingLog{journal: w.journal}
		registry := &clients.Registry{Store: w.store, Audit: log, AccessTTL: time.Hour, Now: time.Now}
		w.audit = log
		w.handler = w.build()
		log.action, log.meanwhile = audit.ClientAdded, func(audit.Event) {
			if _, err := registry.Disable(t.Context(), "new"); !errors.Is(err, decision.ErrUnderWay) {
				t.Errorf("the client: %v", err)
			}
			if _, err := registry.Disable(t.Context(), "another"); !errors.Is(err, clients.ErrNotFound) {
				t.Errorf("a client that nobody makes: %v", err)
			}
		}
		_, _, err := registry.Add(t.Context(), clients.Client{ID: "new", Grants: []string{"password"}})
		must(t, err)
		log.action, log.meanwhile = audit.UserSignedUp, func(e audit.Event) {
			if err := w.users.Delete(t.Context(), e.UserID); !errors.Is(err, decision.ErrUnderWay) {
				t.Errorf("the account: %v", err)
			}
		}
		read[any](t, w.sendJSON("POST", "/auth/signup", "", map[string]string{"email": "new@example.com", "password": long}), 201)
	})
}

// TestF9_WhatIsAboutToBeGivenIsNotLeftBehind has the log hang at the enrolment of a second
// factor. Who has one removed, or all, is told to try again, and not that there is none.
func TestF9_WhatIsAboutToBeGivenIsNotLeftBehind(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		log := &hangingLog{journal: w.journal, action: audit.FactorEnrolled}
		w.audit = log
		w.handler = w.build()
		held := w.login()
		for _, has := range []int{0, 1} {
			var another *httptest.ResponseRecorder
			a := w.setUp(held.Access)
			log.meanwhile = func(audit.Event) {
				another = w.sendJSON("DELETE", "/auth/factors/"+a.id, held.Access, nil)
				if n, err := w.users.RemoveFactors(t.Context(), w.uid); n != 0 || !errors.Is(err, decision.ErrUnderWay) {
					t.Errorf("with %d before: %d removed, %v", has, n, err)
				}
			}
			read[any](t, w.sendJSON("POST", "/auth/factors", held.Access, a.adding()), 201)
			if another.Code != 409 {
				t.Errorf("the removal: %d %s", another.Code, another.Body)
			}
		}
		if n, err := w.users.RemoveFactors(t.Context(), w.uid); n != 2 || err != nil {
			t.Errorf("%d removed, %v", n, err)
		}
		if n, err := w.users.RemoveFactors(t.Context(), w.uid); n != 0 || err != nil {
			t.Errorf("again: %d removed, %v", n, err)
		}
	})
}
