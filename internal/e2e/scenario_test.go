package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

const (
	email    = "ada@example.com"
	password = "plum orbit candle seven"
	api      = "https://api.example.com"
	billing  = "https://billing.example.com"
	scope    = "openid email profile"
)

// shop is a deployment with a user, clients of both kinds, and a server.
type shop struct {
	*deployment
	*server
	uid string
	// issuer is what clients are told; the server's own URL unless it stands
	// behind a front.
	issuer string
	front  *front
	// confidential may use every grant; public has no secret; keyed signs.
	confidential, public, keyed credentials
	keys                        clientKeys
}

// openShop sets a deployment up from its command line and serves it.
func openShop(t *testing.T, d *deployment, flags ...string) *shop {
	t.Helper()
	s := stock(t, d)
	s.server = d.serve(t, flags...)
	s.issuer = s.url
	return s
}

// openShopBehindFront is openShop behind a front, with a client that has keys,
// which it publishes there.
func openShopBehindFront(t *testing.T, d *deployment, flags ...string) *shop {
	t.Helper()
	s := stock(t, d)
	s.keys = newClientKeys(t)
	s.serveBehindFront(t, append([]string{"--client-jwks-networks", "127.0.0.1"}, flags...)...)
	s.front.publish("/batch.jwks.json", s.keys.jwks)
	s.keyed = s.addClient(t, "batch", "--grant", "client_credentials", "--scope", scope, "--audience", api, "--audience", billing,
		"--jwks-uri", s.front.url+"/batch.jwks.json")
	return s
}

// serveBehindFront starts a server behind a front, whose URL is the issuer's.
func (s *shop) serveBehindFront(t *testing.T, flags ...string) {
	t.Helper()
	s.front = newFront(t)
	s.issuer = s.front.url
	s.server = s.serveAs(t, s.issuer, append([]string{"--trusted-proxies", "127.0.0.1"}, flags...)...)
	s.front.lead(s.url)
}

// stock makes the user and the clients of a shop.
func stock(t *testing.T, d *deployment) *shop {
	t.Helper()
	s := &shop{deployment: d}
	s.uid = d.addUser(t, email, password, "--username", "ada", "--first-name", "Ada", "--last-name", "Lovelace")
	s.confidential = d.addClient(t, "shop", "--grant", "password", "--grant", "refresh_token", "--grant", "client_credentials",
		"--scope", scope, "--audience", api)
	s.public = d.addClient(t, "app", "--public", "--grant", "password", "--grant", "refresh_token", "--scope", scope, "--audience", api)
	return s
}

// request is what a client program reads.
type request struct {
	Issuer       string            `json:"issuer"`
	ClientID     string            `json:"client_id"`
	ClientSecret string            `json:"client_secret"`
	Username     string            `json:"username"`
	Password     string            `json:"password"`
	Audience     string            `json:"audience"`
	Alg          string            `json:"alg"`
	Tokens       map[string]string `json:"tokens,omitempty"`
	// KeyedID is a client that signs with PrivateKeys, PEM by algorithm.
	KeyedID     string            `json:"keyed_id,omitempty"`
	PrivateKeys map[string]string `json:"private_keys,omitempty"`
	// Resource is the one of its audiences that it asks for.
	Resource string `json:"resource,omitempty"`
	// Mailbox is where the tokens of letters are read.
	Mailbox string `json:"mailbox,omitempty"`
}

func (s *shop) request(by credentials) request {
	return request{
		Issuer: s.issuer, ClientID: by.id, ClientSecret: by.secret,
		Username: email, Password: password, Audience: api, Alg: "ES256",
		KeyedID: s.keyed.id, PrivateKeys: s.keys.pem, Resource: billing,
	}
}

