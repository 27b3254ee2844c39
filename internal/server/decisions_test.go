package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

type values = url.Values

// decided is one request and the one event that it must leave.
type decided struct {
	name   string
	send   func(w *world, t tokens) *httptest.ResponseRecorder
	status int
	action audit.Action
	reason string
}

func form(path string, v values) func(*world, tokens) *httptest.ResponseRecorder {
	return func(w *world, _ tokens) *httptest.ResponseRecorder { return w.post(path, v) }
}

func decisions() []decided {
	grant := func(v values) func(*world, tokens) *httptest.ResponseRecorder { return form("/oauth/token", v) }
	return []decided{
		{"password", grant(values{"grant_type": {"password"}, "username": {email}, "password": {password}}), 200, audit.TokenIssued, ""},
		{"client credentials", grant(values{"grant_type": {"client_credentials"}}), 200, audit.TokenIssued, ""},
		{"refresh", func(w *world, t tokens) *httptest.ResponseRecorder {
			return w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {t.Refresh}})
		}, 200, audit.TokenRefreshed, ""},
		{"password and a proof", proven("POST", "/oauth/token", login()), 200, audit.TokenIssued, ""},
		{"refresh and a proof", func(w *world, t tokens) *httptest.ResponseRecorder {
			return w.holder().ask("shop", refresh(t.Refresh))
		}, 200, audit.TokenRefreshed, ""},
		{"wrong password", grant(values{"grant_type": {"password"}, "username": {email}, "password": {"wrong"}}), 400, audit.TokenRefused, "wrong_password"},
		{"unknown user", grant(values{"grant_type": {"password"}, "username": {"bob@example.com"}, "password": {"wrong"}}), 400, audit.TokenRefused, "unknown_user"},
		{"no grant", grant(values{}), 400, audit.TokenRefused, "no_grant_type"},
		{"unknown grant", grant(values{"grant_type": {"magic"}}), 400, audit.TokenRefused, "unsupported_grant_type"},
		{"wide scope", grant(values{"grant_type": {"client_credentials"}, "scope": {"admin"}}), 400, audit.TokenRefused, "scope_not_allowed"},
		{"foreign resource", grant(values{"grant_type": {"client_credentials"}, "resource": {"https://evil.example"}}), 400, audit.TokenRefused, "resource_not_allowed"},
		{"refresh by a wrong clock", func(w *world, t tokens) *httptest.ResponseRecorder {
			w.steadyOff = 49 * time.Hour
			return w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {t.Refresh}})
		}, 503, audit.TokenRefused, "clock_unconfirmed"},
		{"forged refresh token", grant(values{"grant_type": {"refresh_token"}, "refresh_token": {"kt_rt_nonsense"}}), 400, audit.TokenRefused, "malformed_token"},
		{"repeated parameter", grant(values{"grant_type": {"password", "password"}}), 400, audit.TokenRefused, "repeated_parameter"},
		{"wrong secret", func(w *world, _ tokens) *httptest.ResponseRecorder {
			r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader("grant_type=client_credentials"))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.SetBasicAuth("shop", "wrong")
			return w.serve(r)
		}, 401, audit.TokenRefused, "wrong_client_secret"},
		{"oversized body", grant(values{"grant_type": {strings.Repeat("x", 40<<10)}}), 413, audit.TokenRefused, "body_too_large"},
		{"introspection", func(w *world, t tokens) *httptest.ResponseRecorder {
			return w.post("/oauth/introspect", values{"token": {t.Access}})
		}, 200, audit.TokenIntrospected, ""},
		{"introspection of nothing", form("/oauth/introspect", values{"token": {"x"}}), 200, audit.TokenIntrospected, "bad_token"},
		{"revocation", func(w *world, t tokens) *httptest.ResponseRecorder {
			return w.post("/oauth/revoke", values{"token": {t.Access}})
		}, 200, audit.TokenRevoked, ""},
		{"revocation of nothing", form("/oauth/revoke", values{"token": {"kt_rt_x"}}), 200, audit.TokenRevoked, "malformed_token"},
		{"userinfo", bearer("GET", "/oauth/userinfo", nil), 200, audit.UserInfoRead, ""},
		{"userinfo with a refresh token", func(w *world, t tokens) *httptest.ResponseRecorder {
			return w.sendJSON("GET", "/oauth/userinfo", t.Refresh, nil)
		}, 401, audit.RequestRefused, "bad_token"},
		{"userinfo without a token", func(w *world, _ tokens) *httptest.ResponseRecorder {
			return w.sendJSON("GET", "/oauth/userinfo", "", nil)
		}, 401, audit.RequestRefused, "no_token"},
		{"login", body("/auth/login", map[string]string{"email": email, "password": password}), 200, audit.TokenIssued, ""},
		{"failed login", body("/auth/login", map[string]string{"email": email, "password": "no"}), 403, audit.TokenRefused, "wrong_password"},
		{"malformed login", body("/auth/login", []string{"x"}), 400, audit.TokenRefused, "malformed_body"},
		{"sign-up", body("/auth/signup", map[string]string{"email": "eve@example.com", "password": "a long enough sentence"}), 201, audit.UserSignedUp, ""},
		{"weak sign-up", body("/auth/signup", map[string]string{"email": "eve@example.com", "password": "short"}), 422, audit.UserSignedUp, "password_refused"},
		{"taken sign-up", body("/auth/signup", map[string]string{"email": email, "password": "a long enough sentence"}), 409, audit.UserSignedUp, "email_taken"},
		{"malformed sign-up", body("/auth/signup", map[string]int{"email": 1}), 400, audit.UserSignedUp, "malformed_body"},
		{"bad reset token", body("/auth/reset", map[string]string{"token": "kt_pr_x", "new_password": "another long sentence"}), 403, audit.ResetRedeemed, "bad_reset_token"},
		{"malformed reset", body("/auth/reset", []string{"x"}), 400, audit.ResetRedeemed, "malformed_body"},
		{"me", bearer("GET", "/auth/me", nil), 200, audit.UserRead, ""},
		{"sessions", bearer("GET", "/auth/sessions", nil), 200, audit.SessionsListed, ""},
		{"end others", bearer("DELETE", "/auth/sessions", nil), 200, audit.SessionsEnded, "ended_by_user"},
		{"end unknown", bearer("DELETE", "/auth/sessions/x", nil), 404, audit.SessionEnded, "unknown_session"},
		{"logout", bearer("POST", "/auth/logout", nil), 204, audit.SessionEnded, "logout"},
		{"code", authorizing(nil), 303, audit.CodeIssued, ""},
		{"code for an unknown client", authorizing(func(v url.Values) { v.Set("client_id", "nobody") }), 400, audit.CodeIssued, "unknown_client"},
		{"code without PKCE", authorizing(func(v url.Values) { v.Del("code_challenge") }), 303, audit.CodeIssued, "code_challenge"},
		{"push", form("/oauth/par", pushes(nil)), 201, audit.RequestPushed, ""},
		{"exchange", exchanging(nil), 200, audit.TokenIssued, ""},
		{"log-in at the page", atLogin(email, password, nil), 303, audit.UserLoggedIn, ""},
		{"failed log-in at the page", atLogin(email, "no", nil), 403, audit.UserLoggedIn, "wrong_password"},
		{"log-out at the page", atLogout(nil), 200, audit.UserLoggedOut, "logout"},
		{"log-out by an application", leavingBy(nil), 303, audit.UserLoggedOut, "logout"},
		{"sign-up at the page", atSignUp("grace@example.com", nil), 201, audit.UserSignedUp, ""},
		{"password change at the page", atPassword(password, long, nil), 200, audit.PasswordChanged, ""},
		{"sessions at the page", atLoggedIn("/account/sessions"), 200, audit.SessionsListed, ""},
		{"end of others at the page", atSessions("others", nil), 303, audit.SessionsEnded, "ended_by_user"},
		{"end of one at the page", func(w *world, t tokens) *httptest.ResponseRecorder {
			return atSessions(sessionOf(w.t, t.Access), nil)(w, t)
		}, 303, audit.SessionEnded, "ended_by_user"},
		{"password change", bearer("POST", "/auth/password", map[string]string{"current_password": password, "new_password": "another long sentence"}), 200, audit.PasswordChanged, ""},
	}
}

