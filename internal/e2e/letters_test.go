package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/mail"
)

// letterHook is a webhook that takes letters, but none to bob, and passes on those that
// somebody asked for.
func letterHook(t *testing.T) (flags []string, letters chan mail.Message) {
	t.Helper()
	letters = make(chan mail.Message, 10)
	flags = hookOf(t, func(m mail.Message) {
		if strings.Contains(m.Text, "/account/") {
			letters <- m
		}
	})
	return flags, letters
}

// hookOf is a webhook that hands over the letters that it takes.
func hookOf(t *testing.T, take func(mail.Message)) (flags []string) {
	t.Helper()
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m mail.Message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil || !strings.HasPrefix(r.Header.Get("Keyturn-Signature"), "t=") {
			t.Errorf("%v, %v", err, r.Header)
		}
		if strings.HasPrefix(m.To, "bob@") {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		take(m)
	}))
	t.Cleanup(hook.Close)
	secret := filepath.Join(t.TempDir(), "hook.secret")
	writeFile(t, secret, strings.Repeat("s", 32)+"\n")
	return []string{"--mail-webhook-url", hook.URL, "--mail-webhook-secret-file", secret}
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

// TestF5_AKilledCommandOwesItsLetter kills commands from the proposal of another password
// on. A server carries on what they began, and the owner has one letter for each.
func TestF5_AKilledCommandOwesItsLetter(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		var mu sync.Mutex
		got := map[string]string{}
		d.settings = append(d.settings, hookOf(t, func(m mail.Message) {
			mu.Lock()
			defer mu.Unlock()
			if got[m.ID] = string(m.Kind); m.To != email || m.Kind != mail.Password {
				t.Errorf("%+v", m)
			}
		})...)
		d.addUser(t, email, password)
		d.serve(t)
		under := func() bool {
			return slices.ContainsFunc(d.records(t, "users"), func(r string) bool { return strings.Contains(r, `Notices`) })
		}
		file := filepath.Join(t.TempDir(), "password")
		writeFile(t, file, another+"\n")
		for range 2 { // each may count twice, and one more than five would have to wait
			cmd := exec.Command(keyturn, append([]string{"users", "passwd", email, "--password-file", file}, d.flags()...)...)
			cmd.Env = bareEnviron()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			over := make(chan struct{})
			go func() { _ = cmd.Wait(); close(over) }()
			poll(over, under)
			_ = cmd.Process.Kill()
			<-over
			eventually(t, "what was begun is carried on", func() bool { return !under() })
		}
		want := map[string]bool{}
		for line := range strings.Lines(readFile(t, d.auditLog)) {
			var e struct {
				Event struct{ ID, Action, Outcome string }
			}
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			if e.Event.Action == string(audit.PasswordReset) && e.Event.Outcome == string(audit.Success) {
				want[uuid.NewSHA1(uuid.Nil, []byte(e.Event.ID)).String()] = true
			}
		}
		sent := func() bool { return len(d.records(t, "messages")) == 0 }
		if !poll(nil, sent) { // one that was being written is left to who died for a minute
			eventually(t, "the letters are sent", sent)
		}
		mu.Lock()
		defer mu.Unlock()
		for id := range got {
			name, _, _ := strings.Cut(id, "@")
			if !want[name] {
				t.Errorf("a letter %s that no event owes", id)
			}
			delete(want, name)
		}
		if len(got) == 0 || len(want) != 0 {
			t.Errorf("%d letters, and %d are missing", len(got), len(want))
		}
	})
}
