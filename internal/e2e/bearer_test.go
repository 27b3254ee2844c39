package e2e

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

// TestBearerTokensRefused presents what is not a live access token to the
// endpoint that wants one (RFC 6750 §3).
func TestBearerTokensRefused(t *testing.T) {
	t.Parallel()
	s := openShop(t, newDeployment(t, "", "--first-party-client", "app"))
	session := s.login(t, s.public, email, password)
	own := s.grant(t, s.confidential, "grant_type", "client_credentials", "scope", "openid")
	narrow := s.grant(t, s.public, "grant_type", "password", "username", email, "password", password, "scope", "email")
	foreign := s.login(t, s.confidential, email, password)
	elsewhere := s.grant(t, s.public, "grant_type", "password", "username", email, "password", password, "resource", api)
	parts := strings.Split(session.AccessToken, ".")
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + parts[1] + "."

	const userinfo, me = "/oauth/userinfo", "/auth/me"
	for name, c := range map[string]struct {
		path   string
		header http.Header
		status int
		code   string
	}{
		"none":                    {userinfo, nil, 401, ""},
		"Basic":                   {userinfo, asClient(s.confidential), 401, ""},
		"empty":                   {userinfo, bearer(""), 400, "invalid_request"},
		"in the URL":              {userinfo + "?access_token=" + session.AccessToken, nil, 401, ""},
		"two headers":             {userinfo, http.Header{"Authorization": {"Bearer " + session.AccessToken, "Bearer x"}}, 400, "invalid_request"},
		"refresh token":           {userinfo, bearer(session.RefreshToken), 401, "invalid_token"},
		"not signed":              {userinfo, bearer(unsigned), 401, "invalid_token"},
		"signature of another":    {userinfo, bearer(parts[0] + "." + parts[1] + "." + strings.Split(own.AccessToken, ".")[2]), 401, "invalid_token"},
		"truncated":               {userinfo, bearer(session.AccessToken[:len(session.AccessToken)-4]), 401, "invalid_token"},
		"of no user":              {userinfo, bearer(own.AccessToken), 403, "insufficient_scope"},
		"narrowed to another":     {userinfo, bearer(elsewhere.AccessToken), 401, "invalid_token"},
		"me, narrowed to another": {me, bearer(elsewhere.AccessToken), 401, "invalid_token"},
		"without openid":          {userinfo, bearer(narrow.AccessToken), 403, "insufficient_scope"},
		"me, none":                {me, nil, 401, ""},
		"me, refresh token":       {me, bearer(session.RefreshToken), 401, "invalid_token"},
		"me, of no user":          {me, bearer(own.AccessToken), 403, "insufficient_scope"},
		"me, of another client's": {me, bearer(foreign.AccessToken), 403, "insufficient_scope"},
	} {
		t.Run(name, func(t *testing.T) {
			a := mustSend(t, "GET", s.url+c.path, c.header, "")
			challenge := a.header.Get("WWW-Authenticate")
			if a.status != c.status || !strings.HasPrefix(challenge, "Bearer ") {
				t.Errorf("status %d, WWW-Authenticate %q; want %d and a Bearer challenge", a.status, challenge, c.status)
			}
			if c.code == "" && strings.Contains(challenge, "error") || !strings.Contains(challenge, c.code) {
				t.Errorf("WWW-Authenticate %q; want the error %q", challenge, c.code)
			}
			checkNotStored(t, a)
		})
	}
	for name, token := range map[string]string{
		"an unsigned token": unsigned, "another client's refresh token": session.RefreshToken, "nonsense": "x",
	} {
		a, err := postForm(s.url+"/oauth/introspect", s.confidential, values("token", token))
		if err != nil {
			t.Fatal(err)
		}
		if a.status != http.StatusOK || a.body != `{"active":false}` {
			t.Errorf("introspection of %s: %d %s, want {\"active\":false} and nothing else", name, a.status, a.body)
		}
	}
}

// TestExpiredAccessToken waits until a token of one second's life has expired.
func TestExpiredAccessToken(t *testing.T) {
	t.Parallel()
	s := openShop(t, newDeployment(t, "", "--access-token-ttl", "1s"))
	session := s.login(t, s.public, email, password)
	var last answer
	eventually(t, "the access token has expired", func() bool {
		last = mustSend(t, "GET", s.url+"/oauth/userinfo", bearer(session.AccessToken), "")
		return last.status != http.StatusOK
	})
	if challenge := last.header.Get("WWW-Authenticate"); last.status != 401 || !strings.Contains(challenge, `error="invalid_token"`) {
		t.Errorf("status %d, WWW-Authenticate %q; want 401 and invalid_token", last.status, challenge)
	}
	if s.active(t, s.confidential, session.AccessToken) {
		t.Error("the expired token is alive to introspection")
	}
	s.grant(t, s.public, "grant_type", "refresh_token", "refresh_token", session.RefreshToken)
}

// TestRevocation revokes tokens of both kinds.
func TestRevocation(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		s := openShop(t, d)
		revoke := func(by credentials, token string, want int) {
			t.Helper()
			a, err := postForm(s.url+"/oauth/revoke", by, values("token", token))
			if err != nil {
				t.Fatal(err)
			}
			if a.status != want {
				t.Errorf("revocation: status %d %s, want %d", a.status, a.body, want)
			}
		}
		session := s.login(t, s.confidential, email, password)
		revoke(s.confidential, "unknown", 200)
		revoke(s.public, session.AccessToken, 400)
		revoke(s.public, session.RefreshToken, 400)
		revoke(s.confidential, session.AccessToken, 200)
		if s.active(t, s.confidential, session.AccessToken) || !s.active(t, s.confidential, session.RefreshToken) {
			t.Error("the revocation of the access token did not end it alone")
		}
		next := s.grant(t, s.confidential, "grant_type", "refresh_token", "refresh_token", session.RefreshToken)
		revoke(s.confidential, next.RefreshToken, 200)
		if s.active(t, s.confidential, next.AccessToken) || s.active(t, s.confidential, next.RefreshToken) {
			t.Error("the revocation of the refresh token did not end the session")
		}
	})
}
