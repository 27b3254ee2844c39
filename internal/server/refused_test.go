package server_test

import (
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/users"
)

// refusals are the decisions that are not in decisions: with those they are
// every reason that a request can leave in the log.
func refusals() []decided {
	return slices.Concat(
		reading("/oauth/token", audit.TokenRefused), reading("/oauth/revoke", audit.TokenRevoked), reading("/oauth/introspect", audit.TokenIntrospected), reading("/oauth/par", audit.RequestPushed),
		notGranted(), notRefreshed(), notProven(), notAlive(), notRevoked(), notBorne(), notLogged(), notChanged(), pageRefusals(), notPushed(), factorDecisions(), ownDecisions(), consentDecisions(), brokenOff(), letterDecisions(),
	)
}

func notGranted() []decided {
	const action = audit.TokenRefused
	password := values{"grant_type": {"password"}, "username": {email}, "password": {password}}
	grant := func(pairs ...string) sending {
		v := values{}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return form("/oauth/token", v)
	}
	return []decided{
		{"no password grant", func(w *world, t tokens) *httptest.ResponseRecorder {
			w.passwordGrantOff = true
			w.handler = w.build()
			return w.post("/oauth/token", password)
		}, 400, action, "password_grant_off"},
		{"another's grant", formAs("/oauth/token", "client_id", "page", "grant_type", "client_credentials"), 400, action, "grant_not_allowed"},
		{"public client", func(w *world, t tokens) *httptest.ResponseRecorder {
			must(w.t, w.store.CreateClient(w.t.Context(), clients.Client{
				ID: "odd", Public: true, Grants: []string{"client_credentials"}, CreatedAt: time.Now(), UpdatedAt: time.Now(),
			}))
			return w.postAs("/oauth/token", values{"client_id": {"odd"}, "grant_type": {"client_credentials"}})
		}, 400, action, "public_client"},
		{"malformed scope", grant("grant_type", "client_credentials", "scope", `a"b`), 400, action, "malformed_scope"},
		{"no key", keyless(grant("grant_type", "client_credentials")), 503, action, "signing"},
		{"no username", grant("grant_type", "password", "password", "x"), 400, action, "no_username"},
		{"no password", grant("grant_type", "password", "username", email), 400, action, "no_password"},
		{"disabled user", after(disableUser, form("/oauth/token", password)), 400, action, "disabled_user"},
		{"no pepper", after(pepperHash, form("/oauth/token", password)), 400, action, "pepper_missing"},
		{"throttled", after(guessed("/oauth/token"), form("/oauth/token", password)), 429, action, "throttled"},
	}
}

func disableUser(w *world, _ tokens) {
	w.alter(func(u *users.User) { u.Disabled = true })
}

// pepperHash gives the account a hash with a pepper, which this server is not given.
func pepperHash(w *world, _ tokens) {
	w.alter(func(u *users.User) {
		u.PasswordHash = "$peppered$$2a$05$ac6QtcSfe/CNiFRNZ2wttuwMOlHgzQf790gnJep2HC3dlvvO4gZc2"
	})
}

