//go:build interop

package e2e

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// application logs its users in at the page, as docs/interop.md describes it. It is told
// the issuer, its credentials and its own address, and welcomes the shop's user at "/".
type application struct {
	name, host string
	program    *resourceProgram
	// versions are the packages whose versions the table tells.
	versions []string
	// callback is the path of its redirect URI, and logout where it logs out: what is
	// ${ISSUER} and ${URL} there is put in.
	callback, logout string
	// backchannel is the path where it takes logout tokens, if it does.
	backchannel string
	// still is a page that it shows without refreshing, if "/" is none.
	still string
	// set is what an operator sets.
	set string
}

// opened is an application at work, with a user whose browser stays.
type opened struct {
	application
	id, url string
	running *running
	person  *browser
	// ear is where it is told of ends, if it takes logout tokens.
	ear *ear
	// logins counts the sessions that it began.
	logins atomic.Int64
}

// fill puts addresses into a path.
func (a *opened) fill(issuer, path string) string {
	return a.url + strings.NewReplacer("${ISSUER}", issuer, "${URL}", a.url).Replace(path)
}

// square is where applications stand side by side around one server.
type square struct {
	t   *testing.T
	s   *shop
	all []*opened
}

// openSquare registers and starts every application, whose tokens are of one algorithm.
func openSquare(t *testing.T, alg string, all []application) *square {
	t.Helper()
	d := newDeployment(t, "", "--signing-alg", alg, "--key-rotation-interval", "1h", "--key-publish-lead", "4s", "--jwks-max-age", "1s", "--key-poll-interval", "200ms", "--clock-skew", "500ms")
	s := stock(t, d)
	s.serveBehindFront(t, "--client-jwks-networks", "127.0.0.0/8", "--password-grant", "false")
	s.front.keeps = true
	q := &square{t: t, s: s}
	for _, app := range all {
		address := freePort(t)
		a := &opened{application: app, id: strings.ToLower(strings.NewReplacer(" ", "-", "/", "-", ",", "").Replace(app.name)), url: "http://" + address}
		flags := []string{"--grant", "authorization_code", "--grant", "refresh_token", "--scope", scope,
			"--redirect-uri", a.url + app.callback, "--post-logout-redirect-uri", a.url + "/bye"}
		if app.backchannel != "" {
			a.ear = newEar(t, a.url)
			flags = append(flags, "--backchannel-logout-uri", a.ear.url+app.backchannel)
		}
		by := s.addClient(t, a.id, flags...)
		a.running = app.program.start(t, s, map[string]string{
			"LISTEN": address, "URL": a.url, "CLIENT_ID": by.id, "CLIENT_SECRET": by.secret, "EMAIL": email, "CALLBACK": a.url + app.callback,
		})
		q.all = append(q.all, a)
	}
	for _, a := range q.all {
		a.running.up(t)
	}
	return q
}

// each does something with every application, a few at a time, for passwords are hashed
// by a few at a time.
func (q *square) each(what string, do func(*opened) error) {
	q.t.Helper()
	var at sync.WaitGroup
	room := make(chan struct{}, 3)
	for _, a := range q.all {
		at.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			if err := do(a); err != nil {
				q.t.Errorf("%s, %s: %v", a.name, what, err)
			}
		})
	}
	at.Wait()
	if q.t.Failed() {
		q.t.FailNow()
	}
}

// welcomed reports whether the screen is the application's own, for the user.
func (a *opened) welcomed(s screen) error {
	if s.status != http.StatusOK || !strings.HasPrefix(s.text, "welcome") || !strings.HasPrefix(s.at.String(), a.url+"/") {
		return fmt.Errorf("the user is shown %s", s)
	}
	return nil
}

// logsIn has somebody come with an empty browser.
func (q *square) logsIn(a *opened) (*browser, error) {
	b, err := newBrowser(q.s.issuer)
	if err != nil {
		return nil, err
	}
	s, err := b.visit(a.url + "/")
	if err == nil {
		err = a.welcomed(s)
	}
	if err == nil && b.asked != 1 {
		err = fmt.Errorf("the password was asked for %d times", b.asked)
	}
	a.logins.Add(1)
	return b, err
}

