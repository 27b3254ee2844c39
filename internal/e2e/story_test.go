package e2e

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/dpop/dpoptest"
)

// storyteller sends requests that look the same in the log each time.
type storyteller struct {
	*shop
	t *testing.T
	// ip and agent are whose requests these are.
	ip, agent string
	// proof is the DPoP proof of the next request.
	proof string
	// cookies are those of the browser that sends the next request.
	cookies string
}

func (s storyteller) as(ip, agent string) storyteller {
	s.ip, s.agent = ip, agent
	return s
}

func (s storyteller) send(method, path, authorization, contentType, body string, status int) answer {
	s.t.Helper()
	header := http.Header{"X-Forwarded-For": {s.ip}, "User-Agent": {s.agent}}
	if authorization != "" {
		header.Set("Authorization", authorization)
	}
	if s.proof != "" {
		header.Set("DPoP", s.proof)
	}
	if s.cookies != "" {
		header.Set("Cookie", s.cookies)
	}
	if contentType != "" {
		header.Set("Content-Type", contentType)
	}
	a := mustSend(s.t, method, s.url+path, header, body)
	if a.status != status {
		s.t.Fatalf("%s %s: status %d, want %d: %s", method, path, a.status, status, a.body)
	}
	return a
}

// form posts a form as the shop's confidential client.
func (s storyteller) form(path string, form url.Values, status int) (got tokens) {
	s.t.Helper()
	a := s.send("POST", path, basic(s.confidential), formType, form.Encode(), status)
	if status == http.StatusOK && strings.HasPrefix(a.body, "{") {
		a.decode(s.t, &got)
	}
	return got
}

func (s storyteller) json(method, path, token string, v any, status int) (got loginAnswer) {
	s.t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		s.t.Fatal(err)
	}
	authorization, contentType, body := "", "", ""
	if token != "" {
		authorization = "Bearer " + token
	}
	if v != nil {
		contentType, body = "application/json", string(text)
	}
	if a := s.send(method, path, authorization, contentType, body, status); status == http.StatusOK {
		a.decode(s.t, &got)
	}
	return got
}

const (
	adasIP, adasPhone = "198.51.100.7", "Shop/4.2 (Android 16; Pixel 9)"
	thiefIP           = "203.0.113.66"
)

// tellStory has everything done that a log can tell of but the life of the keys,
// and returns the log.
func tellStory(t *testing.T) []string {
	t.Helper()
	d := newDeployment(t, "", "--first-party-client", "app", "--trusted-proxies", "127.0.0.1", "--retry-window", "0s", "--client-jwks-networks", "127.0.0.0/8")
	s := storyteller{openShop(t, d), t, adasIP, adasPhone, "", ""}
	s.tellTokens()
	s.tellBound()
	s.tellUndelivered()
	s.tellPage()
	s.tellFirstParty()
	s.tellUsers()
	s.tellClientsAndKeys()
	s.stop(t)
	target := "sqlite:" + filepath.Join(d.dir, "copy.db")
	d.must(t, nil, "store", "copy", "--from", d.store, "--to", target)
	other := newDeployment(t, "")
	other.addUser(t, "eve@example.com", password)
	if o := d.run(t, "store", "copy", "--from", other.store, "--to", target); o.code == 0 {
		t.Error("a store was copied over another's")
	}
	d.must(t, nil, "store", "restored", "--unsigned", d.auditLog)
	s.tellHungRequest()
	return strings.Split(strings.TrimSpace(readFile(t, d.auditLog)), "\n")
}

