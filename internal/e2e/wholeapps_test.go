//go:build interop

package e2e

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// theShop and theNotes are where docs/clients.md has the two applications that are
// whole: one on a server, one in the browser alone.
const (
	theShop  = "// A web application"
	theNotes = "<title>Notes</title>"
)

// beginning is the server that docs/clients.md starts for its two applications, with the
// addresses that stand here for those of the page.
type beginning struct {
	*demo
	shop, notes string
	stands      *strings.Replacer
}

// begin starts the server, which wants a nonce in every proof as well.
func begin(t *testing.T) *beginning {
	t.Helper()
	address, shop, notes := freePort(t), freePort(t), freePort(t)
	_, port, err := net.SplitHostPort(notes)
	if err != nil {
		t.Fatal(err)
	}
	b := &beginning{shop: "http://" + shop, notes: "http://" + notes, stands: strings.NewReplacer(
		"127.0.0.1:8080", address, "127.0.0.1:3000", shop, "127.0.0.1:5173", notes, "http.server 5173", "http.server "+port)}
	program, flags, _ := strings.Cut(strings.TrimSpace(b.block(t, "keyturn serve --dev")), " ")
	if program != "keyturn" {
		t.Fatalf("the server is started by %s", program)
	}
	b.demo = startDemo(t, &server{url: "http://" + address,
		args: append(strings.Fields(flags), "--listen", address, "--admin-listen", "off", "--dpop-nonce=true")})
	return b
}

// block is the one block of docs/clients.md that has a text.
func (b *beginning) block(t *testing.T, has string) string {
	t.Helper()
	return b.stands.Replace(blockOf(t, "clients.md", has))
}