// refreshing presents the refresh token that which tells.
func refreshing(which func(*world, tokens) string) sending {
	return func(w *world, t tokens) *httptest.ResponseRecorder {
		token := which(w, t)
		return w.post("/oauth/token", values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
	}
}

func held(_ *world, t tokens) string { return t.Refresh }

func notRefreshed() []decided {
	rows := []decided{
		{"no refresh token", form("/oauth/token", values{"grant_type": {"refresh_token"}}), 400, audit.TokenRefused, "no_refresh_token"},
		{"audience withdrawn", after(func(w *world, _ tokens) {
			w.change("shop", func(c *clients.Client) { c.Audience = nil })
		}, refreshing(held)), 400, audit.TokenRefused, "audience_withdrawn"},
		{"retry", after(spend(1), refreshing(held)), 200, audit.TokenRefreshed, "retry"},
		{"reuse", after(spend(2), refreshing(held)), 400, audit.TokenReuse, "reused_token"},
		{"from another client", refreshing(func(w *world, _ tokens) string { return byPage(w).Refresh }), 400, audit.TokenReuse, "foreign_client"},
		{"reuse that cannot be ended", after(spend(2), failing("HoldFamily", refreshing(held))), 503, audit.TokenReuse, "store"},
	}
	for reason, token := range stale() {
		rows = append(rows, decided{"refresh, " + reason, refreshing(token), 400, audit.TokenRefused, reason})
	}
	return rows
}

// about sends what which tells to an endpoint as its token.
func about(path string, which func(*world, tokens) string) sending {
	return func(w *world, t tokens) *httptest.ResponseRecorder {
		return w.post(path, values{"token": {which(w, t)}})
	}
}

func notAlive() []decided {
	const path, action = "/oauth/introspect", audit.TokenIntrospected
	rows := []decided{
		{"introspection, no token", form(path, values{}), 400, action, "no_token"},
		{"introspection, public client", formAs(path, "client_id", "page", "token", "x"), 401, action, "public_client"},
		{"introspection, another's", about(path, func(w *world, _ tokens) string { return byPage(w).Refresh }), 200, action, "foreign_client"},
		{"introspection, another audience's", about(path, func(w *world, _ tokens) string {
			return w.token(saying().with("client_id", "page").with("aud", "https://other.example"))
		}), 200, action, "foreign_audience"},
		{"introspection, spent", after(spend(1), about(path, held)), 200, action, "spent_token"},
		{"introspection, live", about(path, held), 200, action, ""},
	}
	for reason, token := range dead() {
		rows = append(rows, decided{"introspection, access token, " + reason, about(path, token), 200, action, reason})
	}
	for reason, token := range stale() {
		rows = append(rows, decided{"introspection, refresh token, " + reason, about(path, token), 200, action, reason})
	}
	return rows
}

func notRevoked() []decided {
	const path, action = "/oauth/revoke", audit.TokenRevoked
	rows := []decided{
		{"revocation, no token", form(path, values{}), 400, action, "no_token"},
		{"revocation, another's", about(path, func(w *world, _ tokens) string { return byPage(w).Refresh }), 400, action, "foreign_client"},
		{"revocation, another's access token", about(path, func(w *world, _ tokens) string { return byPage(w).Access }), 400, action, "foreign_client"},
		{"revocation, live", about(path, held), 200, action, ""},
		{"revocation, a token of a clock that was ahead", about(path, dead()["future_token"]), 200, action, ""},
	}
	for _, reason := range []string{"bad_token", "foreign_issuer", "expired_token", "revoked_token"} {
		rows = append(rows, decided{"revocation, access token, " + reason, about(path, dead()[reason]), 200, action, reason})
	}
	for _, reason := range []string{"malformed_token", "forged_token", "unknown_session", "ended_session"} {
		rows = append(rows, decided{"revocation, refresh token, " + reason, about(path, stale()[reason]), 200, action, reason})
	}
	return rows
}

// notBorne are requests without a bearer token that counts, and what fails
// behind one that does.
func notBorne() []decided {
	bearing := func(method, path string, which func(*world, tokens) string) sending {
		return func(w *world, t tokens) *httptest.ResponseRecorder { return w.sendJSON(method, path, which(w, t), nil) }
	}
	rows := []decided{
		{"me, another's", bearing("GET", "/auth/me", func(w *world, _ tokens) string { return byPage(w).Access }), 403, audit.RequestRefused, "foreign_client"},
		{"me, another audience's", bearing("GET", "/auth/me", audienceWithout), 401, audit.RequestRefused, "foreign_audience"},
		{"userinfo, another audience's", bearing("GET", "/oauth/userinfo", audienceWithout), 401, audit.RequestRefused, "foreign_audience"},
		{"userinfo, scope", bearing("GET", "/oauth/userinfo", func(w *world, _ tokens) string { return w.token(saying()) }), 403, audit.RequestRefused, "scope_not_granted"},
		{"me, no store for the token", failing("TokenDenied", bearer("GET", "/auth/me", nil)), 503, audit.RequestRefused, "store"},
		{"me, failing inside", after(func(w *world, _ tokens) { w.users.Store = nil }, bearer("GET", "/auth/me", nil)), 500, audit.RequestRefused, "panic"},
		{"me, hung up before", hangingUp("TokenDenied", bearer("GET", "/auth/me", nil)), 503, audit.RequestRefused, "hung_up"},
		{"me, hung up", hangingUp("UserByID", bearer("GET", "/auth/me", nil)), 503, audit.UserRead, "hung_up"},
		{"userinfo, hung up", hangingUp("UserByID", bearer("GET", "/oauth/userinfo", nil)), 503, audit.UserInfoRead, "hung_up"},
		{"sessions, hung up", hangingUp("FamiliesOfUser", bearer("GET", "/auth/sessions", nil)), 503, audit.SessionsListed, "hung_up"},
		{"logout, hung up", hangingUpAt(2, "FamilyByID", bearer("POST", "/auth/logout", nil)), 503, audit.SessionEnded, "hung_up"},
		{"end others, hung up", hangingUp("UserByID", bearer("DELETE", "/auth/sessions", nil)), 503, audit.SessionsEnded, "hung_up"},
		{"me, no store", failing("UserByID", bearer("GET", "/auth/me", nil)), 503, audit.UserRead, "store"},
		{"userinfo by POST", bearer("POST", "/oauth/userinfo", nil), 200, audit.UserInfoRead, ""},
		{"userinfo, no store", failing("UserByID", bearer("GET", "/oauth/userinfo", nil)), 503, audit.UserInfoRead, "store"},
		{"sessions, no store", failing("FamiliesOfUser", bearer("GET", "/auth/sessions", nil)), 503, audit.SessionsListed, "store"},
		{"logout, no store", failing("HoldFamily", bearer("POST", "/auth/logout", nil)), 503, audit.SessionEnded, "store"},
		{"end others, no store", failing("ReplaceUser", bearer("DELETE", "/auth/sessions", nil)), 503, audit.SessionsEnded, "unavailable"},
		{"end one's own", func(w *world, t tokens) *httptest.ResponseRecorder {
			live, err := w.store.FamiliesOfUser(w.t.Context(), w.uid, time.Now(), 1)
			must(w.t, err)
			return w.sendJSON("DELETE", "/auth/sessions/"+live[0].ID, t.Access, nil)
		}, 204, audit.SessionEnded, "ended_by_user"},
	}
	for _, route := range borne() {
		method, path, _ := strings.Cut(route, " ")
		rows = append(rows, decided{route + ", no token in the header", bearing(method, path, func(*world, tokens) string { return " " }), 400, audit.RequestRefused, "malformed_bearer"})
	}
	for reason, token := range dead() {
		rows = append(rows, decided{"me, " + reason, bearing("GET", "/auth/me", token), 401, audit.RequestRefused, reason})
	}
	return rows
}

// borne are the routes that need an access token.
func borne() []string {
	return []string{
		"GET /oauth/userinfo", "POST /oauth/userinfo", "GET /auth/me", "POST /auth/me", "GET /auth/me/data", "POST /auth/logout", "POST /auth/password", "GET /auth/sessions",
		"DELETE /auth/sessions", "DELETE /auth/sessions/x", "GET /auth/factors", "GET /auth/factors/totp", "GET /auth/factors/passkey", "POST /auth/factors", "DELETE /auth/factors/x", "POST /auth/recovery-codes", "GET /auth/grants", "DELETE /auth/grants/x",
		"DELETE /auth/me", // the last: it ends the account
	}
}

// audienceWithout is a live token of a first-party session that is for a resource
// server alone.
func audienceWithout(w *world, _ tokens) string {
	var t tokens
	w.quietly(func() {
		t = read[tokens](w.t, w.post("/oauth/token", values{
			"grant_type": {"password"}, "username": {email}, "password": {password}, "resource": {"https://api.example.com"},
		}), 200)
	})
	return t.Access
}

// notLogged are what only the /auth routes refuse.
func notLogged() []decided {
	account := func(more ...string) sending {
		who := map[string]string{"email": "eve@example.com", "password": "a long enough sentence"}
		for i := 0; i < len(more); i += 2 {
			who[more[i]] = more[i+1]
		}
		return body("/auth/signup", who)
	}
	const action = audit.UserSignedUp
	return []decided{
		{"first-party refresh", func(w *world, _ tokens) *httptest.ResponseRecorder {
			var t tokens
			w.quietly(func() { t = w.appLogin() })
			return w.appRefresh(t.Refresh)
		}, 200, audit.TokenRefreshed, ""},
		{"first-party refresh, begun with the secret", func(w *world, t tokens) *httptest.ResponseRecorder {
			return w.appRefresh(t.Refresh)
		}, 403, audit.TokenRefused, "unauthenticated"},
		{"first-party refresh, another's", func(w *world, _ tokens) *httptest.ResponseRecorder {
			return w.sendJSON("POST", "/auth/refresh", "", map[string]string{"refresh_token": byPage(w).Refresh})
		}, 403, audit.TokenRefused, "foreign_client"},
		{"sign-up, address", account("email", "nobody"), 422, action, "invalid_email"},
		{"sign-up, username", account("username", "a@b"), 422, action, "invalid_username"},
		{"sign-up, first name", account("first_name", "\n"), 422, action, "invalid_first_name"},
		{"sign-up, last name", account("last_name", "\n"), 422, action, "invalid_last_name"},
		{"sign-up, username taken", after(func(w *world, _ tokens) {
			w.sendJSON("POST", "/auth/signup", "", map[string]string{"email": "bob@example.com", "username": "bob", "password": "a long enough sentence"})
		}, account("username", "bob")), 409, action, "username_taken"},
		{"sign-up, throttled", after(guessed("/auth/signup"), account()), 429, action, "throttled"},
		{"sign-up, hung up", hangingUp("AnnounceHashKind", account()), 503, action, "hung_up"},
		{"sign-up, no store", failing("CreateUser", account()), 503, action, "unavailable"},
	}
}

// notChanged are refusals of a new password.
func notChanged() []decided {
	change := func(current, next string) sending {
		return bearer("POST", "/auth/password", map[string]string{"current_password": current, "new_password": next})
	}
	// reset has a token made, and lets meanwhile come between.
	reset := func(next string, meanwhile ...func(sending) sending) sending {
		return func(w *world, t tokens) *httptest.ResponseRecorder {
			var token string
			w.quietly(func() {
				var err error
				token, _, err = w.users.IssueReset(w.t.Context(), w.uid, time.Hour, false)
				must(w.t, err)
			})
			send := body("/auth/reset", map[string]string{"token": token, "new_password": next})
			for _, m := range meanwhile {
				send = m(send)
			}
			return send(w, t)
		}
	}
	const next = "another long sentence"
	outrun := func(w *world, _ tokens) { w.users.Store = changing{w.store} }
	return []decided{
		{"password, malformed", bearer("POST", "/auth/password", []string{"x"}), 400, audit.PasswordChanged, "malformed_body"},
		{"password, wrong", change("wrong", next), 403, audit.PasswordChanged, "wrong_password"},
		{"password, of nobody", after(func(w *world, _ tokens) {
			u, err := w.store.UserByID(w.t.Context(), w.uid)
			must(w.t, err)
			must(w.t, w.store.RemoveUser(w.t.Context(), u))
		}, change(password, next)), 403, audit.PasswordChanged, "unknown_user"},
		{"password, no pepper", after(pepperHash, change(password, next)), 403, audit.PasswordChanged, "pepper_missing"},
		{"password, disabled user", after(disableUser, change(password, next)), 403, audit.PasswordChanged, "disabled_user"},
		{"password, throttled", after(guessed("/oauth/token"), change(password, next)), 429, audit.PasswordChanged, "throttled"},
		{"password, weak", change(password, "short"), 422, audit.PasswordChanged, "password_refused"},
		{"password, outrun", after(outrun, change(password, next)), 409, audit.PasswordChanged, "conflict"},
		{"password, hung up", hangingUp("HashKinds", change(password, next)), 503, audit.PasswordChanged, "hung_up"},
		{"reset, hung up", reset(next, func(send sending) sending { return hangingUp("UserByID", send) }), 503, audit.ResetRedeemed, "hung_up"},
		{"password, no store", failing("ReplaceUser", change(password, next)), 503, audit.PasswordChanged, "unavailable"},
		{"reset", reset(next), 200, audit.ResetRedeemed, ""},
		{"reset, weak", reset("short"), 422, audit.ResetRedeemed, "password_refused"},
		{"reset, outrun", reset(next, func(send sending) sending { return after(outrun, send) }), 409, audit.ResetRedeemed, "conflict"},
		{"reset, no store", reset(next, func(send sending) sending { return failing("ReplaceUser", send) }), 503, audit.ResetRedeemed, "unavailable"},
	}
}
