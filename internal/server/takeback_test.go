package server_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/store/storetest"
)

func refreshWith(w *world, token string) (int, tokens) {
	w.t.Helper()
	rec := w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
	if rec.Code != http.StatusOK {
		return rec.Code, tokens{}
	}
	return rec.Code, read[tokens](w.t, rec, http.StatusOK)
}

// TestA3_AnOutageLogsNobodyOut lets the audit log, and then the signing keys, be
// away for far longer than the retry window under a client that tries to refresh
// again and again.
func TestA3_AnOutageLogsNobodyOut(t *testing.T) {
	for name, away := range map[string]func(w *world) (back func()){
		"audit log": func(w *world) func() {
			w.journal.breakDown(true)
			return func() {
				w.journal.breakDown(false)
				must(w.t, w.keeper.Poll(w.t.Context()))
			}
		},
		"signing keys": func(w *world) func() {
			elapse(2 * time.Hour) // in which this replica reads none
			return func() { must(w.t, w.keeper.Poll(w.t.Context())) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				held := w.login()
				before, err := w.store.FamiliesOfUser(t.Context(), w.uid, time.Now(), 1)
				must(t, err)
				back := away(w)
				for range 30 {
					if code, _ := refreshWith(w, held.Refresh); code != http.StatusServiceUnavailable {
						t.Fatalf("status %d; want 503", code)
					}
					elapse(20 * time.Second)
				}
				after, err := w.store.FamiliesOfUser(t.Context(), w.uid, time.Now(), 1)
				must(t, err)
				if len(after) != 1 || after[0].Generation != before[0].Generation || !after[0].RotatedAt.Equal(before[0].RotatedAt) || after[0].PurgeAt != before[0].PurgeAt {
					t.Errorf("the family stands at %+v; it stood at %+v", after, before)
				}
				back()
				code, next := refreshWith(w, held.Refresh)
				if code != http.StatusOK {
					t.Fatalf("the session is lost: status %d", code)
				}
				if code, _ = refreshWith(w, next.Refresh); code != http.StatusOK {
					t.Errorf("the successor is refused: status %d", code)
				}
			})
		})
	}
}

// TestA3_WhoGotTheSuccessorKeepsIt takes a refresh back that another holder of
// the same token, a second tab, has been answered to meanwhile.
func TestA3_WhoGotTheSuccessorKeepsIt(t *testing.T) {
	w := newWorld(t)
	held := w.login()
	var tab tokens
	w.journal.meanwhile = func() {
		w.journal.meanwhile = nil
		_, tab = refreshWith(w, held.Refresh)
		w.journal.breakDown(true)
	}
	if code, _ := refreshWith(w, held.Refresh); code != http.StatusServiceUnavailable {
		t.Fatalf("status %d; want 503", code)
	}
	w.journal.breakDown(false)
	if tab.Refresh == "" {
		t.Fatal("the second tab got nothing")
	}
	if code, _ := refreshWith(w, tab.Refresh); code != http.StatusOK {
		t.Errorf("the second tab has lost its session: status %d", code)
	}
}

// TestF3_TakingBackRevivesNoOldToken does so again and again: the family stays near
// the token that the second tab has, and what is older than that is reuse.
func TestF3_TakingBackRevivesNoOldToken(t *testing.T) {
	w := newWorld(t)
	first := w.login()
	held := first
	for range 3 {
		var tab tokens
		w.journal.meanwhile = func() {
			w.journal.meanwhile = nil
			_, tab = refreshWith(w, held.Refresh)
			w.journal.breakDown(true)
		}
		if code, _ := refreshWith(w, held.Refresh); code != http.StatusServiceUnavailable {
			t.Fatalf("status %d; want 503", code)
		}
		w.journal.breakDown(false)
		held = tab
	}
	if code, _ := refreshWith(w, first.Refresh); code != http.StatusBadRequest {
		t.Errorf("the token of three refreshes ago: status %d; want 400", code)
	}
}

// TestF3_AReuseThatCannotBeEndedIsReported lets the store fail just when a spent
// token has come back. Nobody gets tokens, whoever watches the log hears of it,
// and the next presentation ends the session.
func TestF3_AReuseThatCannotBeEndedIsReported(t *testing.T) {
	// Where only the store's answer was lost, it is asked what it did.
	for fault, status := range map[storetest.Fault]int{storetest.Fails: http.StatusServiceUnavailable, storetest.Persists: http.StatusBadRequest} {
		w := newFaultyWorld(t)
		held := w.login()
		_, next := refreshWith(w.world, held.Refresh)
		_, last := refreshWith(w.world, next.Refresh)
		w.journal.take()
		w.faulty.Inject(func(method string) storetest.Fault {
			if method == "HoldFamily" {
				return fault
			}
			return storetest.None
		})
		if code, _ := refreshWith(w.world, held.Refresh); code != status {
			t.Errorf("%s: status %d; want %d", fault, code, status)
		}
		events := w.journal.take()
		if len(events) != 1 || events[0].Action != audit.TokenReuse || events[0].Outcome == audit.Success ||
			events[0].Presented != 0 || events[0].Generation != 2 || events[0].Previous.At.IsZero() {
			t.Errorf("%s: events %+v", fault, events)
		}
		w.faulty.Inject(nil)
		if code, _ := refreshWith(w.world, held.Refresh); code != http.StatusBadRequest {
			t.Errorf("%s: the second presentation: status %d", fault, code)
		}
		if code, _ := refreshWith(w.world, last.Refresh); code != http.StatusBadRequest {
			t.Errorf("%s: the session lives on: status %d", fault, code)
		}
	}
}

// TestF2_ARetryIsToldFromARefresh looks at the events of one token that comes
// twice.
func TestF2_ARetryIsToldFromARefresh(t *testing.T) {
	w := newWorld(t)
	held := w.login()
	w.journal.take()
	refreshWith(w, held.Refresh)
	refreshWith(w, held.Refresh)
	events := w.journal.take()
	if len(events) != 2 || events[0].Reason != (audit.Reason{}) || events[1].Reason != audit.ReasonRetry {
		t.Errorf("events %+v; want a refresh and a retry", events)
	}
	for _, e := range events {
		if e.Action != audit.TokenRefreshed || e.Presented != 0 || e.Generation != 1 {
			t.Errorf("event %+v", e)
		}
	}
}
