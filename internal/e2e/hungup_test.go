package e2e

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// victim is an account whose client hangs up in the middle of a request.
type victim struct {
	// factor is the id of a second factor, code one of it, recovery a recovery code and
	// challenge what a log-in was answered.
	factor, code, recovery, challenge string
	email                             string
	// held and other are two sessions of its; spent is a refresh token of held that
	// was followed by two others.
	held, other tokens
	spent       string
	// reset is a one-time token for a new password.
	reset string
	uid   string
	// from is where the log ended before the request.
	from int
}

// hungUp is a request that is cut off, and how often what it changed then has to
// be in the log.
type hungUp struct {
	route  string
	path   string // the route's, unless it is given
	body   func(v *victim) any
	form   func(v *victim) []string
	bearer bool
	// page says that it is refused here: it comes without a form's token. Tests of
	// internal/server hang up on a page's log-in.
	page    bool
	actions []audit.Action
	stands  func(t *testing.T, s *shop, v *victim) int
}

// changes are the actions of everything that a request changes.
var changes = []audit.Action{
	audit.UserSignedUp, audit.TokenIssued, audit.TokenRefreshed, audit.TokenReuse, audit.TokenRevoked, audit.SessionEnded, audit.SessionsEnded,
	audit.PasswordChanged, audit.ResetRedeemed, audit.UserLoggedIn, audit.UserLoggedOut, audit.CodeIssued,
	audit.UserChanged, audit.UserClosed, audit.UserDeleted, audit.FactorEnrolled, audit.FactorUsed, audit.FactorRemoved, audit.RecoveryRenewed,
}

// changesNothing says that the request is one to read, or one that is refused.
func (r hungUp) changesNothing() bool { return len(r.actions) > 1 }

