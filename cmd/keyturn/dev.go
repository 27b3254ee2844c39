package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/keyturn/keyturn/docs"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/users"
)

// demoFile keeps the demo's credentials, so that the next start in the same
// directory can print them again.
const demoFile = "keyturn-dev.json"

// demo is what --dev creates.
type demo struct {
	Email        string `json:"email"`
	Password     string `json:"password"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
}

const (
	demoEmail    = "demo@example.com"
	demoClient   = "demo"
	demoAudience = "https://api.example.com"
	// demoCallback is that of an application on this machine, at any port.
	demoCallback = "http://127.0.0.1/callback"
	// demoRedirect is where nothing listens, so that the browser shows what it is led to.
	demoRedirect = "http://127.0.0.1:8765/callback"
)

// checkDev restricts the demo to this machine and to a store of its own.
func checkDev(cfg *config.Config) error {
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--dev with listen %s: the demo's password is in a file; use a loopback address such as 127.0.0.1:8080", cfg.Listen)
	}
	if cfg.MongoDB() {
		return errors.New("--dev with a MongoDB store: the demo is for an empty SQLite store; leave out --store or --dev")
	}
	if cfg.FirstPartyClient == "" {
		cfg.FirstPartyClient = demoClient
	}
	return nil
}

// makeDemo creates the demo user and client, unless an earlier start did.
func (d *deployment) makeDemo(s *services) error {
	if _, err := readDemo(); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	made := demo{Email: demoEmail, Password: rand.Text(), ClientID: demoClient}
	_, err := s.users.Add(d.ctx, users.NewUser{Email: made.Email, FirstName: "Demo", LastName: "User", Password: made.Password})
	if err != nil {
		return fmt.Errorf("--dev: the demo user: %w; start in an empty directory", err)
	}
	_, made.ClientSecret, err = d.clients().Add(d.ctx, clients.Client{
		ID: made.ClientID, Grants: clients.Grants(), RedirectURIs: []string{demoCallback}, Scope: []string{"openid", "email", "profile"}, Audience: []string{demoAudience},
	})
	if err != nil {
		return fmt.Errorf("--dev: the demo client: %w; start in an empty directory", err)
	}
	text, err := json.MarshalIndent(made, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(demoFile, append(text, '\n'), 0o600)
}

func readDemo() (demo, error) {
	var made demo
	text, err := os.ReadFile(demoFile)
	if err != nil {
		return made, err
	}
	if err := json.Unmarshal(text, &made); err != nil {
		return made, fmt.Errorf("--dev: %s is damaged (%w); start in an empty directory", demoFile, err)
	}
	return made, nil
}

// showDemo does what a stranger would do: it gets a token with the demo user's
// password, or as the demo client where nobody may, verifies it knowing only the
// issuer, and prints what to try.
func (p *program) showDemo(ctx context.Context, d *deployment, issuer string) {
	made, err := readDemo()
	if err == nil {
		var kid string
		kid, err = firstToken(ctx, issuer, made, d.cfg.PasswordGrant)
		first := fmt.Sprintf(firstText, made.Email, kid)
		if !d.cfg.PasswordGrant {
			first = fmt.Sprintf(clientText, kid)
		}
		if errors.Is(err, errFactorDue) {
			first, err = fmt.Sprintf(factorText, made.Email, thisProgram(), sameFiles(d.cfg)), nil
		}
		if err == nil {
			fmt.Fprintf(p.stdout, demoText, issuer, made.Email, first, made.Password, made.toTry(issuer, d.cfg.PasswordGrant), demoFile,
				docs.URL("clients.md"), docs.URL("resource-servers.md"), nextSteps(thisProgram(), issuer, d.cfg))
			return
		}
	}
	if ctx.Err() == nil {
		d.log.Error().Err(err).Str("file", demoFile).
			Msg("no first token could be bought and verified; if the demo user's password or client was changed since, the file no longer says how: change it back (users passwd), or begin anew in an empty directory")
	}
}

const firstText = `A first token for %s was bought with a password and verified with the
public key %s, knowing only the issuer's URL.`

const clientText = `A first token for the client was bought with its secret and verified with the
public key %s, knowing only the issuer's URL. The password grant is off.`

const factorText = `%[1]s has a second factor, or the client or a role requires one, so that
the commands below with a password are refused. This takes the factor off:

  %[2]s users factors %[1]s --remove-all%[3]s`

const demoText = `
Keyturn is up at %[1]s for development.
%[3]s

Log in in a browser, at the page that applications lead to:

  %[1]s/account
  %[2]s
  %[4]s

Try (in another terminal):

%[5]s
Then:

%[9]s
Writing a client: %[7]s
Writing a resource server: %[8]s

The demo's credentials are in %[6]s; stop with Ctrl-C.
`

// toTry are commands that work as they stand, once what another answered is pasted in.
func (d demo) toTry(issuer string, password bool) string {
	// Letters and digits will do for a verifier (RFC 7636 §4.1).
	verifier := rand.Text() + rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"response_type": {"code"}, "client_id": {d.ClientID}, "redirect_uri": {demoRedirect}, "scope": {"openid email"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	text := fmt.Sprintf(codeText, issuer, query.Encode(), d.ClientID, d.ClientSecret, verifier, demoRedirect)
	if password {
		text += fmt.Sprintf(passwordText, issuer, d.Email, d.Password, d.ClientID, d.ClientSecret)
	}
	return text + fmt.Sprintf(tokensText, issuer, d.ClientID, d.ClientSecret)
}

const codeText = `  # log in, as an application leads its users to: open this in a browser,
  # and find the code in the address that it ends at, where nothing listens
  %[1]s/oauth/authorize?%[2]s

  # spend the code, once and within a minute
  curl -s %[1]s/oauth/token -u '%[3]s:%[4]s' -d grant_type=authorization_code \
    -d code_verifier=%[5]s -d redirect_uri=%[6]s -d code=PASTE

`

const passwordText = `  # log in, as a client application with a form of its own does
  curl -s %[1]s/oauth/token -u '%[4]s:%[5]s' \
    -d grant_type=password -d username=%[2]s -d password=%[3]s -d 'scope=openid email'

  # log in, as a first-party page does
  curl -s %[1]s/auth/login -H 'Content-Type: application/json' \
    -d '{"email":"%[2]s","password":"%[3]s"}'

`

const tokensText = `  # spend the refresh token of an answer
  curl -s %[1]s/oauth/token -u '%[2]s:%[3]s' -d grant_type=refresh_token -d refresh_token=PASTE

  # ask whether an access token is live
  curl -s %[1]s/oauth/introspect -u '%[2]s:%[3]s' -d token=PASTE

  # what resource servers fetch
  curl -s %[1]s/.well-known/jwks.json
  curl -s %[1]s/.well-known/openid-configuration
`

// nextSteps returns the commands to try next, for a program of that name and a server
// with these settings.
func nextSteps(program, issuer string, cfg *config.Config) string {
	steps := [][2]string{
		{program + " doctor --issuer " + issuer, "what your resource servers will see"},
		{program + " keys rotate" + sameFiles(cfg), "sign with the next key, early"},
	}
	if cfg.AuditsInFile() {
		steps = append(steps, [2]string{program + " audit tail " + shellWord(cfg.AuditLog), "every decision so far"})
	}
	steps = append(steps, [2]string{"curl -s " + issuer + "/openapi.yaml", "every route, for your tools"})
	var width int
	for _, s := range steps {
		width = max(width, len(s[0]))
	}
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&b, "  %-*s   # %s\n", width, s[0], s[1])
	}
	return b.String()
}

