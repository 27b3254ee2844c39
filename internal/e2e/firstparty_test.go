package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
)

// postJSON posts v, or v itself where it is text.
func postJSON(t *testing.T, url string, header http.Header, v any) answer {
	t.Helper()
	body, isText := v.(string)
	if !isText {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		body = string(b)
	}
	sent := http.Header{"Content-Type": {"application/json"}}
	maps.Copy(sent, header)
	return mustSend(t, "POST", url, sent, body)
}

// loginAnswer is what /auth/login and /auth/refresh answer.
type loginAnswer struct {
	Message string `json:"message"`
	tokens
	User struct{ Email, UID string } `json:"user"`
}

// checkProblem checks an answer in the form of RFC 9457.
func checkProblem(t *testing.T, what string, a answer, status int, detail string) {
	t.Helper()
	var got struct {
		Status int
		Detail string
	}
	a.decode(t, &got)
	if a.status != status || got.Status != status || detail != "" && got.Detail != detail || got.Detail == "" {
		t.Errorf("%s: status %d, %s; want %d %q", what, a.status, a.body, status, detail)
	}
	if media := a.header.Get("Content-Type"); media != "application/problem+json" {
		t.Errorf("%s: Content-Type %q, want application/problem+json", what, media)
	}
	checkNotStored(t, a)
}

// TestFirstPartyJourney goes from sign-up to logout.
func TestFirstPartyJourney(t *testing.T) {
	t.Parallel()
	onBothStores(t, []string{"--first-party-client", "app"}, func(t *testing.T, d *deployment) {
		d.addClient(t, "app", "--public", "--grant", "password", "--grant", "refresh_token", "--scope", scope, "--audience", api)
		s := d.serve(t)
		a := postJSON(t, s.url+"/auth/signup", nil, map[string]string{
			"email": email, "username": "ada", "first_name": "Ada", "last_name": "Lovelace", "password": password,
		})
		if a.status != http.StatusCreated || strings.Contains(a.body, password) {
			t.Fatalf("sign-up: %d %s", a.status, a.body)
		}
		login := s.firstLogin(t, password)

		a = mustSend(t, "GET", s.url+"/auth/me", bearer(login.AccessToken), "")
		if a.status != 200 || a.member(t, "uid") != login.User.UID || a.member(t, "email") != email || a.member(t, "first_name") != "Ada" {
			t.Errorf("me: %d %s", a.status, a.body)
		}
		a = postJSON(t, s.url+"/auth/refresh", nil, map[string]string{"refresh_token": login.RefreshToken})
		var refreshed loginAnswer
		a.decode(t, &refreshed)
		if a.status != 200 || refreshed.AccessToken == "" || refreshed.RefreshToken == "" || refreshed.RefreshToken == login.RefreshToken {
			t.Errorf("refresh: %d, %d and %d characters", a.status, len(refreshed.AccessToken), len(refreshed.RefreshToken))
		}
		s.changePassword(t, login)
		s.endSessions(t)
	})
}

// firstLogin logs in as a first-party page does.
func (s *server) firstLogin(t *testing.T, password string) loginAnswer {
	t.Helper()
	a := postJSON(t, s.url+"/auth/login", nil, map[string]string{"email": email, "password": password})
	var got loginAnswer
	a.decode(t, &got)
	if a.status != 200 || got.Message != "Login successful" || got.AccessToken == "" || got.RefreshToken == "" ||
		got.TokenType != "Bearer" || got.ExpiresIn != 3600 || got.User.Email != email || got.User.UID == "" {
		t.Fatalf("login: %d %s", a.status, a.body)
	}
	checkNotStored(t, a)
	return got
}

const newPassword = "violet anchor seventeen moons"

// changePassword changes the password in one session while another is open: the
// one that asks goes on.
func (s *server) changePassword(t *testing.T, asking loginAnswer) {
	t.Helper()
	other := s.firstLogin(t, password)
	change := func(current, next string) answer {
		return postJSON(t, s.url+"/auth/password", bearer(asking.AccessToken), map[string]string{"current_password": current, "new_password": next})
	}
	checkProblem(t, "a wrong current password", change("not the password at all", newPassword), 403, "Invalid email or password")
	checkProblem(t, "a short password", change(password, "short"), 422, "")
	if a := change(password, newPassword); a.status != 200 {
		t.Fatalf("password: %d %s", a.status, a.body)
	}
	if a := mustSend(t, "GET", s.url+"/auth/me", bearer(other.AccessToken), ""); a.status != 401 {
		t.Errorf("a session that the change of password ended still reads the account: %d", a.status)
	}
	if a := mustSend(t, "GET", s.url+"/auth/me", bearer(asking.AccessToken), ""); a.status != 200 {
		t.Errorf("the session that changed the password cannot go on: %d %s", a.status, a.body)
	}
	checkProblem(t, "the old password", postJSON(t, s.url+"/auth/login", nil, map[string]string{"email": email, "password": password}), 403, "Invalid email or password")
}

