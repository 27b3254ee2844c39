package e2e

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
)

// deciding is a shop whose audit log can be taken away, and what decisions are
// made with.
type deciding struct {
	*shop
	log auditLink
	// file has a new password, token is a one-time token, held a session's.
	file, token string
	held        tokens
	// made is what a command made.
	made struct {
		Secret string `json:"client_secret"`
	}
}

// decided is one decision: how it is made, for an operator by the command args,
// else by ask, which returns the status.
type decided struct {
	action audit.Action
	args   []string
	ask    func(t *testing.T, d *deciding) answer
	// stands reports whether what takes rights away has taken effect.
	stands func(t *testing.T, d *deciding) bool
}

// elsewhere are the actions whose events other tests take away.
var elsewhere = map[audit.Action]string{
	audit.TokenRefreshed:   "TestA3_NoSpaceLeft",
	audit.UserLoggedIn:     "TestA3_WhatWasNotRecordedDidNotHappen of package server",
	audit.UserClosed:       "TestA3_AnAccountIsClosedOnlyWithItsEvent of package server",
	audit.ResetForced:      "TestA3_AnAccountIsClosedOnlyWithItsEvent of package server",
	audit.FactorEnrolled:   "TestA3_FactorsStandOnlyWithTheirEvents of package server",
	audit.FactorRemoved:    "TestA3_FactorsStandOnlyWithTheirEvents of package server",
	audit.RecoveryRenewed:  "TestA3_FactorsStandOnlyWithTheirEvents of package server",
	audit.FactorUsed:       "TestA3_ACodeIsNotLostToAFullLog of package server",
	audit.KeyCreated:       "TestA3_KeysOweTheirEvents of package keys",
	audit.KeyErased:        "TestA3_KeysOweTheirEvents of package keys",
	audit.KeyArchived:      "TestA3_KeysOweTheirEvents of package keys",
	audit.KeyRewrapped:     "TestK7_RewrapSurvivesKill",
	audit.StoreCopied:      "TestA3_ACopyStandsOnlyWithItsEvent",
	audit.StoreRestored:    "TestA3_ACopyStandsOnlyWithItsEvent",
	audit.EmailVerified:    "TestA3_AnAddressIsConfirmedOnlyWithItsEvent of package server",
	audit.LetterAsked:      "TestA3_ALetterIsWrittenOnlyWithItsEvent of package mail",
	audit.UserLoggedOut:    "TestA3_ALogOutOwesItsEvent of package server",
	audit.ConsentGiven:     "TestA3_ConsentStandsOnlyWithItsEvent of package server",
	audit.ConsentWithdrawn: "TestA3_ConsentStandsOnlyWithItsEvent of package server",
}

const another = "seven candles orbit a plum"

