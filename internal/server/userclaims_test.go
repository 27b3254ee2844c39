package server_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/users"
)

// claimsOf returns what an access token says.
func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	must(t, err)
	var claims map[string]any
	must(t, json.Unmarshal(payload, &claims))
	return claims
}

func wantClaims(t *testing.T, what string, got map[string]any, roles []any, tier any) {
	t.Helper()
	list, _ := got["roles"].([]any)
	if !reflect.DeepEqual(list, roles) || got["tier"] != tier {
		t.Errorf("%s: roles %v, tier %v; want %v, %v", what, got["roles"], got["tier"], roles, tier)
	}
	if got["secret"] != nil {
		t.Errorf("%s: a claim that the client's registration does not name is there", what)
	}
}

// tokensOf asks the token endpoint as a public client.
func (w *world) tokensOf(form url.Values) tokens {
	w.t.Helper()
	r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return read[tokens](w.t, w.serve(r), 200)
}

// TestRolesReachTheToken follows roles and claims from the account to the token,
// at the login, at a refresh, and to introspection.
func TestRolesReachTheToken(t *testing.T) {
	w := newWorld(t)
	registry := &clients.Registry{Store: w.store, Audit: w.audit, AccessTTL: time.Hour, Now: time.Now}
	_, _, err := registry.Add(t.Context(), clients.Client{
		ID: "team", Public: true, Grants: []string{"password", "refresh_token"}, Scope: []string{"openid"}, Claims: []string{"roles", "tier"},
	})
	must(t, err)
	_, err = w.users.SetClaims(t.Context(), w.uid, []string{"admin", "editor"}, `{"tier":"gold","secret":1}`)
	must(t, err)

	login := w.tokensOf(url.Values{"client_id": {"team"}, "grant_type": {"password"}, "username": {email}, "password": {password}})
	got := claimsOf(t, login.Access)
	wantClaims(t, "at the login", got, []any{"admin", "editor"}, "gold")
	if got["sub"] != w.uid || got["client_id"] != "team" || got["iss"] != issuer {
		t.Errorf("the token says %v", got)
	}
	wantClaims(t, "of a client that is told nothing", claimsOf(t, w.login().Access), nil, nil)

	w.update(func(c *clients.Client) { c.Introspects = []string{issuer} })
	introspected := read[map[string]any](t, w.post("/oauth/introspect", url.Values{"token": {login.Access}}), 200)
	wantClaims(t, "introspection", introspected, []any{"admin", "editor"}, "gold")
	if introspected["active"] != true {
		t.Errorf("introspection: %v", introspected)
	}

	refresh := func() map[string]any {
		login = w.tokensOf(url.Values{"client_id": {"team"}, "grant_type": {"refresh_token"}, "refresh_token": {login.Refresh}})
		return claimsOf(t, login.Access)
	}
	wantClaims(t, "at a refresh", refresh(), []any{"admin", "editor"}, "gold")
	_, err = w.users.SetClaims(t.Context(), w.uid, []string{"editor"}, `{"tier":"gold"}`)
	must(t, err)
	wantClaims(t, "after a role was taken away", refresh(), []any{"editor"}, "gold")
	_, err = registry.Update(t.Context(), "team", func(c *clients.Client) { c.Claims = []string{"tier"} })
	must(t, err)
	wantClaims(t, "after the client was told less", refresh(), nil, "gold")
	_, err = w.users.SetClaims(t.Context(), w.uid, nil, "")
	must(t, err)
	wantClaims(t, "after all was taken away", refresh(), nil, nil)
}