// ask runs a client program on a request and decodes what it prints into v.
func ask(t *testing.T, r, v any, name string, args ...string) {
	t.Helper()
	stdin, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Env = append(os.Environ(), trust.environ()...)
	out, err := cmd.Output()
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Fatalf("%s: %v\n%s", filepath.Base(name), err, ended.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, v); err != nil {
		t.Fatalf("%s printed %q: %v", filepath.Base(name), out, err)
	}
}

// audience is the aud of a token, one name or several with spaces between.
type audience string

func (a *audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audience(one)
		return nil
	}
	var several []string
	err := json.Unmarshal(b, &several)
	*a = audience(strings.Join(several, " "))
	return err
}

// claims are those of an access token, as a verifier returned them.
type claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience audience `json:"aud"`
	Expiry   float64  `json:"exp"`
	IssuedAt float64  `json:"iat"`
	ID       string   `json:"jti"`
	ClientID string   `json:"client_id"`
	Scope    string   `json:"scope"`
	AuthTime float64  `json:"auth_time"`
	Session  string   `json:"sid"`
	Email    string   `json:"email"`
}

// checkClaims checks what every verifier read in every token.
func (s *shop) checkClaims(t *testing.T, by credentials, verifiers map[string]map[string]claims) {
	t.Helper()
	for verifier, byName := range verifiers {
		grants := []string{"password", "refresh_token"}
		if by.secret != "" {
			grants = append(grants, "client_credentials")
		}
		if len(byName) != len(grants) {
			t.Errorf("%s verified %d tokens, want those of %v", verifier, len(byName), grants)
		}
		for _, grant := range grants {
			got := byName[grant]
			want := claims{
				Issuer: s.issuer, Subject: s.uid, Audience: api, ClientID: by.id, Scope: scope, Email: email,
				Expiry: got.IssuedAt + 3600, IssuedAt: got.IssuedAt, ID: got.ID, AuthTime: got.AuthTime, Session: got.Session,
			}
			want.Audience += audience(" " + s.issuer) // that is where userinfo is
			if grant == "client_credentials" {
				want.Audience = api
				want.Subject, want.Email, want.AuthTime, want.Session = by.id, "", 0, ""
			} else if got.AuthTime == 0 || got.Session == "" {
				t.Errorf("%s read auth_time %v and sid %q in the token of %s", verifier, got.AuthTime, got.Session, grant)
			}
			if got != want || got.ID == "" || got.IssuedAt == 0 {
				t.Errorf("%s read in the token of %s\n%+v, want\n%+v", verifier, grant, got, want)
			}
		}
		if byName["password"].Session != byName["refresh_token"].Session {
			t.Errorf("%s: a refresh changed the session", verifier)
		}
	}
}

// userInfo is what the userinfo endpoint says of the shop's user.
type userInfo struct {
	Subject    string `json:"sub"`
	Email      string `json:"email"`
	Name       string `json:"name"`
	GivenName  string `json:"given_name"`
	FamilyName string `json:"family_name"`
	Username   string `json:"preferred_username"`
}

func (s *shop) checkUserInfo(t *testing.T, got userInfo) {
	t.Helper()
	if want := (userInfo{s.uid, email, "Ada Lovelace", "Ada", "Lovelace", "ada"}); got != want {
		t.Errorf("userinfo answered %+v, want %+v", got, want)
	}
}

// goClient builds the client program in Go, which is a module of its own.
var goClient = sync.OnceValues(func() (string, error) {
	to := filepath.Join(binaries, "client")
	return to, build(to, filepath.Join("clients", "go"), ".")
})

// journey is what a client program of any language reports.
type journey struct {
	// Refreshes is how many refresh tokens were spent, Lost how many answers
	// to a refresh did not arrive.
	Refreshes, Lost int
	// Refused is the error of a request that has to be refused.
	Refused string
	// Keyed are the claims of the token of the client that signs.
	Keyed claims
	// Tokens are those that the program did not verify itself.
	Tokens map[string]string
	// Did is what the program did with its library, in the words of docs/interop.md.
	Did []string
}