// refreshes counts those of the application that were granted.
func (q *square) refreshes(a *opened) (n int) {
	for line := range strings.Lines(readFile(q.t, q.s.auditLog)) {
		if strings.Contains(line, `"action":"token-refreshed"`) && strings.Contains(line, `"client_id":"`+a.id+`"`) {
			n++
		}
	}
	return n
}

// goesOn has the application refresh while its user is there, who is asked for nothing.
func (q *square) goesOn(a *opened) error {
	before := q.refreshes(a)
	return again("it refreshes", func() (bool, error) {
		s, err := a.person.open(a.url + "/")
		if err == nil {
			err = a.welcomed(s)
		}
		return err != nil || q.refreshes(a) > before, err
	})
}

// lives has every application keep its user, and let another one in.
func (q *square) lives(after string) {
	q.each(after, func(a *opened) error {
		_, err := q.logsIn(a)
		return errors.Join(q.goesOn(a), err)
	})
}

// logsOut has a user log out at the application, whose session and log-in are over then.
func (q *square) logsOut(a *opened) error {
	s, err := a.person.open(a.fill(q.s.issuer, a.logout))
	if err != nil || s.at.String() != a.url+"/bye" {
		return fmt.Errorf("log-out led to %s, %w", s, err)
	}
	s, err = a.person.open(a.url + "/")
	if err == nil && !s.asks() {
		err = fmt.Errorf("after the log-out: %s", s)
	}
	return err
}

// isTold waits until the application asks somebody to log in whose session was ended
// elsewhere: at once if it takes logout tokens, else when it refreshes.
func (a *opened) isTold(b *browser) error {
	return again("it asks to log in", func() (bool, error) {
		s, err := b.open(a.url + cmp.Or(a.still, "/"))
		if err == nil && s.asks() {
			return true, nil
		}
		return false, fmt.Errorf("%s, %w", s, err)
	})
}

// live has the applications live through two turns of the keys and a revocation, and
// their users log out in the end.
func (q *square) live() {
	q.each("log-in", func(a *opened) (err error) {
		a.person, err = q.logsIn(a)
		return err
	})
	q.lives("at first")
	n := &season{t: q.t, s: q.s}
	n.turn()
	q.lives("after a turn")
	last := n.turn()
	q.lives("after two turns")
	q.s.must(q.t, nil, "keys", "revoke", last, "--reason", "leaked in a test")
	eventually(q.t, "the standby signs", func() bool {
		_, kid := n.token()
		return kid != last
	})
	q.lives("after a revocation")
	others := map[*opened]*browser{}
	var mu sync.Mutex
	q.each("another log-in", func(a *opened) error {
		b, err := q.logsIn(a)
		mu.Lock()
		defer mu.Unlock()
		others[a] = b
		return err
	})
	q.each("log-out", q.logsOut)
	var ended struct {
		Ended int `json:"sessions_ended"`
	}
	q.s.must(q.t, &ended, "users", "logout", email)
	if ended.Ended < len(q.all) {
		q.t.Errorf("%d sessions were ended, of %d applications", ended.Ended, len(q.all))
	}
	q.each("an end elsewhere", func(a *opened) error { return a.isTold(others[a]) })
	q.each("the logout tokens", (*opened).tookAll)
}

// applicationsTable is the table of docs/interop.md.
func applicationsTable(t *testing.T, all []application) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("\n| application | in | version | log-in, refresh, log-out | learns of an end | set |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, app := range all {
		var versions []string
		for _, v := range app.versions {
			versions = append(versions, versionOf(t, v))
		}
		learns := "when it refreshes"
		if app.backchannel != "" {
			learns = "by back-channel log-out"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | passed | %s | %s |\n", app.name, app.host, strings.Join(versions, ", "), learns, app.set)
	}
	return b.String()
}

// TestApplications writes docs/interop.md, or compares it.
func TestApplications(t *testing.T) {
	t.Parallel()
	openSquare(t, "ES256", applications).live()
	goldenSection(t, filepath.Join("..", "..", "docs", "interop.md"), "## Applications", applicationsHead+applicationsTable(t, applications))
}

const applicationsHead = `
Written by the test ` + "`TestApplications`" + ` in ` + "`internal/e2e`" + `. Each of these was told the issuer's URL, its credentials and its own address, and stood
beside the others before one server without the password grant, over TLS. A user logged in at the page, and stayed while the application refreshed, through
two turns of the keys and the revocation of the key that signed; after each of them another user logged in. One logged out at the
application, which ended the session and the log-in; the session of another was ended elsewhere, and the application had them
log in again. Those that can be told of ends took every logout token that they were sent.
`

