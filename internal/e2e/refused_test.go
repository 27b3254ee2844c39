package e2e

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// exchange is a request to an OAuth endpoint and the refusal that it must get.
type exchange struct {
	path string
	// header is sent as it is; a form's content type is added where none is
	// given.
	header http.Header
	body   string
	status int
	code   string
}

// asClient authenticates by the header.
func asClient(by credentials) http.Header { return http.Header{"Authorization": {basic(by)}} }

// refuse sends every request and checks what all refusals of the OAuth
// endpoints share (RFC 6749 §5.2) and what is particular.
func refuse(t *testing.T, s *server, exchanges map[string]exchange) {
	for name, e := range exchanges {
		t.Run(name, func(t *testing.T) {
			header := http.Header{"Content-Type": {formType}}
			maps.Copy(header, e.header)
			a := mustSend(t, "POST", s.url+e.path, header, e.body)
			checkRefusal(t, a, e.status, e.code)
		})
	}
}

func checkRefusal(t *testing.T, a answer, status int, code string) {
	t.Helper()
	if a.status != status || a.member(t, "error") != code {
		t.Errorf("answered %d %s, want %d %s", a.status, a.body, status, code)
	}
	if a.member(t, "error_description") == "" {
		t.Error("no error_description")
	}
	if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q, want application/json", got)
	}
	checkNotStored(t, a)
	challenge := a.header.Get("WWW-Authenticate")
	if (status == http.StatusUnauthorized) != strings.HasPrefix(challenge, "Basic ") {
		t.Errorf("status %d with WWW-Authenticate %q; want a Basic challenge with 401 only", status, challenge)
	}
}

// checkNotStored checks that no cache may keep an answer (RFC 6749 §5.1).
func checkNotStored(t *testing.T, a answer) {
	t.Helper()
	if cc, pragma := a.header.Get("Cache-Control"), a.header.Get("Pragma"); cc != "no-store" || pragma != "no-cache" {
		t.Errorf("Cache-Control %q and Pragma %q, want no-store and no-cache", cc, pragma)
	}
}