// TestANewAddressReachesTheToken changes the address of an account with a live
// session.
func TestANewAddressReachesTheToken(t *testing.T) {
	w := newWorld(t)
	login := w.login()
	next := "ada.king@example.com"
	_, err := w.users.UpdateProfile(t.Context(), w.uid, users.Profile{Email: &next})
	must(t, err)
	if got := claimsOf(t, login.Access); got["email"] != email {
		t.Errorf("the token that is out says %v", got["email"])
	}
	refreshed := read[tokens](t, w.post("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {login.Refresh}}), 200)
	if got := claimsOf(t, refreshed.Access); got["email"] != next || got["sub"] != w.uid {
		t.Errorf("after a refresh the token says %v of %v", got["email"], got["sub"])
	}
	former := turnedAway{email: email, password: password}
	if rec := w.sendRefusal("/oauth/token", former); rec.Code != 400 {
		t.Errorf("a login by the former address: %d", rec.Code)
	}
	former.email = next
	if rec := w.sendRefusal("/oauth/token", former); rec.Code != 200 {
		t.Errorf("a login by the new address: %d %s", rec.Code, rec.Body)
	}
}

// TestReservedClaimsNeverReachTheToken has a store say what no command would
// have put there.
func TestReservedClaimsNeverReachTheToken(t *testing.T) {
	w := newWorld(t)
	client := clients.Client{ID: "team", Public: true, Grants: []string{"password", "refresh_token"}, Claims: []string{"sub", "scope", "tier"}}
	must(t, w.store.CreateClient(t.Context(), client))
	registry := &clients.Registry{Store: w.store, Audit: w.audit, AccessTTL: time.Hour, Now: time.Now}
	if _, err := registry.Update(t.Context(), "team", func(*clients.Client) {}); err == nil {
		t.Error("a client is registered with a reserved name")
	}
	w.alter(func(u *users.User) { u.Claims = `{"scope":"admin","sub":"root","tier":1}` })
	got := w.tokensOf(url.Values{"client_id": {"team"}, "grant_type": {"password"}, "username": {email}, "password": {password}})
	if c := claimsOf(t, got.Access); c["sub"] != w.uid || c["scope"] != nil || c["tier"] != 1.0 {
		t.Errorf("the token says %v", c)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(got.Access, ".")[1])
	must(t, err)
	if strings.Count(string(payload), `"sub"`) != 1 {
		t.Errorf("sub is there twice: %s", payload)
	}
}

// TestResetByOneTimeToken goes the way of a user whom an operator gave a token.
func TestResetByOneTimeToken(t *testing.T) {
	w := newWorld(t)
	before := w.login()
	token, _, err := w.users.IssueReset(t.Context(), w.uid, time.Hour, false)
	must(t, err)
	const next = "seventeen violet moons at anchor"
	reset := func(token, password string) int {
		return w.sendJSON("POST", "/auth/reset", "", map[string]string{"token": token, "new_password": password}).Code
	}
	for what, c := range map[string]struct {
		token, password string
		status          int
	}{
		"no token":        {"", next, 400},
		"another token":   {"kt_pr_" + strings.Repeat("A", 91), next, 403},
		"a weak password": {token, "short", 422},
	} {
		if status := reset(c.token, c.password); status != c.status {
			t.Errorf("%s: status %d, want %d", what, status, c.status)
		}
	}
	if status := reset(token, next); status != 200 {
		t.Fatalf("status %d", status)
	}
	if status := reset(token, next); status != 403 {
		t.Errorf("used again: status %d, want 403", status)
	}
	if w.post("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {before.Refresh}}).Code == 200 {
		t.Error("a session outlives the reset")
	}
	if code := w.post("/oauth/token", url.Values{"grant_type": {"password"}, "username": {email}, "password": {next}}).Code; code != 200 {
		t.Errorf("a login with the new password: %d", code)
	}
}

// TestF7_DeletingEndsEverySession deletes an account whose tokens are out.
func TestF7_DeletingEndsEverySession(t *testing.T) {
	w := newWorld(t)
	out := w.login()
	must(t, w.users.Delete(t.Context(), w.uid))
	if code := w.post("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {out.Refresh}}).Code; code != 400 {
		t.Errorf("refresh: status %d", code)
	}
	if got := read[map[string]any](t, w.post("/oauth/introspect", url.Values{"token": {out.Access}}), 200); got["active"] != false {
		t.Errorf("introspection: %v", got)
	}
	if code := w.sendJSON("GET", "/auth/me", out.Access, nil).Code; code != 401 {
		t.Errorf("me: status %d", code)
	}
	if code := w.post("/oauth/token", url.Values{"grant_type": {"password"}, "username": {email}, "password": {password}}).Code; code != 400 {
		t.Errorf("login: status %d", code)
	}
}
