package server_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestSessionsExpireOverHTTP lets a session lie idle, and another be used until
// its whole life is over, by the bubble's clock.
func TestSessionsExpireOverHTTP(t *testing.T) {
	refused := func(t *testing.T, w *world, token, when string) {
		t.Helper()
		w.journal.take()
		if code, _ := refreshWith(w, token); code != http.StatusBadRequest {
			t.Errorf("%s: status %d; want 400", when, code)
		}
		if events := w.journal.take(); len(events) != 1 || events[0].Reason.String() != "expired_session" {
			t.Errorf("%s: events %+v", when, events)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		// wait lets time pass, over which the keys are read as ever.
		wait := func(d time.Duration) {
			elapse(d)
			must(t, w.keeper.Poll(t.Context()))
		}
		idle, used := w.login(), w.login()
		began := time.Now()
		for turn := range 15 {
			wait(47 * time.Hour)
			code, next := refreshWith(w, used.Refresh)
			if code != http.StatusOK {
				t.Fatalf("after %v: status %d; want 200", time.Since(began), code)
			}
			used = next
			if turn == 1 {
				refused(t, w, idle.Refresh, "idle for more than 48 hours")
			}
		}
		wait(720*time.Hour - time.Since(began))
		refused(t, w, used.Refresh, "720 hours old")
	})
}