func (s storyteller) tellTokens() {
	const token = "/oauth/token"
	login := values("grant_type", "password", "username", email, "password", password)
	refresh := func(token string) url.Values { return values("grant_type", "refresh_token", "refresh_token", token) }
	first := s.form(token, login, 200)
	s.form(token, refresh(first.RefreshToken), 200)
	s.as(thiefIP, "python-requests/2.32").form(token, refresh(first.RefreshToken), 400)
	s.as(thiefIP, "python-requests/2.32").form(token, values("grant_type", "password", "username", email, "password", "a guess"), 400)
	held := s.form(token, login, 200)
	shop := s.as("192.0.2.20", "orders-api/1.9")
	shop.form("/oauth/introspect", values("token", held.AccessToken), 200)
	shop.json("GET", "/oauth/userinfo", held.AccessToken, nil, 200)
	shop.json("GET", "/oauth/userinfo", "", nil, 401)
	s.form("/oauth/revoke", values("token", held.AccessToken), 200)
}

// formToken is in every form of a page.
var formToken = regexp.MustCompile(`name="token" value="([^"]+)"`)

// userToken is the user who is asked for consent.
var userToken = regexp.MustCompile(`name="user" value="([^"]+)"`)

// tellPage has a user log in at the page, for an application of a third party, and log
// out.
func (s storyteller) tellPage() {
	wiki := s.deployment.addClient(s.t, "wiki", "--third-party", "--grant", "authorization_code", "--redirect-uri", "https://wiki.example.com/callback", "--scope", "openid email")
	browser := s.as(adasIP, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	asks := values("response_type", "code", "client_id", "wiki", "redirect_uri", "https://wiki.example.com/callback",
		"code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method", "S256")
	s.as("192.0.2.30", "wiki/3.1").send("POST", "/oauth/par", basic(wiki), formType, asks.Encode(), 201)
	token := formToken.FindStringSubmatch(browser.send("GET", "/account", "", "", "", 200).body)
	if token == nil {
		s.t.Fatal("the page has no form")
	}
	browser.cookies = "keyturn-form=" + token[1]
	in := browser.send("POST", "/account/login", "", formType, values("token", token[1], "username", email, "password", password).Encode(), 303)
	session, _, _ := strings.Cut(in.header.Get("Set-Cookie"), ";")
	browser.cookies += "; " + session
	uid := userToken.FindStringSubmatch(browser.send("GET", "/oauth/authorize?"+asks.Encode(), "", "", "", 200).body)
	if uid == nil {
		s.t.Fatal("nobody is asked for consent")
	}
	browser.send("POST", "/account/consent", "", formType, values("token", token[1], "user", uid[1], "request", asks.Encode(), "decision", "allow").Encode(), 303)
	browser.send("GET", "/oauth/authorize?"+asks.Encode(), "", "", "", 303)
	browser.send("GET", "/account/applications", "", "", "", 200)
	browser.send("POST", "/account/applications", "", formType, values("token", token[1], "application", "wiki").Encode(), 303)
	browser.send("POST", "/account/logout", "", formType, values("token", token[1]).Encode(), 200)
}

// tellBound has a thief present a refresh token that is bound to a key.
func (s storyteller) tellBound() {
	owner := s
	owner.proof = dpoptest.New(s.t, "ES256").Prove(s.t, dpoptest.For("POST", s.url+"/auth/login"))
	held := owner.json("POST", "/auth/login", "", map[string]string{"email": email, "password": password}, 200)
	s.as(thiefIP, "python-requests/2.32").json("POST", "/auth/refresh", "", map[string]string{"refresh_token": held.RefreshToken}, 401)
}

// tellUndelivered ends a session of an application that wants to be told of none.
func (s storyteller) tellUndelivered() {
	gone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }))
	defer gone.Close()
	s.deployment.must(s.t, nil, "clients", "add", "legacy", "--public", "--grant", "password", "--grant", "refresh_token", "--backchannel-logout-uri", gone.URL)
	phone := s.as(adasIP, adasPhone)
	var got tokens
	phone.send("POST", "/oauth/token", "", formType, values("grant_type", "password", "username", email, "password", password, "client_id", "legacy").Encode(), 200).decode(s.t, &got)
	phone.send("POST", "/oauth/revoke", "", formType, values("token", got.RefreshToken, "client_id", "legacy").Encode(), 200)
	eventually(s.t, "the application's answer is in the log", func() bool {
		return pick(strings.Split(readFile(s.t, s.deployment.auditLog), "\n"), audit.LogoutUndelivered, audit.Failure) != ""
	})
}

