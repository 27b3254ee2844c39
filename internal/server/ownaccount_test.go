package server_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/users"
)

// ownDecisions are those of users about their own accounts.
func ownDecisions() []decided {
	const changed, read, closed, deleted = audit.UserChanged, audit.UserRead, audit.UserClosed, audit.UserDeleted
	names := map[string]string{"first_name": "Grace", "last_name": ""}
	gone := func(w *world, _ tokens) {
		u, err := w.store.UserByID(w.t.Context(), w.uid)
		must(w.t, err)
		must(w.t, w.store.RemoveUser(w.t.Context(), u))
	}
	withGrace := func(w *world, _ tokens) { w.deletionGrace, w.users.DeletionGrace = time.Hour, time.Hour }
	no := func(url.Values) {}
	foreign := func(form url.Values) { form.Set("token", "x") }
	// late sends a form long after the log-in.
	late := func(path string, fill map[string]string) sending {
		return func(w *world, _ tokens) *httptest.ResponseRecorder {
			var b *browser
			var form url.Values
			w.quietly(func() {
				b = w.loggedIn()
				_, form = formOn(w.t, b.get(path))
				later(w, app{}, nil)
			})
			for name, value := range fill {
				form.Set(name, value)
			}
			return b.post(path, form)
		}
	}
	rows := []decided{
		{"change one's names", bearer("POST", "/auth/me", names), 200, changed, ""},
		{"change one's names to no names", bearer("POST", "/auth/me", map[string]string{"first_name": "\n"}), 422, changed, "invalid_first_name"},
		{"change one's address", bearer("POST", "/auth/me", map[string]string{"email": "x@example.com"}), 400, changed, "malformed_body"},
		{"change the names of nobody", after(gone, bearer("POST", "/auth/me", names)), 404, changed, "unknown_user"},
		{"change one's names, no store", failing("UserByID", bearer("POST", "/auth/me", names)), 503, changed, "unavailable"},
		{"change one's names, hung up", hangingUp("UserByID", bearer("POST", "/auth/me", names)), 503, changed, "hung_up"},
		{"names at the page", atForm("/account/profile", func(form url.Values) { form.Set("first_name", "Grace") }), 200, changed, ""},
		{"no names at the page", atForm("/account/profile", func(form url.Values) { form.Set("last_name", strings.Repeat("x", 101)) }), 422, changed, "invalid_last_name"},
		{"names by a foreign form", atForm("/account/profile", foreign), 403, changed, "foreign_form"},
		{"names, logged out", loggedOutMeanwhile("/account/profile"), 403, changed, "login_required"},
		{"all that is kept", bearer("GET", "/auth/me/data", nil), 200, read, ""},
		{"all that is kept, no store", failing("FamiliesOfUser", bearer("GET", "/auth/me/data", nil)), 503, read, "store"},
		{"all that is kept, hung up", hangingUp("FamiliesOfUser", bearer("GET", "/auth/me/data", nil)), 503, read, "hung_up"},
		{"all that is kept, at the page", atLoggedIn("/account/data"), 200, read, ""},
		{"all that is kept, at the page, no store", func(w *world, _ tokens) *httptest.ResponseRecorder {
			var b *browser
			w.quietly(func() { b = w.loggedIn() })
			return failing("FamiliesOfUser", func(*world, tokens) *httptest.ResponseRecorder { return b.get("/account/data") })(w, tokens{})
		}, 503, read, "store"},
		{"delete oneself", bearer("DELETE", "/auth/me", nil), 200, deleted, "ended_by_user"},
		{"delete oneself, with a grace", after(withGrace, bearer("DELETE", "/auth/me", nil)), 200, closed, ""},
		{"delete oneself, stale", func(w *world, t tokens) *httptest.ResponseRecorder {
			return w.sendJSON("DELETE", "/auth/me", staleToken(w, t), nil)
		}, 401, closed, "stale_login"},
		{"delete nobody", after(gone, bearer("DELETE", "/auth/me", nil)), 404, deleted, "unknown_user"},
		{"delete oneself, no store", failing("UserByID", bearer("DELETE", "/auth/me", nil)), 503, deleted, "unavailable"},
		{"delete oneself, hung up", hangingUp("UserByID", bearer("DELETE", "/auth/me", nil)), 503, deleted, "hung_up"},
		{"close nobody", after(withGrace, after(gone, bearer("DELETE", "/auth/me", nil))), 404, closed, "unknown_user"},
		{"close oneself, no store", after(withGrace, failing("UserByID", bearer("DELETE", "/auth/me", nil))), 503, closed, "unavailable"},
		{"close oneself, hung up", after(withGrace, hangingUp("UserByID", bearer("DELETE", "/auth/me", nil))), 503, closed, "hung_up"},
		{"delete oneself at the page", atForm("/account/delete", no), 200, deleted, "ended_by_user"},
		{"delete oneself at the page, with a grace", after(withGrace, atForm("/account/delete", no)), 200, closed, ""},
		{"delete oneself by a foreign form", atForm("/account/delete", foreign), 403, closed, "foreign_form"},
		{"delete oneself, logged out", loggedOutMeanwhile("/account/delete"), 403, closed, "login_required"},
		{"delete oneself at the page, stale", late("/account/delete", nil), 403, closed, "stale_login"},
		{"a password at the page, stale", late("/account/password", map[string]string{"current_password": password, "new_password": long}), 403, audit.PasswordChanged, "stale_login"},
	}
	return slices.Concat(rows, unreadForms("/account/profile", changed), unreadForms("/account/delete", closed))
}