func body(path string, v any) func(*world, tokens) *httptest.ResponseRecorder {
	return func(w *world, _ tokens) *httptest.ResponseRecorder { return w.sendJSON("POST", path, "", v) }
}

func bearer(method, path string, v any) func(*world, tokens) *httptest.ResponseRecorder {
	return func(w *world, t tokens) *httptest.ResponseRecorder { return w.sendJSON(method, path, t.Access, v) }
}

func TestA1_EveryDecisionLeavesOneEvent(t *testing.T) {
	left := &coverage{}
	for _, d := range slices.Concat(decisions(), refusals()) {
		t.Run(d.name, func(t *testing.T) {
			w := newWorld(t)
			held := w.login()
			w.journal.take()
			rec := d.send(w, held)
			if rec.Code != d.status {
				t.Errorf("status %d, want %d: %s", rec.Code, d.status, rec.Body)
			}
			events := w.journal.take()
			if len(events) != 1 {
				t.Fatalf("%d events, want one: %+v", len(events), events)
			}
			e := events[0]
			if e.Action != d.action || e.Reason.String() != d.reason || (e.Outcome == audit.Success) != granted(rec) {
				t.Errorf("event %s %s %q, want %s %q", e.Action, e.Outcome, e.Reason, d.action, d.reason)
			}
			left.saw(w.last, e)
		})
	}
	left.administer(t)
	left.checkRoutes(t)
	left.checkVocabulary(t)
}