func (s storyteller) tellFirstParty() {
	const grace, next = "grace@example.com", "a compiler for plain English"
	s.json("POST", "/auth/signup", "", map[string]string{"email": grace, "password": password}, 201)
	got := s.json("POST", "/auth/login", "", map[string]string{"email": grace, "password": password}, 200)
	s.json("GET", "/auth/me", got.AccessToken, nil, 200)
	s.json("GET", "/auth/sessions", got.AccessToken, nil, 200)
	s.tellFactors(grace, got.AccessToken)
	s.json("POST", "/auth/password", got.AccessToken, map[string]string{"current_password": password, "new_password": next}, 200)
	s.json("POST", "/auth/logout", got.AccessToken, nil, 204)
	var made struct{ Token string }
	s.must(s.t, &made, "users", "reset", grace)
	s.json("POST", "/auth/reset", "", map[string]string{"token": made.Token, "new_password": password}, 200)
}

// tellFactors has a user enrol a second factor, log in with it and remove it.
func (s storyteller) tellFactors(email, token string) {
	post := func(path string, body any, status int) answer {
		text, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		authorization := "Bearer " + token
		if strings.HasPrefix(path, "/auth/login") {
			authorization = ""
		}
		return s.send("POST", path, authorization, "application/json", string(text), status)
	}
	var made struct {
		ID, Secret, Challenge string
		Codes                 []string `json:"recovery_codes"`
	}
	s.send("GET", "/auth/factors/totp", "Bearer "+token, "", "", 200).decode(s.t, &made)
	post("/auth/factors", map[string]string{"challenge": made.Challenge, "code": totp(s.t, made.Secret, 0), "name": "phone"}, 201).decode(s.t, &made)
	post("/auth/login", map[string]string{"email": email, "password": password}, 403).decode(s.t, &made)
	post("/auth/login/factor", map[string]string{"challenge": made.Challenge, "code": made.Codes[0]}, 200)
	s.json("POST", "/auth/recovery-codes", token, nil, 200)
	s.json("DELETE", "/auth/factors/"+made.ID, token, nil, 204)
	s.send("GET", "/auth/factors/totp", "Bearer "+token, "", "", 200).decode(s.t, &made)
	post("/auth/factors", map[string]string{"challenge": made.Challenge, "code": totp(s.t, made.Secret, 0), "name": "tablet"}, 201)
	var list []struct{ ID, Kind, Name string }
	s.must(s.t, &list, "users", "factors", email)
	if len(list) != 1 || list[0].Kind != "totp" || list[0].Name != "tablet" {
		s.t.Errorf("%+v", list)
	}
	s.must(s.t, nil, "users", "factors", email, "--remove", list[0].ID)
	if o := s.run(s.t, "users", "factors", email, "--remove", made.ID); o.code == 0 {
		s.t.Error("a second factor was removed twice")
	}
	s.must(s.t, nil, "users", "factors", email, "--remove-all")
}

func (s storyteller) tellUsers() {
	const alan = "alan@example.com"
	accounts, fresh := filepath.Join(s.t.TempDir(), "accounts.jsonl"), filepath.Join(s.t.TempDir(), "password")
	writeFile(s.t, accounts, `{"email":"`+alan+`","password":"`+password+`"}`+"\n")
	writeFile(s.t, fresh, "the machine answers\n")
	s.must(s.t, nil, "users", "import", accounts)
	s.must(s.t, nil, "users", "claims", alan, "--role", "admin", "--claim", "department=engines")
	s.must(s.t, nil, "users", "passwd", alan, "--password-file", fresh)
	var held struct {
		Token string `json:"access_token"`
	}
	s.send("POST", "/auth/login", "", "application/json", `{"email":"`+alan+`","password":"the machine answers"}`, 200).decode(s.t, &held)
	s.json("DELETE", "/auth/me", held.Token, nil, 200)
	s.must(s.t, nil, "users", "logout", email)
	s.must(s.t, nil, "users", "disable", alan)
	s.must(s.t, nil, "users", "enable", alan)
	s.must(s.t, nil, "users", "export", filepath.Join(s.t.TempDir(), "all.jsonl"))
	s.must(s.t, nil, "users", "reset", alan, "--force")
	s.must(s.t, nil, "users", "factors", alan, "--require")
	s.must(s.t, nil, "users", "factors", alan, "--no-require")
	s.must(s.t, nil, "users", "delete", alan)
}