// sameFiles returns the flags with which a command finds the files of a server, as far as
// the server was told of others than by default.
func sameFiles(cfg *config.Config) string {
	var flags strings.Builder
	for _, v := range cfg.Effective() {
		if (v.Name == "store" || v.Name == "master_key_file") && v.Source != config.FromDefault {
			fmt.Fprintf(&flags, " --%s %s", strings.ReplaceAll(v.Name, "_", "-"), shellWord(v.Value))
		}
	}
	return flags.String()
}

// shellWord returns s as a word of a POSIX shell.
func shellWord(s string) string {
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// plain are characters that mean nothing to a shell.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+,="

// thisProgram returns the command with which the user started this program.
func thisProgram() string {
	if executable, err := os.Executable(); err == nil && builtByGoRun(executable) {
		return "go run ./cmd/keyturn"
	}
	return os.Args[0]
}

// cached matches the name of a directory of a program in Go's build cache.
var cached = regexp.MustCompile(`^[0-9a-f]{64}-d$`)

// builtByGoRun reports whether go run built the program and will remove it: it
// is in Go's build cache, or in a directory for the one run.
func builtByGoRun(executable string) bool {
	dir := filepath.Dir(executable)
	return cached.MatchString(filepath.Base(dir)) || strings.Contains(filepath.ToSlash(dir), "/go-build")
}