// granted reports whether an answer says yes.
func granted(rec *httptest.ResponseRecorder) bool {
	return rec.Code < 400 && !strings.Contains(rec.Body.String(), `name="challenge"`) && !strings.Contains(rec.Header().Get("Location"), "error=")
}

func TestA3_WithoutItsEventNoDecisionStands(t *testing.T) {
	for _, d := range slices.Concat(decisions(), refusals()) {
		if d.status == http.StatusInternalServerError {
			continue // what failed inside is answered as that
		}
		t.Run(d.name, func(t *testing.T) {
			w := newWorld(t)
			held := w.login()
			w.journal.breakDown(true)
			rec := d.send(w, held)
			if to := rec.Header().Get("Location"); strings.HasPrefix(to, callback) {
				if !strings.Contains(to, "error=temporarily_unavailable") || strings.Contains(to, "space+left") || strings.Contains(to, "kt_") {
					t.Errorf("led to %s", to)
				}
				return
			}
			if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
				t.Fatalf("status %d, Retry-After %q; want 503: %s", rec.Code, rec.Header().Get("Retry-After"), rec.Body)
			}
			if strings.Contains(rec.Body.String(), "space left") || strings.Contains(rec.Body.String(), "kt_rt_") {
				t.Errorf("the answer tells too much: %s", rec.Body)
			}
		})
	}
}

func TestA3_AFailedLoginLeavesNoSession(t *testing.T) {
	w := newWorld(t)
	w.journal.breakDown(true)
	w.post("/oauth/token", values{"grant_type": {"password"}, "username": {email}, "password": {password}})
	live, err := w.store.FamiliesOfUser(t.Context(), w.uid, time.Now(), 10)
	if err != nil || len(live) != 0 {
		t.Fatalf("%d sessions, %v", len(live), err)
	}
}

func TestA3_ARefreshThatWasNotRecordedCanBeRetried(t *testing.T) {
	w := newWorld(t)
	held := w.login()
	w.journal.breakDown(true)
	w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {held.Refresh}})
	w.journal.breakDown(false)
	next := read[tokens](t, w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {held.Refresh}}), 200)
	read[tokens](t, w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {next.Refresh}}), 200)
}

