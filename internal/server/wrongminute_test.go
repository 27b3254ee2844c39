package server_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// TestT1_WhatAWrongMinuteIssuesDoesNotLiveForTheJump: the clock is 45 days ahead while
// tokens, sessions, a code and a browser's log-in are made, and right again.
func TestT1_WhatAWrongMinuteIssuesDoesNotLiveForTheJump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.wallOff = 45 * 24 * time.Hour
		held, browser := w.login(), w.loggedIn()
		code := browser.code(nil)
		machine := read[tokens](t, w.post("/oauth/token", values{"grant_type": {"client_credentials"}}), http.StatusOK)
		active := func(token string) bool {
			return read[struct{ Active bool }](t, w.post("/oauth/introspect", values{"token": {token}}), http.StatusOK).Active
		}
		for _, token := range []string{held.Access, machine.Access} {
			if !active(token) {
				t.Error("a token is not active by the clock that issued it")
			}
		}

		w.wallOff = 0
		for _, token := range []string{held.Access, machine.Access} {
			if active(token) {
				t.Error("a token that was issued in 45 days is active")
			}
		}
		for _, path := range []string{"/oauth/userinfo", "/auth/me"} {
			if rec := w.sendJSON("GET", path, held.Access, nil); rec.Code != http.StatusUnauthorized {
				t.Errorf("%s: status %d", path, rec.Code)
			}
		}
		if rec := w.exchange(code); rec.Code != http.StatusBadRequest {
			t.Errorf("a code that expires in 45 days: status %d %s", rec.Code, rec.Body)
		}
		if rec := browser.authorize(asks(nil)); rec.Header().Get("Location") != "" && len(answerIn(t, rec).Get("code")) > 0 {
			t.Error("a log-in that was begun in 45 days gets a code")
		}

		// Revoked now, it is dead when its time comes.
		w.journal.take()
		if rec := w.post("/oauth/revoke", values{"token": {machine.Access}}); rec.Code != http.StatusOK {
			t.Errorf("revocation: status %d", rec.Code)
		}
		if events := w.journal.take(); len(events) != 1 || events[0].Outcome != audit.Success || events[0].Reason.String() != "" {
			t.Errorf("revocation: %+v", events)
		}
		w.wallOff = 45 * 24 * time.Hour
		if active(machine.Access) || !active(held.Access) {
			t.Errorf("in 45 days: revoked %t, not revoked %t", active(machine.Access), active(held.Access))
		}
		w.wallOff = 0

		// The session goes on, and ends 720 hours after its first right use.
		for range 15 {
			status, next := refreshWith(w, held.Refresh)
			if status != http.StatusOK {
				t.Fatalf("refresh: status %d", status)
			}
			held = next
			elapse(47 * time.Hour)
			must(t, w.keeper.Poll(t.Context()))
		}
		elapse(15*time.Hour + time.Second)
		if status, _ := refreshWith(w, held.Refresh); status != http.StatusBadRequest {
			t.Errorf("720 hours after its first right use the session is there: status %d", status)
		}
	})
}

// TestT1_ASpentTokenOfAWrongMinuteIsNotTaken while the clock cannot tell how long ago
// it was spent; nor does it end the session.
func TestT1_ASpentTokenOfAWrongMinuteIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first := w.login()
		w.wallOff = time.Hour
		_, next := refreshWith(w, first.Refresh)
		w.wallOff = 0
		elapse(31 * time.Second)
		if status, _ := refreshWith(w, first.Refresh); status != http.StatusServiceUnavailable {
			t.Errorf("spent 31 seconds ago: status %d", status)
		}
		if status, _ := refreshWith(w, next.Refresh); status != http.StatusOK {
			t.Errorf("its successor: status %d", status)
		}
	})
}