var (
	apacheLogin  = resourceProgram{command: httpd("login.conf", "index.html", "bye")}
	goOIDCLogin  = goLogin("go-oidc")
	zitadelLogin = goLogin("zitadel")
	clientLogin  = nodeLogin("openid-client")
	expressLogin = nodeLogin("express-openid-connect")
	authLogin    = nodeLogin("authjs")
	rubyLogin    = rubyApplication("login.rb")
	omniLogin    = rubyApplication("omniauth.rb")
)

// nodeLogin is an application in JavaScript, with that library.
func nodeLogin(library string) resourceProgram {
	return resourceProgram{command: func(*testing.T, *shop, string, map[string]string) *exec.Cmd {
		return exec.Command("node", filepath.Join("clients", "node", "login.mjs"), library)
	}}
}

// rubyApplication is one in Ruby, by its file.
func rubyApplication(file string) resourceProgram {
	return resourceProgram{command: func(*testing.T, *shop, string, map[string]string) *exec.Cmd {
		return exec.Command("/usr/bin/ruby", filepath.Join("clients", "ruby", file))
	}}
}

// goLogin is an application in Go, with that library.
func goLogin(library string) resourceProgram {
	return resourceProgram{command: func(t *testing.T, _ *shop, _ string, _ map[string]string) *exec.Cmd {
		program, err := goClient()
		if err != nil {
			t.Fatal(err)
		}
		return exec.Command(program, "web", library)
	}}
}

// applications are those that need no more installing than the other clients.
var applications = []application{
	{name: "mod_auth_openidc", host: "Apache httpd", program: &apacheLogin, versions: []string{"deb:libapache2-mod-auth-openidc"},
		callback: "/callback", logout: "/callback?logout=${URL}%2Fbye", backchannel: "/callback?logout=backchannel",
		set: "`OIDCPKCEMethod S256`; `OIDCProviderBackChannelLogoutSupported On`; `OIDCRefreshAccessTokenBeforeExpiry`"},
	{name: "go-oidc and x/oauth2", host: "Go", program: &goOIDCLogin, versions: []string{"go:github.com/coreos/go-oidc/v3", "go:golang.org/x/oauth2"},
		callback: "/callback", logout: "/logout", backchannel: "/ended", still: "/?still", set: "`S256ChallengeOption`; a check of `events` in logout tokens by the program, as here"},
	{name: "zitadel/oidc", host: "Go", program: &zitadelLogin, versions: []string{"go:github.com/zitadel/oidc/v3"},
		callback: "/callback", logout: "/logout", set: "`WithPKCE`; `WithSigningAlgsFromDiscovery`: else it takes RS256 alone; lead the browser to `GetEndSessionEndpoint`"},
	{name: "openid-client", host: "Express", program: &clientLogin, versions: []string{"npm:openid-client", "npm:express"},
		callback: "/callback", logout: "/logout", set: "nothing"},
	{name: "express-openid-connect", host: "Express", program: &expressLogin, versions: []string{"npm:express-openid-connect", "npm:express"},
		callback: "/callback", logout: "/logout", backchannel: "/ended", set: "`idTokenSigningAlg`; `response_type: 'code'`; `idpLogout`; `backchannelLogout`"},
	{name: "Auth.js", host: "Express", program: &authLogin, versions: []string{"npm:@auth/core", "npm:express"},
		callback: "/auth/callback/keyturn", logout: "/logout", set: "`checks` with `pkce`; the refresh and the way to the `end_session_endpoint` by the program, as here"},
	{name: "openid_connect", host: "WEBrick", program: &rubyLogin, versions: []string{"deb:ruby-openid-connect"},
		callback: "/callback", logout: "/logout", backchannel: "/ended", still: "/?still", set: "the challenge of PKCE, the key set and the check of logout tokens by the program, as here"},
	{name: "OmniAuth", host: "Rack", program: &omniLogin, versions: []string{"deb:ruby-omniauth", "deb:ruby-omniauth-oauth2"},
		callback: "/auth/keyturn/callback", logout: "/logout", set: "a strategy on omniauth-oauth2 with `pkce`, as here"},
}
