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

// TestHowLongASessionLastsIsTold with each refresh token, and at introspection, in the
// words of draft-ietf-oauth-refresh-token-expiration: idle for 48 hours at most, and
// never longer than the 720 hours of the session.
func TestHowLongASessionLastsIsTold(t *testing.T) {
	type told struct {
		tokens
		Timeout int64 `json:"refresh_token_timeout"`
		Left    int64 `json:"authorization_expires_in"`
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		check := func(got told, timeout, left time.Duration) {
			t.Helper()
			if got.Timeout != int64(timeout.Seconds()) || got.Left != int64(left.Seconds()) {
				t.Errorf("%d and %d seconds; want %v and %v", got.Timeout, got.Left, timeout, left)
			}
		}
		post := func(path string, v values) told { return read[told](t, w.post(path, v), http.StatusOK) }
		now := post("/oauth/token", values{"grant_type": {"password"}, "username": {email}, "password": {password}})
		check(now, 48*time.Hour, 720*time.Hour)
		for range 15 {
			elapse(47 * time.Hour)
			must(t, w.keeper.Poll(t.Context()))
			now = post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {now.Refresh}})
		}
		check(now, 15*time.Hour, 15*time.Hour)
		elapse(time.Hour)
		check(post("/oauth/introspect", values{"token": {now.Refresh}}), 14*time.Hour, 14*time.Hour)
		machine := post("/oauth/token", values{"grant_type": {"client_credentials"}})
		check(machine, 0, 0)
	})
}