// endSessions lists sessions and ends them one by one, all others, and the own.
func (s *server) endSessions(t *testing.T) {
	t.Helper()
	here, second, third := s.firstLogin(t, newPassword), s.firstLogin(t, newPassword), s.firstLogin(t, newPassword)
	var list struct {
		Sessions []struct {
			ID      string
			Current bool
		}
	}
	alive := func(who loginAnswer) bool {
		return mustSend(t, "GET", s.url+"/auth/me", bearer(who.AccessToken), "").status == 200
	}
	mustSend(t, "GET", s.url+"/auth/sessions", bearer(third.AccessToken), "").decode(t, &list)
	id := ""
	for _, session := range list.Sessions {
		if session.Current {
			id = session.ID
		}
	}
	if len(list.Sessions) != 4 || id == "" {
		t.Fatalf("the list of sessions is %+v; want 4, one of them current", list)
	}
	if a := mustSend(t, "DELETE", s.url+"/auth/sessions/"+id, bearer(here.AccessToken), ""); a.status != 204 || alive(third) || !alive(second) {
		t.Errorf("ending one session: %d %s; want that one over", a.status, a.body)
	}
	checkProblem(t, "ending no session of one's own",
		mustSend(t, "DELETE", s.url+"/auth/sessions/0190a0a0-0000-7000-8000-000000000000", bearer(here.AccessToken), ""), 404, "")
	if a := mustSend(t, "DELETE", s.url+"/auth/sessions", bearer(here.AccessToken), ""); a.status != 200 || alive(second) || !alive(here) {
		t.Errorf("ending all other sessions: %d %s; want only the own alive", a.status, a.body)
	}
	if a := mustSend(t, "POST", s.url+"/auth/logout", bearer(here.AccessToken), ""); a.status != 204 || alive(here) {
		t.Errorf("logout: %d %s; want the session over", a.status, a.body)
	}
	checkProblem(t, "a refresh after logout",
		postJSON(t, s.url+"/auth/refresh", nil, map[string]string{"refresh_token": here.RefreshToken}), 403, "")
}

// TestFirstPartyRefusals sends what the /auth routes do not take.
func TestFirstPartyRefusals(t *testing.T) {
	t.Parallel()
	s := openShop(t, newDeployment(t, "", "--first-party-client", "app"))
	account := func(email, username, password string) map[string]string {
		return map[string]string{"email": email, "username": username, "password": password}
	}
	const fresh = "grace@example.com"
	for name, c := range map[string]struct {
		path   string
		body   any
		status int
		detail string
	}{
		"wrong password":      {"/auth/login", map[string]string{"email": email, "password": "x"}, 403, "Invalid email or password"},
		"unknown user":        {"/auth/login", map[string]string{"email": fresh, "password": "x"}, 403, "Invalid email or password"},
		"no password":         {"/auth/login", map[string]string{"email": email}, 400, ""},
		"no e-mail":           {"/auth/login", map[string]string{"password": password}, 400, ""},
		"not JSON":            {"/auth/login", "email=" + email, 400, ""},
		"empty":               {"/auth/login", "", 400, ""},
		"wrong type":          {"/auth/login", `{"email":1,"password":"x"}`, 400, ""},
		"two values":          {"/auth/login", `{"email":"a","password":"b"}{}`, 400, ""},
		"unknown member":      {"/auth/login", `{"email":"a","password":"b","admin":true}`, 400, ""},
		"oversized":           {"/auth/login", `{"email":"` + strings.Repeat("x", 64<<10) + `"}`, 413, ""},
		"sign-up, not JSON":   {"/auth/signup", "{", 400, ""},
		"e-mail taken":        {"/auth/signup", account("ADA@example.com", "", password), 409, ""},
		"username taken":      {"/auth/signup", account(fresh, "Ada", password), 409, ""},
		"no address":          {"/auth/signup", account("grace", "", password), 422, ""},
		"short password":      {"/auth/signup", account(fresh, "", "14 characters."), 422, ""},
		"common password":     {"/auth/signup", account(fresh, "", "passwordpassword"), 422, ""},
		"own name":            {"/auth/signup", account(fresh, "gracehopper1906navy", "gracehopper1906navy"), 422, ""},
		"no refresh token":    {"/auth/refresh", "{}", 400, ""},
		"forged refresh":      {"/auth/refresh", map[string]string{"refresh_token": forged()}, 403, ""},
		"access for refresh":  {"/auth/refresh", map[string]string{"refresh_token": "eyJhbGciOiJFUzI1NiJ9.e30.AA"}, 403, ""},
		"nothing at the path": {"/auth/nothing", "{}", 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			checkProblem(t, name, postJSON(t, s.url+c.path, nil, c.body), c.status, c.detail)
		})
	}
	a := mustSend(t, "POST", s.url+"/auth/login", http.Header{"Content-Type": {"text/plain"}}, "{}")
	checkProblem(t, "text", a, http.StatusUnsupportedMediaType, "")
}

// TestFirstPartyNeedsClient serves without the setting that the routes need.
func TestFirstPartyNeedsClient(t *testing.T) {
	t.Parallel()
	s := newDeployment(t, "").serve(t)
	for _, path := range []string{"/auth/login", "/auth/signup", "/auth/refresh"} {
		checkProblem(t, path, postJSON(t, s.url+path, nil, "{}"), 404, "")
	}
}