func (s storyteller) tellClientsAndKeys() {
	s.must(s.t, nil, "clients", "update", "shop", "--scope", "openid email")
	s.must(s.t, nil, "clients", "rotate-secret", "shop")
	s.must(s.t, nil, "clients", "disable", "shop")
	s.must(s.t, nil, "keys", "rotate")
	var list []struct{ KID, State string }
	s.must(s.t, &list, "keys", "list")
	s.must(s.t, nil, "keys", "revoke", list[0].KID, "--reason", "the backup disk was lost")
	old := readFile(s.t, s.masterKeys)
	newMasterKeys(s.t, s.masterKeys)
	writeFile(s.t, s.masterKeys, readFile(s.t, s.masterKeys)+old)
	s.must(s.t, nil, "keys", "rewrap")
}

// tellHungRequest has a server stop while a request does not end.
func (s storyteller) tellHungRequest() {
	hung := s.serve(s.t, "--shutdown-timeout", "50ms")
	c, err := net.Dial("tcp", strings.TrimPrefix(hung.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: " + formType + "\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")); err != nil {
		s.t.Fatal(err)
	}
	// The server asks for the body when a handler waits for it. A request whose
	// head it has yet to read would not be under way.
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		s.t.Fatalf("%q, %v; want 100 Continue", line, err)
	}
	hung.end(s.t, syscall.SIGTERM)
}

// losses lets a server lose events while its disk is full and returns the log.
func losses(t *testing.T) []string {
	t.Helper()
	d := newDeployment(t, "", "--audit-buffer", "1", "--audit-loss", "2")
	l := d.auditLink(t)
	s := openShop(t, d)
	l.lead("/dev/full")
	for range 3 {
		s.grant(t, s.confidential, "grant_type", "client_credentials")
	}
	l.lead(l.real)
	eventually(t, "the loss is in the log", func() bool {
		return strings.Contains(readFile(t, l.real), `"audit-events-lost"`)
	})
	s.stop(t)
	return strings.Split(strings.TrimSpace(readFile(t, l.real)), "\n")
}

// resumption lets a log get full and have room again while nobody asks for
// anything, and returns it.
func resumption(t *testing.T) []string {
	t.Helper()
	d := newDeployment(t, "")
	l := d.auditLink(t)
	s := openShop(t, d)
	l.lead("/dev/full")
	s.refuses(t, "client credentials", s.confidential, "/oauth/token", "grant_type", "client_credentials")
	l.lead(l.real)
	eventually(t, "the log says that it goes on", func() bool {
		return strings.Contains(readFile(t, l.real), `"audit-log-resumed"`)
	})
	s.stop(t)
	return strings.Split(strings.TrimSpace(readFile(t, l.real)), "\n")
}

// keyLives lets a key live its whole life in seconds and returns the log.
func keyLives(t *testing.T) []string {
	t.Helper()
	d := newDeployment(t, "", "--key-rotation-interval", "4s", "--key-publish-lead", "2s", "--jwks-max-age", "1s",
		"--key-poll-interval", "200ms", "--clock-skew", "500ms", "--access-token-ttl", "1s")
	s := d.serve(t)
	if !poll(s.exited, func() bool { return strings.Contains(readFile(t, d.auditLog), `"key-archived"`) }) {
		t.Error("no key was archived")
	}
	s.stop(t)
	return strings.Split(strings.TrimSpace(readFile(t, d.auditLog)), "\n")
}
