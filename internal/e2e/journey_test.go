//go:build interop

package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/mail/mailtest"
)

const (
	kay       = "kay@example.com"
	kaysFirst = "a kettle on the blue stove"
	kaysNext  = "seven herons and one boat"
)

// traveller is somebody with an account, and with the letters that an SMTP server took
// for them.
type traveller struct {
	*deployment
	*server
	smtp *mailtest.Server
	// read is how many of the letters were read, and secrets are what no log may have.
	read    int
	secrets []string
}

// newTraveller serves a deployment that sends letters by SMTP, with STARTTLS and a log-in.
func newTraveller(t *testing.T, flags ...string) *traveller {
	t.Helper()
	smtp := mailtest.New(t)
	d := newDeployment(t, "", flags...)
	secret, roots := filepath.Join(d.dir, "mail.password"), filepath.Join(d.dir, "mail.pem")
	writeFile(t, secret, mailtest.Password+"\n")
	writeFile(t, roots, string(smtp.PEM))
	d.addClient(t, "app", "--public", "--grant", "password", "--grant", "refresh_token", "--scope", scope)
	s := d.prepare(t, "")
	s.args = append(s.args, "--issuer", named(s.url), "--mail-host", "127.0.0.1", "--mail-port", strconv.Itoa(smtp.Port), "--mail-from", "no-reply@example.com",
		"--mail-username", mailtest.Username, "--mail-password-file", secret)
	s.launch = func(cmd *exec.Cmd) error {
		cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+roots)
		return cmd.Start()
	}
	s.start(t)
	return &traveller{deployment: d, server: s, smtp: smtp, secrets: []string{kaysFirst, kaysNext}}
}

// named is a URL of this machine by its name, as passkeys need it.
func named(url string) string { return strings.Replace(url, "127.0.0.1", "localhost", 1) }

var anyLink = regexp.MustCompile(`http\S+`)

// linkTo waits for the next letter that leads to a page, and returns the link.
func (k *traveller) linkTo(t *testing.T, page string) *url.URL {
	t.Helper()
	for {
		k.read++
		link, err := url.Parse(anyLink.FindString(k.smtp.Letter(t, k.read)))
		if err != nil {
			t.Fatal(err)
		}
		if link.Path == "/account/"+page {
			k.secrets = append(k.secrets, link.Query().Get("token"))
			return link
		}
	}
}

// converse runs a program that reads a line after some of those that it prints: where
// answer has none for a line, it says "". It returns the last line.
func converse(t *testing.T, cmd *exec.Cmd, first string, answer func(line string) string) (last string) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr logBuffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	say := func(line string) {
		if line == "" {
			return
		}
		// That it has ended is said by Wait.
		_, _ = io.WriteString(in, line+"\n")
	}
	say(first)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		last = lines.Text()
		say(answer(last))
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v after %q: %s", err, last, stderr.String())
	}
	return last
}

// TestTheLifeOfAnAccountAtThePages goes in Chromium from the sign-up over a passkey, its
// loss and a recovery code to another password; each step is one event.
func TestTheLifeOfAnAccountAtThePages(t *testing.T) {
	t.Parallel()
	k := newTraveller(t)
	request, err := json.Marshal(map[string]string{"issuer": named(k.url), "username": kay, "password": kaysFirst, "new_password": kaysNext})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join("clients", "node", "journey.mjs"))
	last := converse(t, cmd, string(request), func(line string) string {
		if strings.HasPrefix(line, "{") {
			return ""
		}
		return k.linkTo(t, line).String()
	})
	var got struct{ Wrong, Secrets []string }
	if err := json.Unmarshal([]byte(last), &got); err != nil {
		t.Fatalf("%q: %v", last, err)
	}
	for _, wrong := range got.Wrong {
		t.Error(wrong)
	}
	if len(got.Secrets) < 15 {
		t.Errorf("%d secrets were met", len(got.Secrets))
	}
	k.secrets = append(k.secrets, got.Secrets...)
	k.checkLog(t,
		"letter-asked", "user-signed-up wrong_password", "user-signed-up", "user-logged-in", // the sign-up
		"user-logged-out", "user-logged-in", "factor-enrolled", // a passkey is made
		"user-logged-out", "user-logged-in factor_due", "factor-used", "user-logged-in", // and used
		"user-logged-out", "user-logged-in factor_due", "factor-used", "user-logged-in", // it is lost
		"letter-asked", "reset-issued", "reset-redeemed", // another password
		"user-logged-in factor_due", "factor-used", "user-logged-in", "factor-removed",
		"user-logged-out", "user-logged-in")
}