func hungUps() []hungUp {
	passwordIs := func(t *testing.T, s *shop, v *victim, password string) bool {
		t.Helper()
		a := postJSON(t, s.url+"/auth/login", nil, map[string]string{"email": v.email, "password": password})
		if a.status != http.StatusOK && a.status != http.StatusForbidden {
			t.Errorf("a log-in of %s: %d %s", v.email, a.status, a.body)
		}
		return a.status == http.StatusOK
	}
	over := func(t *testing.T, s *shop, held tokens) int {
		t.Helper()
		switch a := mustSend(t, "GET", s.url+"/auth/me", bearer(held.AccessToken), ""); a.status {
		case http.StatusOK:
			return 0
		case http.StatusUnauthorized:
			return 1
		default:
			t.Errorf("reading an account: %d %s", a.status, a.body)
			return 0
		}
	}
	heldOver := func(t *testing.T, s *shop, v *victim) int { return over(t, s, v.held) }
	otherOver := func(t *testing.T, s *shop, v *victim) int { return over(t, s, v.other) }
	// A new password ends the other sessions, and only a new one does.
	renewed := func(t *testing.T, s *shop, v *victim) int {
		t.Helper()
		renewed := passwordIs(t, s, v, another)
		if old := passwordIs(t, s, v, password); old == renewed || (over(t, s, v.other) == 1) != renewed {
			t.Errorf("%s: the new password is good: %t, the old one: %t, the other session is over: %d", v.email, renewed, old, over(t, s, v.other))
		}
		if renewed {
			return 1
		}
		return 0
	}
	begun := func(t *testing.T, s *shop, v *victim) int {
		t.Helper()
		var list struct{ Sessions []struct{ ID string } }
		mustSend(t, "GET", s.url+"/auth/sessions", bearer(v.held.AccessToken), "").decode(t, &list)
		return len(list.Sessions) - 2
	}
	renamed := func(t *testing.T, s *shop, v *victim) int {
		t.Helper()
		if strings.Contains(mustSend(t, "GET", s.url+"/auth/me", bearer(v.held.AccessToken), "").body, "Grace") {
			return 1
		}
		return 0
	}
	closed := func(t *testing.T, s *shop, v *victim) int {
		t.Helper()
		if passwordIs(t, s, v, password) {
			return 0
		}
		return 1
	}
	enrolled := func(t *testing.T, s *shop, v *victim) int {
		t.Helper()
		var list struct{ Factors []struct{ ID string } }
		mustSend(t, "GET", s.url+"/auth/factors", bearer(v.held.AccessToken), "").decode(t, &list)
		return len(list.Factors)
	}
	// Whether it stood or not, the same again succeeds; the log tells of the first
	// time once, and of no second.
	refreshed := func(t *testing.T, s *shop, v *victim) int {
		t.Helper()
		s.grant(t, s.public, "grant_type", "refresh_token", "refresh_token", v.held.RefreshToken)
		return 1
	}
	logIn := func(v *victim) any { return map[string]string{"email": v.email, "password": password} }
	rows := []hungUp{
		{route: "POST /auth/signup", actions: []audit.Action{audit.UserSignedUp},
			body: func(v *victim) any {
				return map[string]string{"email": "new-" + v.email, "username": "new-" + strings.Split(v.email, "@")[0], "password": password}
			},
			stands: func(t *testing.T, s *shop, v *victim) int {
				v.email, v.uid = "new-"+v.email, ""
				if passwordIs(t, s, v, password) {
					return 1
				}
				return 0
			}},
		{route: "POST /auth/login", actions: []audit.Action{audit.TokenIssued}, body: logIn, stands: begun},
		{route: "POST /oauth/token", actions: []audit.Action{audit.TokenIssued}, stands: begun,
			form: func(v *victim) []string {
				return []string{"grant_type", "password", "username", v.email, "password", password}
			}},
		{route: "POST /oauth/token", actions: []audit.Action{audit.TokenRefreshed}, stands: refreshed,
			form: func(v *victim) []string {
				return []string{"grant_type", "refresh_token", "refresh_token", v.held.RefreshToken}
			}},
		{route: "POST /oauth/token", actions: []audit.Action{audit.TokenReuse}, stands: heldOver,
			form: func(v *victim) []string { return []string{"grant_type", "refresh_token", "refresh_token", v.spent} }},
		{route: "POST /auth/refresh", actions: []audit.Action{audit.TokenRefreshed}, stands: refreshed,
			body: func(v *victim) any { return map[string]string{"refresh_token": v.held.RefreshToken} }},
		{route: "POST /auth/logout", bearer: true, actions: []audit.Action{audit.SessionEnded}, stands: heldOver},
		{route: "DELETE /auth/sessions/{id}", path: "/auth/sessions/OTHER", bearer: true, actions: []audit.Action{audit.SessionEnded}, stands: otherOver},
		{route: "DELETE /auth/sessions", bearer: true, actions: []audit.Action{audit.SessionsEnded}, stands: otherOver},
		{route: "POST /auth/password", bearer: true, actions: []audit.Action{audit.PasswordChanged}, stands: renewed,
			body: func(*victim) any { return map[string]string{"current_password": password, "new_password": another} }},
		{route: "POST /auth/reset", actions: []audit.Action{audit.ResetRedeemed}, stands: renewed,
			body: func(v *victim) any { return map[string]string{"token": v.reset, "new_password": another} }},
		{route: "POST /auth/me", bearer: true, actions: []audit.Action{audit.UserChanged}, stands: renamed,
			body: func(*victim) any { return map[string]string{"first_name": "Grace"} }},
		{route: "DELETE /auth/me", bearer: true, actions: []audit.Action{audit.UserClosed}, stands: closed},
		{route: "POST /auth/factors", bearer: true, actions: []audit.Action{audit.FactorEnrolled}, stands: enrolled,
			body: func(v *victim) any { return map[string]string{"challenge": v.challenge, "code": v.code} }},
		{route: "DELETE /auth/factors/{id}", path: "/auth/factors/FACTOR", bearer: true, actions: []audit.Action{audit.FactorRemoved},
			stands: func(t *testing.T, s *shop, v *victim) int { return 1 - enrolled(t, s, v) }},
		{route: "POST /auth/recovery-codes", bearer: true, actions: []audit.Action{audit.RecoveryRenewed},
			stands: func(t *testing.T, s *shop, v *victim) int {
				a := postJSON(t, s.url+"/auth/login/factor", nil, map[string]string{"challenge": s.challenge(t, v), "code": v.recovery})
				if a.status == http.StatusOK {
					return 0
				}
				return 1
			}},
		{route: "POST /auth/login/factor", actions: []audit.Action{audit.TokenIssued}, stands: begun,
			body: func(v *victim) any { return map[string]string{"challenge": v.challenge, "code": v.recovery} }},
		{route: "POST /oauth/revoke", actions: []audit.Action{audit.TokenRevoked}, stands: heldOver,
			form: func(v *victim) []string { return []string{"token", v.held.RefreshToken} }},
	}
	for _, route := range []string{
		"GET /auth/me", "GET /auth/me/data", "GET /auth/sessions", "GET /auth/factors", "GET /auth/factors/totp", "GET /auth/grants", "GET /oauth/userinfo", "POST /oauth/userinfo", "GET /.well-known/jwks.json",
		"GET /.well-known/oauth-authorization-server", "GET /.well-known/openid-configuration", "GET /openapi.yaml", "GET /healthz", "GET /readyz",
	} {
		rows = append(rows, hungUp{route: route, bearer: strings.Contains(route, "auth/") && !strings.Contains(route, "known"), actions: changes, stands: heldOver})
	}
	for _, route := range []string{
		"GET /oauth/authorize", "POST /oauth/authorize", "GET /oauth/logout", "POST /oauth/logout", "GET /account", "GET /account/login", "POST /account/login",
		"GET /account/logout", "POST /account/logout", "GET /account/signup", "POST /account/signup", "GET /account/forgot", "POST /account/forgot", "GET /account/reset", "POST /account/reset", "POST /auth/forgot", "GET /account/email", "POST /account/email", "POST /auth/email", "GET /account/confirm", "POST /account/confirm", "POST /auth/confirm", "GET /account/password", "POST /account/password",
		"GET /account/sessions", "POST /account/sessions", "GET /account/profile", "POST /account/profile", "GET /account/data", "GET /account/delete", "POST /account/delete", "POST /account/consent", "GET /account/applications", "POST /account/applications", "GET /account/factors", "POST /account/factors", "GET /account/factors/app", "POST /account/factors/app", "GET /account/logo", "GET /", "GET /favicon.ico", "GET /account/style.css", "GET /account/post.js", "GET /account/passkey.js", "GET /auth/login/passkey", "GET /auth/factors/passkey",
	} {
		rows = append(rows, hungUp{route: route, page: true, actions: changes, stands: heldOver})
	}
	return append(rows, hungUp{route: "POST /oauth/introspect", actions: changes, stands: heldOver,
		form: func(v *victim) []string { return []string{"token", v.held.AccessToken} }},
		hungUp{route: "DELETE /auth/grants/{id}", path: "/auth/grants/none", bearer: true, page: true, actions: changes, stands: heldOver},
		hungUp{route: "POST /oauth/par", page: true, actions: changes, stands: heldOver, form: func(*victim) []string { return []string{"response_type", "code"} }})
}