// TestF7_AClosedAccountIsOverUntilItIsGivenBack: its user deletes it; every session has
// ended with that, and nobody logs in; an operator gives it back, or it is deleted when
// elapsed time confirms that the grace is over, and not before (T1).
func TestF7_AClosedAccountIsOverUntilItIsGivenBack(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		w.users.DeletionGrace = time.Hour
		close := func() time.Time {
			t.Helper()
			mine, other, held := w.loggedIn(), w.loggedIn(), w.login()
			rec := mine.send("/account/delete", nil)
			if rec.Code != 200 || !strings.Contains(rec.Body.String(), `role="status"`) || mine.isLoggedIn(email) || other.isLoggedIn(email) {
				t.Errorf("%d %s", rec.Code, rec.Body)
			}
			if rec := w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {held.Refresh}}); rec.Code != 400 {
				t.Errorf("refresh: %d", rec.Code)
			}
			if rec := w.browser().logIn(w.browser().get("/account"), email, password); rec.Code != 403 {
				t.Errorf("a log-in: %d", rec.Code)
			}
			u, err := w.store.UserByID(t.Context(), w.uid)
			must(t, err)
			return u.DeleteAt
		}
		deleted := func(at time.Time) int {
			t.Helper()
			n, err := w.users.DeleteClosed(t.Context(), at)
			must(t, err)
			return n
		}
		at := close()
		if n := deleted(at.Add(-time.Millisecond)) + deleted(time.Time{}); n != 0 {
			t.Errorf("%d deleted before", n)
		}
		must(t, w.users.Enable(t.Context(), w.uid))
		if n := deleted(at.Add(time.Hour)); n != 0 {
			t.Errorf("%d deleted though given back", n)
		}
		at = close()
		w.journal.breakDown(true)
		if n, err := w.users.DeleteClosed(t.Context(), at); n != 0 || err == nil {
			t.Errorf("deleted without the event: %d, %v", n, err)
		}
		w.journal.breakDown(false)
		if n := deleted(at) + deleted(at); n != 1 {
			t.Errorf("%d deleted; want 1", n)
		}
		if _, err := w.store.UserByID(t.Context(), w.uid); err == nil {
			t.Error("it is there")
		}
		_, err := w.users.SignUp(t.Context(), users.NewUser{Email: email, Password: long})
		must(t, err)
	})
}

// TestA3_AnAccountIsClosedOnlyWithItsEvent: while the log is full no account is closed, no
// password made void, and no factor required.
func TestA3_AnAccountIsClosedOnlyWithItsEvent(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		w.users.DeletionGrace = time.Hour
		held := w.login()
		for name, do := range map[string]func() error{
			"reset --force": func() error { _, _, err := w.users.IssueReset(t.Context(), w.uid, time.Hour, true); return err },
			"factor":        func() error { return w.users.RequireFactor(t.Context(), w.uid, true) },
			"close":         func() error { _, err := w.users.Close(t.Context(), w.uid); return err },
		} {
			w.journal.breakDown(true)
			before, err := w.store.UserByID(t.Context(), w.uid)
			must(t, err)
			if err := do(); err == nil {
				t.Errorf("%s: done without its event", name)
			}
			after, err := w.store.UserByID(t.Context(), w.uid)
			must(t, err)
			if after.Version = before.Version; !reflect.DeepEqual(before, after) {
				t.Errorf("%s changed %+v to %+v", name, before, after)
			}
			w.journal.breakDown(false)
		}
		if rec := w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {held.Refresh}}); rec.Code != 200 {
			t.Errorf("refresh: %d", rec.Code)
		}
	})
}