// TestA3_ARevocationWithoutItsEventIsDone: of both kinds of token it stands, the
// answer says so, and the same again leaves the event.
func TestA3_ARevocationWithoutItsEventIsDone(t *testing.T) {
	for kind, of := range map[string]func(tokens) string{
		"refresh token": func(t tokens) string { return t.Refresh },
		"access token":  func(t tokens) string { return t.Access },
	} {
		w := newWorld(t)
		held := w.login()
		w.journal.take()
		w.journal.breakDown(true)
		rec := w.post("/oauth/revoke", values{"token": {of(held)}})
		if rec.Code != 503 || !strings.Contains(rec.Body.String(), "It is done") || rec.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", kind, rec.Code, rec.Body)
		}
		w.journal.breakDown(false)
		if got := w.post("/oauth/introspect", values{"token": {held.Access}}).Body.String(); strings.TrimSpace(got) != `{"active":false}` {
			t.Errorf("%s: it is alive: %s", kind, got)
		}
		w.journal.take()
		if rec := w.post("/oauth/revoke", values{"token": {of(held)}}); rec.Code != 200 {
			t.Errorf("%s, once more: %d %s", kind, rec.Code, rec.Body)
		}
		if events := w.journal.take(); len(events) != 1 || events[0].Action != audit.TokenRevoked || events[0].Outcome != audit.Success {
			t.Errorf("%s, once more: %+v", kind, events)
		}
	}
}

func TestF7_DisablingEndsEverySession(t *testing.T) {
	w := newWorld(t)
	held := w.login()
	must(t, w.users.Disable(t.Context(), w.uid))
	rec := w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {held.Refresh}})
	if rec.Code != 400 || !strings.Contains(rec.Body.String(), "invalid_grant") {
		t.Errorf("refresh after disabling: %d %s", rec.Code, rec.Body)
	}
	rec = w.post("/oauth/introspect", values{"token": {held.Access}})
	if got := strings.TrimSpace(rec.Body.String()); got != `{"active":false}` {
		t.Errorf("introspection after disabling: %s", got)
	}
}

func TestF7_APasswordChangeEndsTheOtherSessions(t *testing.T) {
	w := newWorld(t)
	mine, other := w.login(), w.login()
	rec := w.sendJSON("POST", "/auth/password", mine.Access, map[string]string{"current_password": password, "new_password": "another long sentence"})
	if rec.Code != 200 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	for name, c := range map[string]struct {
		token  string
		status int
	}{"mine": {mine.Refresh, 200}, "other": {other.Refresh, 400}} {
		if rec := w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {c.token}}); rec.Code != c.status {
			t.Errorf("%s: %d, want %d", name, rec.Code, c.status)
		}
	}
}

func TestK6_ARevokedKeysTokensAreDead(t *testing.T) {
	w := newWorld(t)
	before := w.login()
	active, err := w.keeper.Ring().Active()
	must(t, err)
	must(t, w.keeper.Revoke(t.Context(), active.KID, "leaked"))
	must(t, w.keeper.Poll(t.Context()))
	after := w.login()
	for name, c := range map[string]struct {
		token  string
		active bool
		status int
	}{"before": {before.Access, false, 401}, "after": {after.Access, true, 200}} {
		got := read[struct{ Active bool }](t, w.post("/oauth/introspect", values{"token": {c.token}}), 200)
		if got.Active != c.active {
			t.Errorf("token of %s the revocation: active %v", name, got.Active)
		}
		for _, path := range []string{"/oauth/userinfo", "/auth/me"} {
			if rec := w.sendJSON("GET", path, c.token, nil); rec.Code != c.status {
				t.Errorf("token of %s the revocation at %s: %d, want %d", name, path, rec.Code, c.status)
			}
		}
	}
	// The session has another key sign, and goes on.
	read[tokens](t, w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {before.Refresh}}), 200)
	if rec := w.serve(httptest.NewRequest("GET", "/.well-known/jwks.json", nil)); strings.Contains(rec.Body.String(), active.KID) {
		t.Error("the revoked key is still published")
	}
}