func TestTokenRequestsRefused(t *testing.T) {
	t.Parallel()
	s := openShop(t, newDeployment(t, "", "--login-throttle", "off"))
	disabled := s.addClient(t, "disabled", "--grant", "client_credentials")
	reader := s.addClient(t, "reader", "--grant", "client_credentials")
	s.must(t, nil, "clients", "disable", disabled.id)
	wrong := credentials{s.confidential.id, disabled.secret}

	const token = "/oauth/token"
	const own = "grant_type=client_credentials"
	login := values("grant_type", "password", "username", email, "password", password)
	shop := asClient(s.confidential)
	refuse(t, s.server, map[string]exchange{
		"malformed form":     {token, shop, "grant_type=%zz", 400, "invalid_request"},
		"semicolons":         {token, shop, "grant_type=client_credentials;scope=openid", 400, "invalid_request"},
		"repeated parameter": {token, shop, own + "&grant_type=password", 400, "invalid_request"},
		"repeated unknown":   {token, shop, own + "&x=1&x=2", 400, "invalid_request"},
		"JSON":               {token, http.Header{"Authorization": shop["Authorization"], "Content-Type": {"application/json"}}, `{"grant_type":"password"}`, 400, "invalid_request"},
		"no content type":    {token, http.Header{"Authorization": shop["Authorization"], "Content-Type": nil}, own, 400, "invalid_request"},
		"another charset":    {token, http.Header{"Authorization": shop["Authorization"], "Content-Type": {formType + "; charset=utf-16"}}, own, 400, "invalid_request"},
		"oversized body":     {token, shop, own + "&x=" + strings.Repeat("x", 64<<10), 413, "invalid_request"},
		"not text":           {token, shop, "grant_type=password&username=%ff&password=x", 400, "invalid_request"},
		"in the URL":         {token + "?" + login.Encode(), shop, "", 400, "invalid_request"},
		"secret in the URL":  {token + "?client_secret=x", shop, own, 400, "invalid_request"},

		"empty body":       {token, shop, "", 400, "invalid_request"},
		"no grant type":    {token, shop, "scope=openid", 400, "invalid_request"},
		"empty grant type": {token, shop, "grant_type=", 400, "invalid_request"},
		"unknown grant":    {token, shop, "grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=x", 400, "unsupported_grant_type"},
		"grant not given":  {token, asClient(reader), login.Encode(), 400, "unauthorized_client"},
		"no username":      {token, shop, "grant_type=password&password=x", 400, "invalid_request"},
		"no password":      {token, shop, "grant_type=password&username=x", 400, "invalid_request"},
		"no refresh token": {token, shop, "grant_type=refresh_token", 400, "invalid_request"},
		"wrong password":   {token, shop, "grant_type=password&username=" + email + "&password=x", 400, "invalid_grant"},
		"scope not given":  {token, shop, own + "&scope=openid+admin", 400, "invalid_scope"},
		"malformed scope":  {token, shop, own + "&scope=a%22b", 400, "invalid_scope"},
		"resource foreign": {token, shop, own + "&resource=https://other.example.com", 400, "invalid_target"},

		"no client":               {token, nil, own, 401, "invalid_client"},
		"unknown client":          {token, asClient(credentials{"nobody", s.confidential.secret}), own, 401, "invalid_client"},
		"unknown client by id":    {token, nil, own + "&client_id=nobody", 401, "invalid_client"},
		"disabled client":         {token, asClient(disabled), own, 401, "invalid_client"},
		"wrong secret":            {token, asClient(wrong), own, 401, "invalid_client"},
		"wrong secret in body":    {token, nil, own + "&client_id=shop&client_secret=" + disabled.secret, 401, "invalid_client"},
		"no secret":               {token, nil, own + "&client_id=shop", 401, "invalid_client"},
		"secret of a public one":  {token, asClient(credentials{s.public.id, "x"}), login.Encode(), 401, "invalid_client"},
		"public, own grant":       {token, nil, own + "&client_id=app", 400, "unauthorized_client"},
		"not Basic":               {token, bearer("x"), own, 401, "invalid_client"},
		"Basic not base64":        {token, http.Header{"Authorization": {"Basic *"}}, own, 401, "invalid_client"},
		"Basic without a colon":   {token, http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("shop"))}}, own, 401, "invalid_client"},
		"two methods":             {token, shop, own + "&client_id=shop&client_secret=" + s.confidential.secret, 400, "invalid_request"},
		"two clients":             {token, shop, own + "&client_id=app", 400, "invalid_request"},
		"two headers":             {token, http.Header{"Authorization": {basic(s.confidential), basic(s.confidential)}}, own, 400, "invalid_request"},
		"introspect, no client":   {"/oauth/introspect", nil, "token=x", 401, "invalid_client"},
		"introspect, public":      {"/oauth/introspect", nil, "token=x&client_id=app", 401, "invalid_client"},
		"introspect, no token":    {"/oauth/introspect", shop, "", 400, "invalid_request"},
		"introspect, malformed":   {"/oauth/introspect", shop, "token=%", 400, "invalid_request"},
		"introspect, in the URL":  {"/oauth/introspect?token=x", shop, "", 400, "invalid_request"},
		"revoke, no client":       {"/oauth/revoke", nil, "token=x", 401, "invalid_client"},
		"revoke, unknown client":  {"/oauth/revoke", nil, "token=x&client_id=nobody", 401, "invalid_client"},
		"revoke, no token":        {"/oauth/revoke", shop, "", 400, "invalid_request"},
		"revoke, repeated tokens": {"/oauth/revoke", shop, "token=x&token=y", 400, "invalid_request"},
	})
	s.stop(t)
	s.checkAudit(t)
	checkNoSecrets(t, "the server's log", s.stderr.String())
}

// TestOnlyPOST asks the token endpoint by every other method.
func TestOnlyPOST(t *testing.T) {
	t.Parallel()
	s := newDeployment(t, "").serve(t)
	for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"} {
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
			a := mustSend(t, method, s.url+path, nil, "")
			if allow := a.header.Get("Allow"); a.status != http.StatusMethodNotAllowed || !slices.Contains(strings.Split(allow, ", "), "POST") {
				t.Errorf("%s %s: status %d, Allow %q; want 405 and POST", method, path, a.status, allow)
			}
			checkNotStored(t, a)
		}
	}
}

// TestRefreshTokensRefused presents what is not, or not the client's, refresh
// token. All are answered alike.
func TestRefreshTokensRefused(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		s := openShop(t, d)
		session := s.login(t, s.confidential, email, password)
		token := session.RefreshToken
		other := s.login(t, s.public, email, password)
		exchanges := map[string]exchange{}
		for name, presented := range map[string]string{
			"not one": "x", "prefix alone": "kt_rt_", "truncated": token[:len(token)-1], "longer": token + "A",
			"changed": change(token), "forged": forged(), "access token": session.AccessToken,
			"another client's": other.RefreshToken,
		} {
			form := values("grant_type", "refresh_token", "refresh_token", presented)
			exchanges[name] = exchange{"/oauth/token", asClient(s.confidential), form.Encode(), 400, "invalid_grant"}
		}
		refuse(t, s.server, exchanges)

		// Only the session whose token was in the wrong hands has ended.
		s.grant(t, s.confidential, "grant_type", "refresh_token", "refresh_token", token)
		a, err := postForm(s.url+"/oauth/token", s.public, values("grant_type", "refresh_token", "refresh_token", other.RefreshToken))
		if err != nil {
			t.Fatal(err)
		}
		checkRefusal(t, a, 400, "invalid_grant")
	})
}