// TestF9_WhoHangsUpChangesNothingThatIsLoggedOtherwise cuts connections at random
// moments under every route, and then compares what stands with what the log says.
// One request in each row is not cut: it shows that the row is about something.
func TestF9_WhoHangsUpChangesNothingThatIsLoggedOtherwise(t *testing.T) {
	t.Parallel()
	covered := map[string]bool{}
	for _, row := range hungUps() {
		covered[row.route] = true
	}
	for _, route := range describedRoutes(t) {
		if !covered[route] {
			t.Errorf("nobody hangs up on %s", route)
		}
	}
	settings := []string{"--first-party-client", "app", "--login-throttle", "off", "--retry-window", "24h", "--argon2-memory", "7168", "--argon2-time", "5"}
	onBothStores(t, settings, func(t *testing.T, d *deployment) {
		s := openShop(t, d)
		type attempt struct {
			row   hungUp
			v     *victim
			whole bool
		}
		var attempts []attempt
		mongo := strings.HasPrefix(d.store, "mongodb:")
		for _, row := range hungUps() {
			cut := 4
			switch {
			case row.changesNothing() && mongo:
				continue // of what is read or refused the stores know nothing
			case row.changesNothing():
				cut = 1
			case mongo:
				cut = 2 // which takes it longer than SQLite four
			}
			var took time.Duration
			for n := range cut + 1 {
				v := s.victim(t, len(attempts), row)
				attempts = append(attempts, attempt{row, v, n == 0})
				text := s.written(t, row, v)
				if n == 0 {
					took = s.whole(t, row, text)
				} else {
					s.hangUp(t, text, took)
				}
			}
		}
		s.stop(t)
		s.server = s.again(t)
		for _, a := range attempts {
			want := a.row.stands(t, s, a.v)
			if a.whole && want == 0 && len(a.row.actions) == 1 {
				t.Errorf("%s %v: the request that was not cut changed nothing", a.row.route, a.row.actions)
			}
			told := 0
			if !poll(nil, func() bool { told = d.toldOf(t, a.v, a.row.actions); return told == want }) {
				t.Errorf("%s of %s: %d changes stand, the log tells of %d %v", a.row.route, a.v.email, want, told, a.row.actions)
			}
		}
		s.stop(t)
		d.checkAudit(t)
	})
}