// TestF7_AForcedResetLeavesTheTokenAlone: the password and the sessions are over at once.
func TestF7_AForcedResetLeavesTheTokenAlone(t *testing.T) {
	w := newWorld(t)
	held := w.login()
	token, _, err := w.users.IssueReset(t.Context(), w.uid, time.Hour, true)
	must(t, err)
	if rec := w.sendJSON("POST", "/auth/login", "", map[string]string{"email": email, "password": password}); rec.Code != 403 {
		t.Errorf("the former password: %d", rec.Code)
	}
	if rec := w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {held.Refresh}}); rec.Code != 400 {
		t.Errorf("refresh: %d", rec.Code)
	}
	if rec := w.sendJSON("POST", "/auth/reset", "", map[string]string{"token": token, "new_password": password}); rec.Code != 200 {
		t.Errorf("the token: %d %s", rec.Code, rec.Body)
	}
	w.login()
}

// TestOneAccountNeedsAFactor: an operator has one account set a second factor up.
func TestOneAccountNeedsAFactor(t *testing.T) {
	w := newWorld(t)
	must(t, w.users.RequireFactor(t.Context(), w.uid, true))
	rec := w.sendJSON("POST", "/auth/login", "", map[string]string{"email": email, "password": password})
	if rec.Code != 403 || !strings.Contains(rec.Body.String(), "second-factor-to-set-up") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	a := w.enrol()
	must(t, w.users.RemoveFactor(t.Context(), w.uid, a.id))
	if rec := bearerless(map[string]string{"email": email, "password": password})(w, tokens{}); rec.Code != 403 {
		t.Errorf("without its last factor: %d", rec.Code)
	}
	must(t, w.users.RequireFactor(t.Context(), w.uid, false))
	w.login()
}

// TestK7_WhatIsKeptIsGivenWithoutSecrets: all that is kept about a user, at the page as in
// JSON, and no hash, secret or token among it.
func TestK7_WhatIsKeptIsGivenWithoutSecrets(t *testing.T) {
	w := newWorld(t)
	held, b, a := w.login(), w.loggedIn(), w.enrol()
	must(t, w.users.GiveConsent(t.Context(), w.uid, "wiki", []string{"openid"}, ""))
	w.alter(func(u *users.User) { u.Roles, u.Claims = []string{"admin"}, `{"department":"engines"}` })
	file := b.get("/account/data")
	if got := file.Header().Get("Content-Disposition"); !strings.HasPrefix(got, "attachment") {
		t.Error(got)
	}
	var page, app struct {
		UID, Email string
		Roles      []string
		Claims     struct{ Department string }
		Factors    []struct{ ID, Kind, Name string }
		Left       int `json:"recovery_codes_left"`
		Grants     []struct{ Scope string }
		Sessions   []struct {
			ID, Scope, IP string
			Client        string `json:"client_id"`
		}
	}
	must(t, json.Unmarshal(file.Body.Bytes(), &page))
	rec := w.sendJSON("GET", "/auth/me/data", held.Access, nil)
	must(t, json.Unmarshal(rec.Body.Bytes(), &app))
	if !reflect.DeepEqual(page, app) || app.UID != w.uid || app.Email != email || app.Roles[0] != "admin" || app.Claims.Department != "engines" ||
		app.Factors[0].ID != a.id || app.Left != 10 || app.Grants[0].Scope != "openid" || len(app.Sessions) != 2 || app.Sessions[1].Client != "shop" || app.Sessions[0].IP == "" {
		t.Errorf("%+v\n%+v", page, app)
	}
	u, err := w.store.UserByID(t.Context(), w.uid)
	must(t, err)
	for _, secret := range []string{u.PasswordHash, a.secret, "argon2", "sealed", "hash", "challenge"} {
		if strings.Contains(rec.Body.String()+file.Body.String(), secret) {
			t.Errorf("it has %q: %s", secret, rec.Body)
		}
	}
}