// change alters one character in the midst of a token.
func change(token string) string {
	b := []byte(token)
	at, other := len(b)/2, byte('A')
	if b[at] == other {
		other = 'B'
	}
	b[at] = other
	return string(b)
}

// forged is a refresh token in the right form with the right checksum, made by
// somebody else.
func forged() string {
	raw := make([]byte, 62, 66)
	raw = binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	return "kt_rt_" + base64.RawURLEncoding.EncodeToString(raw)
}

// TestF3_ReuseEndsTheSession spends a token, its successor, and the token again.
func TestF3_ReuseEndsTheSession(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		s := openShop(t, d)
		spend := func(token string) (answer, error) {
			return postForm(s.url+"/oauth/token", s.public, values("grant_type", "refresh_token", "refresh_token", token))
		}
		first := s.login(t, s.public, email, password)
		second := s.grant(t, s.public, "grant_type", "refresh_token", "refresh_token", first.RefreshToken)
		// A retry yields the same successor (F2).
		if retried := s.grant(t, s.public, "grant_type", "refresh_token", "refresh_token", first.RefreshToken); retried.RefreshToken != second.RefreshToken {
			t.Error("a retry yielded another successor")
		}
		third := s.grant(t, s.public, "grant_type", "refresh_token", "refresh_token", second.RefreshToken)
		for _, token := range []string{first.RefreshToken, third.RefreshToken} {
			a, err := spend(token)
			if err != nil {
				t.Fatal(err)
			}
			checkRefusal(t, a, 400, "invalid_grant")
		}
		if s.active(t, s.confidential, third.AccessToken) {
			t.Error("the access token of the session that ended is alive to introspection")
		}
		s.stop(t)
		if log := readFile(t, s.auditLog); strings.Count(log, `"token-reuse"`) != 1 {
			t.Errorf("want one event token-reuse in\n%s", log)
		}
	})
}

// TestU1_DisabledUserLooksLikeWrongPassword compares whole answers.
func TestU1_DisabledUserLooksLikeWrongPassword(t *testing.T) {
	t.Parallel()
	s := openShop(t, newDeployment(t, "", "--first-party-client", "app"))
	const gone = "grace@example.com"
	s.addUser(t, gone, password)
	session := s.login(t, s.public, gone, password)
	s.must(t, nil, "users", "disable", gone)

	token := func(username, password string) answer {
		a, err := postForm(s.url+"/oauth/token", s.confidential, values("grant_type", "password", "username", username, "password", password))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := func(username, password string) answer {
		return postJSON(t, s.url+"/auth/login", nil, map[string]string{"email": username, "password": password})
	}
	for name, login := range map[string]func(string, string) answer{"/oauth/token": token, "/auth/login": first} {
		wrong := login(email, "not the password of ada")
		for who, a := range map[string]answer{
			"a disabled user": login(gone, password), "a disabled user with a wrong password": login(gone, "not the password"),
			"an unknown user": login("nobody@example.com", password), "an invalid address": login("nobody", password),
		} {
			if a.status != wrong.status || a.body != wrong.body || !sameHeaders(a, wrong) {
				t.Errorf("%s answers %s\n%d %v %s, and a wrong password\n%d %v %s",
					name, who, a.status, a.header, a.body, wrong.status, wrong.header, wrong.body)
			}
		}
	}
	// The sessions that a disabled user had are over as well (F7).
	a, err := postForm(s.url+"/oauth/token", s.public, values("grant_type", "refresh_token", "refresh_token", session.RefreshToken))
	if err != nil {
		t.Fatal(err)
	}
	checkRefusal(t, a, 400, "invalid_grant")
}

// sameHeaders compares headers but for those that differ with every answer.
func sameHeaders(a, b answer) bool {
	names := func(h http.Header) []string {
		var list []string
		for name, values := range h {
			if name != "Date" && name != "X-Request-Id" {
				list = append(list, name+": "+strings.Join(values, ", "))
			}
		}
		slices.Sort(list)
		return list
	}
	return slices.Equal(names(a.header), names(b.header))
}

// TestU4_GuessingIsSlowed guesses until the server asks to wait.
func TestU4_GuessingIsSlowed(t *testing.T) {
	t.Parallel()
	s := openShop(t, newDeployment(t, ""))
	const free, most = 5, 30
	for n := range most {
		a, err := postForm(s.url+"/oauth/token", s.public, values("grant_type", "password", "username", email, "password", "a wrong password"))
		if err != nil {
			t.Fatal(err)
		}
		if a.status == http.StatusTooManyRequests {
			if n < free || a.header.Get("Retry-After") == "" {
				t.Errorf("attempt %d was answered 429 with Retry-After %q", n+1, a.header.Get("Retry-After"))
			}
			return
		}
		checkRefusal(t, a, 400, "invalid_grant")
	}
	t.Errorf("%d guesses in a row were all judged", most)
}