var (
	describedPath   = regexp.MustCompile(`^  (/\S+):$`)
	describedMethod = regexp.MustCompile(`^    (get|post|delete|put|patch):$`)
)

// describedRoutes are the routes of docs/openapi.yaml, which other tests hold to
// those that are served.
func describedRoutes(t *testing.T) (routes []string) {
	t.Helper()
	path := ""
	for line := range strings.Lines(readFile(t, filepath.Join("..", "..", "docs", "openapi.yaml"))) {
		line = strings.TrimRight(line, "\n")
		if m := describedPath.FindStringSubmatch(line); m != nil {
			path = m[1]
		} else if m := describedMethod.FindStringSubmatch(line); m != nil {
			routes = append(routes, strings.ToUpper(m[1])+" "+path)
		}
	}
	if len(routes) < 20 {
		t.Fatalf("docs/openapi.yaml describes %v", routes)
	}
	return routes
}

// victim makes an account with what the row needs of it.
func (s *shop) victim(t *testing.T, n int, row hungUp) *victim {
	t.Helper()
	v := &victim{email: fmt.Sprintf("user%d@example.com", n)}
	a := postJSON(t, s.url+"/auth/signup", nil, map[string]string{"email": v.email, "username": fmt.Sprintf("user%d", n), "password": password})
	if a.status != http.StatusCreated {
		t.Fatalf("sign-up: %d %s", a.status, a.body)
	}
	v.held, v.other = s.login(t, s.public, v.email, password), s.login(t, s.public, v.email, password)
	v.uid = s.read(t, map[string]string{"held": v.held.AccessToken})["held"].Subject
	switch row.actions[0] {
	case audit.TokenReuse:
		v.spent = v.held.RefreshToken
		for range 2 {
			v.held = s.grant(t, s.public, "grant_type", "refresh_token", "refresh_token", v.held.RefreshToken)
		}
	case audit.ResetRedeemed:
		var made struct{ Token string }
		s.must(t, &made, "users", "reset", v.email)
		v.reset = made.Token
	}
	if strings.Contains(row.route, "factor") || row.actions[0] == audit.RecoveryRenewed {
		s.secondFactor(t, v, row.actions[0] != audit.FactorEnrolled)
	}
	if row.route == "POST /auth/login/factor" {
		v.challenge = s.challenge(t, v)
	}
	v.from = len(readFile(t, s.auditLog))
	return v
}

// written is the request as it goes over the wire.
func (s *shop) written(t *testing.T, row hungUp, v *victim) string {
	t.Helper()
	method, path, _ := strings.Cut(row.route, " ")
	if row.path != "" {
		path = strings.ReplaceAll(row.path, "OTHER", s.read(t, map[string]string{"other": v.other.AccessToken})["other"].Session)
		path = strings.ReplaceAll(path, "FACTOR", v.factor)
	}
	head, body := "", ""
	switch {
	case row.body != nil:
		text, err := json.Marshal(row.body(v))
		if err != nil {
			t.Fatal(err)
		}
		head, body = "Content-Type: application/json\r\n", string(text)
	case row.form != nil:
		by, form := s.public, values(row.form(v)...)
		if path == "/oauth/introspect" {
			by = s.confidential
			head = "Authorization: " + basic(by) + "\r\n"
		} else {
			form.Set("client_id", by.id)
		}
		head, body = head+"Content-Type: application/x-www-form-urlencoded\r\n", form.Encode()
	}
	if row.bearer {
		head += "Authorization: Bearer " + v.held.AccessToken + "\r\n"
	}
	host := strings.TrimPrefix(s.url, "http://")
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n%s", method, path, host, head, len(body), body)
}