// check checks what a program reports that has spent three refresh tokens, the
// first answer to each lost.
func (j journey) check(t *testing.T, s *shop, program string, by credentials) {
	t.Helper()
	j.checkDid(t, program, by)
	signs := slices.Contains(j.Did, "private_key_jwt")
	if j.Refreshes != 3 || j.Lost != 3 || j.Refused != "invalid_grant" {
		t.Errorf("%s as %s: %d refreshes, %d of them lost, and the refusal %q; want 3, 3 and invalid_grant", program, by.id, j.Refreshes, j.Lost, j.Refused)
	}
	if signs && (j.Keyed.ClientID != s.keyed.id || j.Keyed.Subject != s.keyed.id || j.Keyed.Audience != billing) {
		t.Errorf("%s: the token of the client that signs has %+v; want one of %s for %s", program, j.Keyed, s.keyed.id, billing)
	}
	if j.Tokens != nil {
		s.checkClaims(t, by, map[string]map[string]claims{program: s.read(t, j.Tokens)})
	}
}

// read verifies tokens and returns their claims.
func (s *shop) read(t *testing.T, tokens map[string]string) map[string]claims {
	t.Helper()
	v := &verifier{url: s.url, issuer: s.issuer}
	all := map[string]claims{}
	for name, token := range tokens {
		if _, err := v.verify(token); err != nil {
			t.Errorf("the token of %s: %v", name, err)
		}
		_, rest, _ := strings.Cut(token, ".")
		payload, _, _ := strings.Cut(rest, ".")
		text, err := base64.RawURLEncoding.DecodeString(payload)
		if err != nil {
			t.Fatal(err)
		}
		var c claims
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		all[name] = c
	}
	return all
}

func TestGoClients(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		program, err := goClient()
		if err != nil {
			t.Fatal(err)
		}
		s := openShopBehindFront(t, d)
		for _, by := range []credentials{s.confidential, s.public} {
			var got struct {
				journey
				OIDC, Keyfunc map[string]claims
				UserInfo      userInfo
			}
			ask(t, s.request(by), &got, program)
			s.checkClaims(t, by, map[string]map[string]claims{"go-oidc": got.OIDC, "keyfunc": got.Keyfunc})
			s.checkUserInfo(t, got.UserInfo)
			got.check(t, s, "golang.org/x/oauth2", by)
		}
		s.stop(t)
		s.checkAudit(t)
	})
}

// checkAudit verifies the audit log as an operator does.
func (d *deployment) checkAudit(t *testing.T, more ...string) {
	t.Helper()
	files := append([]string{d.auditLog}, more...)
	o := d.run(t, append([]string{"audit", "verify"}, files...)...)
	if o.code != 0 {
		t.Errorf("audit verify: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	for _, file := range files {
		log := readFile(t, file)
		if log == "" {
			t.Errorf("the audit log %s is empty", filepath.Base(file))
		}
		checkNoSecrets(t, filepath.Base(file), log)
	}
}

// secretForm matches the secrets that Keyturn makes, and jwsHeader the first
// part of a JWS.
var (
	secretForm = regexp.MustCompile(`kt_(rt|cs|mk)_[A-Za-z0-9_-]{8,}`)
	jwsHeader  = regexp.MustCompile(`eyJ[A-Za-z0-9_-]+`)
)

// checkNoSecrets fails where a text holds what must be in no log (K7). The
// signatures of checkpoints are no secrets; access tokens are.
func checkNoSecrets(t *testing.T, name, text string) {
	t.Helper()
	if strings.Contains(text, password) || strings.Contains(text, "PRIVATE KEY") || secretForm.MatchString(text) {
		t.Errorf("%s holds a secret", name)
	}
	for _, header := range jwsHeader.FindAllString(text, -1) {
		if raw, err := base64.RawURLEncoding.DecodeString(header); err == nil && bytes.Contains(raw, []byte("at+jwt")) {
			t.Errorf("%s holds an access token", name)
		}
	}
}