// theLife is where docs/clients.md has the program that goes the same way by JSON.
const theLife = "// The life of an account"

// TestTheLifeOfAnAccountByJSON runs the program of docs/clients.md; each step is one event.
func TestTheLifeOfAnAccountByJSON(t *testing.T) {
	t.Parallel()
	k := newTraveller(t, "--first-party-client", "app")
	file := filepath.Join(t.TempDir(), "life.mjs")
	writeFile(t, file, blockOf(t, "clients.md", theLife))
	cmd := exec.CommandContext(t.Context(), "node", file)
	cmd.Env = append(os.Environ(), "ISSUER="+k.url, "EMAIL="+kay, "PASSWORD="+kaysFirst, "NEW_PASSWORD="+kaysNext)
	var typed []func() string // the codes, in turn
	last := converse(t, cmd, "", func(line string) string {
		switch word, rest, _ := strings.Cut(line, ": "); {
		case word == "Set up your app":
			app, err := url.Parse(rest)
			if err != nil {
				t.Fatal(err)
			}
			secret := app.Query().Get("secret")
			k.secrets = append(k.secrets, secret)
			typed = append(typed, func() string { return totp(t, secret, 0) }, func() string { return "a guess" }, func() string { return totp(t, secret, 1) })
		case word == "Keep these codes":
			k.secrets = append(k.secrets, strings.Fields(rest)...)
			typed = append(typed, func() string { return strings.Fields(rest)[0] })
		case strings.HasPrefix(line, "To confirm"):
			return k.linkTo(t, "confirm").Query().Get("token")
		case strings.HasPrefix(line, "For another password"):
			return k.linkTo(t, "reset").Query().Get("token")
		case strings.HasSuffix(line, "Code?"):
			code := typed[0]
			typed = typed[1:]
			return code()
		}
		return ""
	})
	if last != "Logged in with the new password" || len(typed) != 0 {
		t.Errorf("it ended with %q; %d codes are left", last, len(typed))
	}
	k.checkLog(t,
		"letter-asked", "user-signed-up", "token-issued", "user-read", "factor-enrolled",
		"token-refused factor_due", "token-refused wrong_code", "factor-used", "token-issued",
		"token-refused factor_due", "factor-used", "token-issued", "user-read", "factor-removed",
		"letter-asked", "reset-issued", "reset-redeemed", "token-issued")
}

// checkLog holds the log to the events of the account, each with its reason if it was
// refused, and to having no secret; then to what verifies it.
func (k *traveller) checkLog(t *testing.T, want ...string) {
	t.Helper()
	k.stop(t)
	log := readFile(t, k.auditLog)
	var told []string
	for line := range strings.Lines(log) {
		var e struct {
			Event struct{ Action, Outcome, Reason string }
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		kind, _, _ := strings.Cut(e.Event.Action, "-")
		if !slices.Contains([]string{"user", "letter", "reset", "factor", "recovery", "session", "password", "email", "token"}, kind) {
			continue
		}
		if e.Event.Outcome != "success" {
			e.Event.Action += " " + e.Event.Reason
		}
		told = append(told, e.Event.Action)
	}
	if !slices.Equal(told, want) {
		t.Errorf("the log tells\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
	for _, secret := range k.secrets {
		for name, text := range map[string]string{"the audit log": log, "standard error": k.stderr.String(), "standard output": k.stdout.String()} {
			if secret == "" || strings.Contains(text, secret) {
				t.Errorf("%s has the secret %q", name, secret)
			}
		}
	}
	k.must(t, nil, "audit", "verify", k.auditLog)
}