func decisions() []decided {
	json := func(path string, body map[string]string) func(*testing.T, *deciding) answer {
		return func(t *testing.T, d *deciding) answer {
			return postJSON(t, d.url+path, bearer(d.held.AccessToken), body)
		}
	}
	disabled := func(kind, name string) func(*testing.T, *deciding) bool {
		return func(t *testing.T, d *deciding) bool {
			return strings.Contains(d.listed(t, kind, name), `"disabled":true`)
		}
	}
	ended := func(t *testing.T, d *deciding) bool { return !slices.ContainsFunc(d.sessions(t), d.isHeld(t)) }
	form := func(path string, pairs ...string) func(*testing.T, *deciding) answer {
		return func(t *testing.T, d *deciding) answer {
			t.Helper()
			for i := range pairs {
				pairs[i] = strings.NewReplacer("REFRESH", d.held.RefreshToken, "ACCESS", d.held.AccessToken).Replace(pairs[i])
			}
			a, err := postForm(d.url+path, d.public, values(pairs...))
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
	}
	return []decided{
		{action: audit.UserSignedUp, ask: json("/auth/signup", map[string]string{"email": "eve@example.com", "username": "eve", "password": another})},
		{action: audit.UserAdded, args: []string{"users", "add", "bob@example.com", "--password-file", "FILE"}},
		{action: audit.UserImported, args: []string{"users", "import", "USERS"}},
		{action: audit.UserChanged, args: []string{"users", "update", email, "--last-name", "King"}},
		{action: audit.UserChanged, args: []string{"users", "claims", email, "--role", "admin"}},
		{action: audit.UserEnabled, args: []string{"users", "enable", "off@example.com"}},
		{action: audit.ResetIssued, args: []string{"users", "reset", email}},
		{action: audit.ResetRedeemed, ask: func(t *testing.T, d *deciding) answer {
			return postJSON(t, d.url+"/auth/reset", nil, map[string]string{"token": d.token, "new_password": password})
		}},
		{action: audit.PasswordReset, args: []string{"users", "passwd", email, "--password-file", "FILE"}},
		{action: audit.PasswordChanged, ask: json("/auth/password", map[string]string{"current_password": password, "new_password": another})},
		{action: audit.UserDeleted, args: []string{"users", "delete", "off@example.com"}},
		{action: audit.ClientAdded, args: []string{"clients", "add", "new", "--public", "--grant", "password"}},
		{action: audit.ClientChanged, args: []string{"clients", "update", "app", "--scope", scope + " admin"}},
		{action: audit.ClientSecretTurned, args: []string{"clients", "rotate-secret", "shop"}},
		{action: audit.KeyRotated, args: []string{"keys", "rotate"}},
		{action: audit.TokenIssued, ask: json("/auth/login", map[string]string{"email": email, "password": password})},

		{action: audit.KeyRevoked, args: []string{"keys", "revoke", "ACTIVE", "--reason", "stolen"}, stands: func(t *testing.T, d *deciding) bool {
			return slices.ContainsFunc(d.keyList(t), func(k listedKey) bool { return k.State == "revoked" })
		}},
		{action: audit.SessionEnded, ask: json("/auth/logout", nil), stands: ended},
		{action: audit.SessionEnded, args: []string{"users", "logout", email, "--session", "SESSION"}, stands: ended},
		{action: audit.SessionsEnded, args: []string{"users", "logout", email}, stands: ended},
		{action: audit.SessionsEnded, args: []string{"clients", "logout", "app"}, stands: ended},
		{action: audit.TokenRevoked, ask: form("/oauth/revoke", "token", "REFRESH"), stands: ended},
		{action: audit.TokenRevoked, ask: form("/oauth/revoke", "token", "ACCESS"), stands: func(t *testing.T, d *deciding) bool {
			return mustSend(t, "GET", d.url+"/oauth/userinfo", bearer(d.held.AccessToken), "").status == http.StatusUnauthorized
		}},
		{action: audit.TokenReuse, ask: func(t *testing.T, d *deciding) answer {
			return form("/oauth/token", "grant_type", "refresh_token", "refresh_token", "REFRESH")(t, d)
		}, stands: ended},
		{action: audit.UserDisabled, args: []string{"users", "disable", email}, stands: disabled("users", email)},
		{action: audit.ClientDisabled, args: []string{"clients", "disable", "app"}, stands: disabled("clients", "app")},
	}
}

// TestA3_EveryDecisionStandsOnlyWithItsEvent makes every decision that the
// vocabulary knows, through the real program, while the audit log is full: what
// it decides about does not change, and the same again succeeds when there is
// room. What takes rights away stands, says so, and its event comes.
func TestA3_EveryDecisionStandsOnlyWithItsEvent(t *testing.T) {
	t.Parallel()
	known := map[audit.Action]bool{}
	for _, c := range decisions() {
		known[c.action] = true
	}
	for _, term := range audit.Vocabulary() {
		if (term.Stands != audit.Anyway) != (known[term.Action] || elsewhere[term.Action] != "") {
			t.Errorf("%s stands %q, and there is no row for it, or one too many", term.Action, term.Stands)
		}
	}
	onBothStores(t, []string{"--first-party-client", "app", "--login-throttle", "off", "--key-poll-interval", "1s"}, func(t *testing.T, d *deployment) {
		l := d.auditLink(t)
		s := &deciding{shop: openShop(t, d), log: l, file: filepath.Join(d.dir, "new-password")}
		writeFile(t, s.file, password+"\n")
		writeFile(t, filepath.Join(d.dir, "users.jsonl"), `{"email":"carol@example.com","password":"`+another+`"}`+"\n")
		d.addUser(t, "off@example.com", another)
		d.must(t, nil, "users", "disable", "off@example.com")
		for _, c := range decisions() {
			s.decide(t, c)
		}
		s.stop(t)
		s.checkAudit(t)
	})
}

// decide makes one decision, without the log and then with it.
func (d *deciding) decide(t *testing.T, c decided) {
	t.Helper()
	what := strings.Join(append([]string{string(c.action)}, c.args...), " ")
	d.ready(t, c)
	before, told := "", d.told(t, c.action)
	if c.stands == nil {
		before = d.state(t)
	}
	d.log.lead("/dev/full")
	done, said := d.make(t, c)
	d.log.lead(d.log.real)
	d.decidesAgain(t)
	if done {
		t.Errorf("%s: succeeded without its event", what)
	}
	if c.stands != nil {
		if !c.stands(t, d) {
			t.Errorf("%s: a protection waits for the log", what)
		}
		if c.args != nil && !strings.Contains(said, "owed") {
			t.Errorf("%s: says %q; want that it is done and the event owed", what, said)
		}
		if c.action == audit.TokenRevoked && !strings.Contains(said, "It is done") {
			t.Errorf("%s: answered with %s; want that it is done", what, said)
		}
		eventually(t, what+" is in the log", func() bool { return d.told(t, c.action) == told+1 })
		if c.action == audit.KeyRevoked {
			// What the server signs until it has read of it is void soon.
			kid := d.keyList(t)[slices.IndexFunc(d.keyList(t), func(k listedKey) bool { return k.State == "revoked" })].KID
			eventually(t, "the server has read of the revocation", func() bool {
				return !strings.Contains(mustSend(t, "GET", d.url+"/.well-known/jwks.json", nil, "").body, kid)
			})
		}
		return
	}
	if after := d.state(t); after != before {
		t.Errorf("%s: without its event there is\n%s\nwhere there was\n%s", what, after, before)
	}
	if done, said = d.make(t, c); !done {
		t.Errorf("%s: once more: %s", what, said)
	}
	if c.action == audit.ClientSecretTurned {
		d.confidential.secret = d.made.Secret
	}
	if now := d.told(t, c.action); now != told+1 {
		t.Errorf("%s: told %d times", what, now-told)
	}
}

// ready brings about what the decision needs: a login, a one-time token.
func (d *deciding) ready(t *testing.T, c decided) {
	t.Helper()
	a := postJSON(t, d.url+"/auth/login", nil, map[string]string{"email": email, "password": password})
	if a.status != http.StatusOK {
		d.must(t, nil, "users", "passwd", email, "--password-file", d.file)
		a = postJSON(t, d.url+"/auth/login", nil, map[string]string{"email": email, "password": password})
	}
	a.decode(t, &d.held)
	switch c.action {
	case audit.ResetRedeemed:
		var made struct{ Token string }
		d.must(t, &made, "users", "reset", email)
		d.token = made.Token
	case audit.TokenReuse:
		old := d.held
		for range 2 {
			d.held = d.grant(t, d.public, "grant_type", "refresh_token", "refresh_token", d.held.RefreshToken)
		}
		d.held = old
	}
}

// make makes the decision, and returns what was said of it.
func (d *deciding) make(t *testing.T, c decided) (bool, string) {
	t.Helper()
	if c.ask != nil {
		a := c.ask(t, d)
		if a.status >= 400 && (a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "") {
			t.Errorf("%s: status %d, %s; want 503 with Retry-After", c.action, a.status, a.body)
		}
		return a.status < 400, a.body
	}
	args := slices.Clone(c.args)
	for i, arg := range args {
		switch arg {
		case "FILE":
			args[i] = d.file
		case "USERS":
			args[i] = filepath.Join(d.dir, "users.jsonl")
		case "ACTIVE":
			args[i] = d.keyList(t)[slices.IndexFunc(d.keyList(t), func(k listedKey) bool { return k.State == "active" })].KID
		case "SESSION":
			args[i] = d.sessions(t)[0].ID
		}
	}
	o := d.run(t, args...)
	if c.action == audit.ClientSecretTurned && o.code == 0 {
		if err := json.Unmarshal([]byte(o.stdout), &d.made); err != nil {
			t.Fatal(err)
		}
	}
	return o.code == 0, o.stderr
}

// isHeld tells the session that is held from others.
func (d *deciding) isHeld(t *testing.T) func(session) bool {
	id := d.read(t, map[string]string{"held": d.held.AccessToken})["held"].Session
	if id == "" {
		t.Fatal("no session is held")
	}
	return func(s session) bool { return s.ID == id }
}

// listed returns the row of an account or a client.
func (d *deployment) listed(t *testing.T, kind, name string) string {
	t.Helper()
	var rows []json.RawMessage
	d.must(t, &rows, kind, "list")
	for _, row := range rows {
		if strings.Contains(string(row), `"`+name+`"`) {
			return strings.ReplaceAll(string(row), `": `, `":`)
		}
	}
	return ""
}

// state is all that a decision can change, field by field.
func (d *deciding) state(t *testing.T) string {
	t.Helper()
	var all []string
	for _, kind := range []string{"users", "clients", "families", "keys", "denied_tokens"} {
		all = append(append(all, kind), d.records(t, kind)...)
	}
	return strings.Join(all, "\n")
}

// decidesAgain waits until the server has its log back. The client's secret is the
// one that it was, whatever was decided.
func (d *deciding) decidesAgain(t *testing.T) {
	t.Helper()
	eventually(t, "the server decides again", func() bool {
		a, err := postForm(d.url+"/oauth/token", d.confidential, values("grant_type", "client_credentials"))
		if err != nil || a.status == http.StatusServiceUnavailable {
			return false
		}
		if a.status != http.StatusOK {
			t.Fatalf("the client's secret is void: %d %s", a.status, a.body)
		}
		return true
	})
}

// told counts the decisions of a kind that the log tells of.
func (d *deployment) told(t *testing.T, action audit.Action) int {
	t.Helper()
	ids := map[string]bool{}
	for text := range strings.Lines(readFile(t, d.auditLog)) {
		if !strings.HasSuffix(text, "\n") {
			continue // it is being written
		}
		var line struct {
			Event struct{ ID, Action string }
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		if line.Event.Action == string(action) && line.Event.ID != "" {
			ids[line.Event.ID] = true
		}
	}
	return len(ids)
}
