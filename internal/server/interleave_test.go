package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/store/storetest"
	"github.com/keyturn/keyturn/users"
)

// meanwhile lets do happen just before the next call of a method.
func (w faultyWorld) meanwhile(method string, do func()) {
	done := false
	w.faulty.Inject(func(called string) storetest.Fault {
		if called == method && !done {
			done = true
			do()
		}
		return storetest.None
	})
}

// bystander is another process that works on the same store.
func (w faultyWorld) bystander() (clients.Registry, func(reason string) error) {
	inner := w.faulty.Unwrap()
	registry := clients.Registry{Store: inner, Audit: &journal{t: w.t}, AccessTTL: time.Hour, Now: time.Now}
	return registry, func(reason string) error {
		_, err := inner.RevokeFamiliesOfUser(w.t.Context(), w.uid, "", time.Now(), reason)
		return err
	}
}

// TestF7_WhatEndsSessionsEndsALoginUnderWay lets an account or a client be taken
// out of use after a login was judged and before its session stands.
func TestF7_WhatEndsSessionsEndsALoginUnderWay(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		reason string
		do     func(w faultyWorld) error
	}{
		"user disabled": {http.StatusBadRequest, "disabled_user", func(w faultyWorld) error {
			if err := alter(w.t.Context(), w.faulty.Unwrap(), w.uid, func(u *users.User) { u.Disabled = true }); err != nil {
				return err
			}
			_, end := w.bystander()
			return end("user_disabled")
		}},
		"password changed": {http.StatusBadRequest, "account_changed", func(w faultyWorld) error {
			if err := alter(w.t.Context(), w.faulty.Unwrap(), w.uid, func(u *users.User) { u.Epoch++ }); err != nil {
				return err
			}
			_, end := w.bystander()
			return end("password_changed")
		}},
		"client disabled": {http.StatusUnauthorized, "disabled_client", func(w faultyWorld) error {
			clients, _ := w.bystander()
			_, err := clients.Disable(w.t.Context(), "shop")
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newFaultyWorld(t)
			w.journal.take()
			w.meanwhile("CreateFamily", func() { must(t, c.do(w)) })
			rec := w.post("/oauth/token", values{"grant_type": {"password"}, "username": {email}, "password": {password}})
			if rec.Code != c.status {
				t.Errorf("status %d, want %d: %s", rec.Code, c.status, rec.Body)
			}
			live, err := w.store.FamiliesOfUser(t.Context(), w.uid, time.Now(), 10)
			if err != nil || len(live) != 0 {
				t.Errorf("%d live sessions, %v; want none", len(live), err)
			}
			events := w.journal.take()
			if len(events) != 1 || events[0].Action != audit.TokenRefused || events[0].Reason.String() != c.reason {
				t.Errorf("events %+v; want one refusal for %s", events, c.reason)
			}
		})
	}
}
