package server_test

import (
	"net/http/httptest"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
)

// appLogin begins a session at /auth/login.
func (w *world) appLogin() tokens {
	w.t.Helper()
	return read[tokens](w.t, w.sendJSON("POST", "/auth/login", "", map[string]string{"email": email, "password": password}), 200)
}

// appRefresh refreshes at /auth/refresh.
func (w *world) appRefresh(token string) *httptest.ResponseRecorder {
	return w.sendJSON("POST", "/auth/refresh", "", map[string]string{"refresh_token": token})
}

// byCode begins a session of the shop's by a code.
func (w *world) byCode(more ...string) tokens {
	w.t.Helper()
	b := w.browser()
	led := b.logIn(b.authorize(asks(nil)), email, password)
	form := exchanges(answerIn(w.t, b.get(led.Header().Get("Location"))).Get("code"), nil)
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return read[tokens](w.t, w.post("/oauth/token", form), 200)
}

// TestF8_WhatASecretBeganIsRefreshedWithTheSecretAlone presents the tokens of a
// confidential first-party client's sessions where no secret is asked for. Those that
// began with it are refused, by who has a key and who has none, and live on.
func TestF8_WhatASecretBeganIsRefreshedWithTheSecretAlone(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		h := w.holder()
		public := func(is bool) { w.change("shop", func(c *clients.Client) { c.Public = is }) }
		for name, held := range map[string]tokens{
			"a password": w.login(),
			"a password with a key": func() tokens {
				b := read[bound](t, h.ask("shop", login()), 200)
				return tokens{b.Access, b.Refresh}
			}(),
			"a code": w.byCode(),
			// It has no mark, as those that are older than the mark.
			"a code, once": func() tokens {
				public(true)
				defer public(false)
				return w.byCode("client_id", "shop")
			}(),
		} {
			w.journal.take()
			for by, rec := range map[string]func() *httptest.ResponseRecorder{
				"nobody": func() *httptest.ResponseRecorder { return w.appRefresh(held.Refresh) },
				"a key": func() *httptest.ResponseRecorder {
					return h.send(w.jsonRequest("POST", "/auth/refresh", "", "", map[string]string{"refresh_token": held.Refresh}))
				},
			} {
				kept := w.written()
				if rec := rec(); rec.Code != 403 {
					t.Errorf("%s, by %s: %d %s", name, by, rec.Code, rec.Body)
				}
				events := w.journal.take()
				if len(events) != 1 || events[0].Action != audit.TokenRefused || events[0].Reason != audit.ReasonUnauthenticated || events[0].SessionID == "" {
					t.Errorf("%s, by %s: events %+v", name, by, events)
				}
				if w.written() != kept {
					t.Errorf("%s, by %s: something was written", name, by)
				}
			}
			next := read[tokens](t, w.serve(w.tokenRequest("shop", refresh(held.Refresh))), 200)
			if rec := w.appRefresh(next.Refresh); rec.Code != 403 {
				t.Errorf("%s, after a refresh: %d %s", name, rec.Code, rec.Body)
			}
		}
		// What began without the secret goes on without it, and with it.
		held := read[tokens](t, w.appRefresh(w.appLogin().Refresh), 200)
		held = read[tokens](t, w.serve(w.tokenRequest("shop", refresh(held.Refresh))), 200)
		held = read[tokens](t, w.appRefresh(held.Refresh), 200)
		if rec := w.postAs("/oauth/token", refresh(held.Refresh, "client_id", "shop")); rec.Code != 401 {
			t.Errorf("at the token endpoint without the secret: %d %s", rec.Code, rec.Body)
		}
		// A public client's sessions have no other proof, wherever they are refreshed.
		public(true)
		read[tokens](t, w.appRefresh(read[tokens](t, w.postAs("/oauth/token", login("client_id", "shop")), 200).Refresh), 200)
	})
}