func (s *shop) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// whole sends a request, waits for the answer, and returns how long that took.
func (s *shop) whole(t *testing.T, row hungUp, text string) time.Duration {
	t.Helper()
	conn := s.dial(t)
	defer conn.Close()
	since := time.Now()
	answer := make([]byte, 512)
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	n, err := conn.Read(answer)
	if err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 2") && !row.page && !slices.Contains(row.actions[:1], audit.TokenReuse) {
		t.Fatalf("%s: %v, %s", row.route, err, answer[:n])
	}
	return time.Since(since)
}

// hangUp sends a request, sometimes not all of it, and closes or resets the
// connection at a random moment of its time.
func (s *shop) hangUp(t *testing.T, text string, took time.Duration) {
	t.Helper()
	conn := s.dial(t)
	if rand.IntN(8) == 0 {
		text = text[:rand.IntN(len(text))]
	}
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(rand.N(took + took/4 + 1))
	if rand.IntN(2) == 0 {
		_ = conn.SetLinger(0)
	}
	_ = conn.Close()
}

// toldOf counts what the log tells of such changes to a victim since its request; a
// refresh that was told again changed nothing.
func (d *deployment) toldOf(t *testing.T, v *victim, actions []audit.Action) int {
	t.Helper()
	told := map[string]bool{}
	for line := range strings.Lines(readFile(t, d.auditLog)[v.from:]) {
		var entry struct {
			Event struct{ ID, Action, Outcome, Reason string }
			User  struct{ ID, Email string }
		}
		if !strings.HasSuffix(line, "\n") || json.Unmarshal([]byte(line), &entry) != nil {
			continue // it is being written
		}
		e := entry.Event
		theirs := v.uid != "" && entry.User.ID == v.uid || v.uid == "" && entry.User.Email == v.email
		// A token that came back is a failure of who presents it.
		stood := e.Outcome == string(audit.Success) || e.Action == string(audit.TokenReuse)
		if !stood {
			delete(told, e.ID) // the last word counts
		}
		if !theirs || !stood || e.Reason == "retry" || !slices.Contains(actions, audit.Action(e.Action)) {
			continue
		}
		if e.ID == "" {
			e.ID = fmt.Sprint("line ", len(told))
		}
		told[e.ID] = true
	}
	return len(told)
}

// secondFactor sets an authenticator app up, and adds it to the account or not.
func (s *shop) secondFactor(t *testing.T, v *victim, confirm bool) {
	t.Helper()
	var made struct{ ID, Challenge, Secret string }
	mustSend(t, "GET", s.url+"/auth/factors/totp", bearer(v.held.AccessToken), "").decode(t, &made)
	v.factor, v.challenge, v.code = made.ID, made.Challenge, totp(t, made.Secret, 0)
	if !confirm {
		return
	}
	var got struct {
		Codes []string `json:"recovery_codes"`
	}
	postJSON(t, s.url+"/auth/factors", bearer(v.held.AccessToken), map[string]string{"challenge": v.challenge, "code": v.code}).decode(t, &got)
	v.recovery = got.Codes[0]
}

// totp is the code of an authenticator app in this step or one after it (RFC 6238).
func totp(t *testing.T, secret string, steps int64) string {
	t.Helper()
	key, err := base32.StdEncoding.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, key)
	binary.Write(mac, binary.BigEndian, time.Now().Unix()/30+steps)
	sum := mac.Sum(nil)
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[sum[19]&15:])&(1<<31-1)%1e6)
}

// challenge logs in by the password alone.
func (s *shop) challenge(t *testing.T, v *victim) string {
	t.Helper()
	var made struct{ Challenge string }
	postJSON(t, s.url+"/auth/login", nil, map[string]string{"email": v.email, "password": password}).decode(t, &made)
	return made.Challenge
}