// install stands for npm where the page installs what is installed already.
func install(t *testing.T) string {
	t.Helper()
	modules, err := filepath.Abs(filepath.Join("clients", "node", "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	return "npm() { ln -sfn '" + modules + "' node_modules; }\n"
}

// do runs a command in the directory of the server.
func (b *beginning) do(t *testing.T, command string) string {
	t.Helper()
	out, err := b.run(t, "set -euo pipefail\n"+command, "")
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return out
}

// refreshes counts those of the shop that were granted.
func (b *beginning) refreshes(t *testing.T) (n int) {
	t.Helper()
	for line := range strings.Lines(readFile(t, filepath.Join(b.dir, "keyturn-audit.log"))) {
		if strings.Contains(line, `"action":"token-refreshed"`) && strings.Contains(line, `"client_id":"shop"`) {
			n++
		}
	}
	return n
}

// TestAWholeWebApplication runs the web application of docs/clients.md as it stands
// there. Two people log in at the page; one logs out by the application, and later an
// operator ends that one's session, of which the application is told.
func TestAWholeWebApplication(t *testing.T) {
	t.Parallel()
	b := begin(t)
	writeFile(t, filepath.Join(b.dir, "app.mjs"), b.block(t, theShop))
	out := b.stays(t, install(t)+b.block(t, "clients add shop")+b.block(t, "node app.mjs"))
	up(t, b.shop)
	checkBeginsLogin(t, b)

	ada, other := b.visitor(t), b.visitor(t)
	ada.logsIn()
	other.logsIn()
	ada.asksTheAPI()
	if n := b.refreshes(t); n != 0 {
		t.Errorf("it refreshed %d times with an access token that is good for an hour", n)
	}
	old := ada.cookie("session")
	ada.logsOut()
	if a := mustSend(t, "GET", b.shop+"/", http.Header{"Cookie": {"session=" + old}}, ""); !strings.Contains(a.body, "Log in") {
		t.Errorf("the cookie of before the log-out opens %s", a.body)
	}

	b.do(t, "keyturn clients update shop --client-access-token-ttl 30s")
	ada.logsIn()
	ada.asksTheAPI()
	ada.asksTheAPI()
	if n := b.refreshes(t); n != 2 {
		t.Errorf("it refreshed %d times for two requests with access tokens that were old", n)
	}
	b.do(t, "keyturn users logout --session "+b.newestSession(t)+` "$EMAIL"`)
	eventually(t, "the application is told of the end", func() bool { return strings.Contains(ada.sees("/").text, "Log in") })
	if s := other.sees("/"); !strings.Contains(s.text, "You are "+b.email) {
		t.Errorf("another session ended with it: %s", s)
	}
	b.do(t, `keyturn users logout "$EMAIL"`)
	eventually(t, "the application is told of the other end", func() bool { return strings.Contains(other.sees("/").text, "Log in") })

	checkRefusesAnswers(t, b)
	if a, err := postForm(b.shop+"/ended", credentials{}, values("logout_token", strings.Repeat("x", 1<<20))); err != nil || a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a body of a MiB: %d (%v)", a.status, err)
	}
	ada.logsIn()
	checkNoSecrets(t, "what the application printed", out.String())
	if strings.Contains(out.String(), "state") || strings.Contains(out.String(), "code=") {
		t.Errorf("the application printed an address: %s", out.String())
	}
}

// checkBeginsLogin looks at what leads to the page, and at the cookie.
func checkBeginsLogin(t *testing.T, b *beginning) {
	t.Helper()
	led := mustSend(t, "GET", b.shop+"/login", nil, "")
	to, err := url.Parse(led.header.Get("Location"))
	if err != nil || led.status != http.StatusSeeOther {
		t.Fatalf("log-in leads to %v: %d (%v)", to, led.status, err)
	}
	for name := range to.Query() {
		if name != "client_id" && name != "request_uri" {
			t.Errorf("the address has the %s of the request", name)
		}
	}
	checkCookies(t, led.header.Values("Set-Cookie"))
}

// checkCookies holds cookies to being for the server alone, and not sent along by other
// sites.
func checkCookies(t *testing.T, set []string) {
	t.Helper()
	if len(set) == 0 {
		t.Error("no cookie was set")
	}
	for _, cookie := range set {
		if !strings.Contains(cookie, "; HttpOnly; SameSite=Lax") {
			t.Errorf("the cookie %s", cookie)
		}
	}
}

// checkRefusesAnswers has somebody come back from the page with what is not the answer to
// the request that the cookie is of.
func checkRefusesAnswers(t *testing.T, b *beginning) {
	t.Helper()
	v := b.visitor(t)
	var back *url.URL
	v.client.CheckRedirect = func(next *http.Request, _ []*http.Request) error {
		if next.URL.Path != "/callback" {
			return nil
		}
		back = next.URL
		return http.ErrUseLastResponse
	}
	if s, err := v.send(v.sees("/login"), "username", b.email, "password", b.password); err != nil || back == nil {
		t.Fatalf("the log-in leads to %s, %v", s, err)
	}
	login := v.cookie("login")
	if a := mustSend(t, "GET", back.String(), nil, ""); a.header.Get("Location") != "/" || a.header.Get("Set-Cookie") != "" {
		t.Errorf("an answer that this browser did not ask for: %d, %v", a.status, a.header)
	}
	for _, x := range []struct{ what, name, value, cookie string }{
		{"another state", "state", "another", login},
		{"no state", "state", "", login},
		{"another issuer", "iss", "https://login.example.com", login},
		{"a code that nobody has", "code", "kt_ac_x", login},
		{"another nonce", "", "", login[:strings.LastIndex(login, ".")] + ".another"}, // and spends the code
	} {
		to, answer := *back, back.Query()
		if x.name != "" {
			answer.Set(x.name, x.value)
		}
		to.RawQuery = answer.Encode()
		a := mustSend(t, "GET", to.String(), http.Header{"Cookie": {"login=" + x.cookie}}, "")
		if a.status != http.StatusInternalServerError || a.header.Get("Set-Cookie") != "" {
			t.Errorf("an answer with %s: %d, %v", x.what, a.status, a.header)
		}
	}
}

// newestSession is the one that was begun last at the shop.
func (b *beginning) newestSession(t *testing.T) string {
	t.Helper()
	out := b.do(t, `keyturn users sessions "$EMAIL" --output json | jq -j '[.[] | select(.client_id == "shop")] | sort_by(.created_at) | last.id'`)
	if out == "" || out == "null" {
		t.Fatal("the shop has no session")
	}
	return out
}

// visitor is somebody at the shop.
type visitor struct {
	*browser
	t *testing.T
	b *beginning
}

// visitor comes with an empty browser, and looks at every cookie that the shop sets.
func (b *beginning) visitor(t *testing.T) *visitor {
	t.Helper()
	br, err := newBrowser(b.url)
	if err != nil {
		t.Fatal(err)
	}
	br.client.CheckRedirect = func(next *http.Request, _ []*http.Request) error {
		if r := next.Response; "http://"+r.Request.URL.Host == b.shop && len(r.Header.Values("Set-Cookie")) > 0 {
			checkCookies(t, r.Header.Values("Set-Cookie"))
		}
		return nil
	}
	return &visitor{br, t, b}
}

// sees opens a page of the shop, and presses nothing there.
func (v *visitor) sees(path string) screen {
	v.t.Helper()
	s, err := v.show(v.client.Get(v.b.shop + path))
	if err != nil {
		v.t.Fatal(err)
	}
	return s
}

// cookie is the value of a cookie of the shop.
func (v *visitor) cookie(name string) string {
	v.t.Helper()
	at, err := url.Parse(v.b.shop)
	if err != nil {
		v.t.Fatal(err)
	}
	cookies := v.client.Jar.Cookies(at)
	i := slices.IndexFunc(cookies, func(c *http.Cookie) bool { return c.Name == name })
	if i < 0 {
		v.t.Fatalf("there is no cookie %s among %v", name, cookies)
	}
	return cookies[i].Value
}

// logsIn is asked for the password at the page, unlike somebody who is logged in there,
// and is known to the shop then.
func (v *visitor) logsIn() {
	v.t.Helper()
	s := v.sees("/login")
	if !s.asks() {
		v.t.Fatalf("log-in leads to %s", s)
	}
	s, err := v.send(s, "username", v.b.email, "password", v.b.password)
	if err != nil || s.at.String() != v.b.shop+"/" || !strings.Contains(s.text, "You are "+v.b.email) {
		v.t.Fatalf("after the log-in: %s, %v", s, err)
	}
}

// asksTheAPI has the shop ask who the user is.
func (v *visitor) asksTheAPI() {
	v.t.Helper()
	if s := v.sees("/api"); s.status != http.StatusOK || !strings.Contains(s.text, v.b.uid) {
		v.t.Errorf("the API says %s", s)
	}
}

// logsOut presses the shop's button, which leads by the issuer and back.
func (v *visitor) logsOut() {
	v.t.Helper()
	s, err := v.send(v.sees("/"))
	if err != nil || s.at.String() != v.b.shop+"/" || !strings.Contains(s.text, "Log in") {
		v.t.Fatalf("after the log-out: %s, %v", s, err)
	}
}

// TestAWholeSinglePageApplication runs the page of docs/clients.md as it stands there, in
// Chromium.
func TestAWholeSinglePageApplication(t *testing.T) {
	t.Parallel()
	b := begin(t)
	if err := os.Mkdir(filepath.Join(b.dir, "notes"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(b.dir, "notes", "index.html"), b.block(t, theNotes))
	b.stays(t, install(t)+b.block(t, "clients add notes")+b.block(t, "python3 -m http.server"))
	up(t, b.notes+"/oauth4webapi.js")
	var got struct{ Wrong []string }
	ask(t, map[string]string{"issuer": b.url, "page": b.notes + "/", "username": b.email, "password": b.password}, &got,
		"node", filepath.Join("clients", "node", "notes.mjs"))
	for _, wrong := range got.Wrong {
		t.Error(wrong)
	}
}

// up waits until an address is answered.
func up(t *testing.T, address string) {
	t.Helper()
	eventually(t, address+" is answered", func() bool {
		a, err := send("GET", address, nil, "")
		return err == nil && a.status == http.StatusOK
	})
}
