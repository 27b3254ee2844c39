package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/mail"
)

// letterHook is a webhook that takes letters, but none to bob, and passes on those that
// somebody asked for.
func letterHook(t *testing.T) (flags []string, letters chan mail.Message) {
	t.Helper()
	letters = make(chan mail.Message, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m mail.Message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil || !strings.HasPrefix(r.Header.Get("Keyturn-Signature"), "t=") {
			t.Errorf("%v, %v", err, r.Header)
		}
		if strings.HasPrefix(m.To, "bob@") {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		if strings.Contains(m.Text, "/account/") {
			letters <- m
		}
	}))
	t.Cleanup(hook.Close)
	secret := filepath.Join(t.TempDir(), "hook.secret")
	writeFile(t, secret, strings.Repeat("s", 32)+"\n")
	return []string{"--mail-webhook-url", hook.URL, "--mail-webhook-secret-file", secret}, letters
}

var tokenInLetter = regexp.MustCompile(`[?&]token=([^&\s]+)`)

// tellLetters has letters written, one of which is refused, and returns the log.
func tellLetters(t *testing.T) []string {
	t.Helper()
	flags, letters := letterHook(t)
	d := newDeployment(t, "", append(flags, "--first-party-client", "app", "--trusted-proxies", "127.0.0.1")...)
	s := storyteller{openShop(t, d), t, adasIP, adasPhone, "", ""}
	d.addUser(t, "bob@example.com", password)
	for _, address := range []string{email, "bob@example.com"} {
		s.json("POST", "/auth/forgot", "", map[string]string{"email": address}, 202)
	}
	token := tokenInLetter.FindStringSubmatch((<-letters).Text)
	if token == nil {
		t.Fatal("the letter has no link")
	}
	s.json("POST", "/auth/reset", "", map[string]string{"token": token[1], "new_password": another}, 200)
	d.must(t, nil, "users", "letter", email, "--kind", "confirm")
	token = tokenInLetter.FindStringSubmatch((<-letters).Text)
	s.json("POST", "/auth/confirm", "", map[string]string{"token": token[1]}, 200)
	eventually(t, "a letter is given up", func() bool {
		return pick(strings.Split(readFile(t, d.auditLog), "\n"), audit.LetterUndelivered, audit.Failure) != ""
	})
	s.stop(t)
	return strings.Split(strings.TrimSpace(readFile(t, d.auditLog)), "\n")
}
