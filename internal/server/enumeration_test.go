package server_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/users"
)

// importedHash is bcrypt 3.2.2's, of cost 5, of a password nobody here sends.
const importedHash = "$2b$05$U.6.gPs5MUbuscDNCwOTt.Hhz7sJvgOD6n12TshKwfGe2N9v1ShX6"

// refusal is a login that is turned away, of one of the kinds that must look
// alike.
type refusal struct{ kind, email, password string }

// refusals makes an account of each kind and returns a wrong login to each; one
// to the disabled account has the right password. imported is the hash that an
// imported account bears; without it there is none.
func (w *world) refusals(imported string) []refusal {
	w.t.Helper()
	disabled, err := w.users.Add(w.t.Context(), users.NewUser{Email: "disabled@example.com", Password: password})
	must(w.t, err)
	must(w.t, w.users.Disable(w.t.Context(), disabled.UID))
	kinds := []refusal{
		{"unknown user", "nobody00@example.com", password},
		{"wrong password", email, "the analytical engine wove it"},
		{"disabled user", disabled.Email, password},
	}
	if imported == "" {
		return kinds
	}
	_, err = w.users.Import(w.t.Context(), users.ImportUser{Email: "imported@example.com", PasswordHash: imported})
	must(w.t, err)
	return append(kinds, refusal{"imported hash", "imported@example.com", password})
}

// sendRefusal makes the login at one of the two places that take a password.
func (w *world) sendRefusal(path string, r refusal) *httptest.ResponseRecorder {
	if path == "/auth/login" {
		return w.sendJSON("POST", path, "", map[string]string{"email": r.email, "password": r.password})
	}
	return w.post(path, url.Values{"grant_type": {"password"}, "username": {r.email}, "password": {r.password}})
}

var loginPaths = []string{"/oauth/token", "/auth/login"}

// TestU1_RefusalsAnswerAlike holds status, headers and body of every refusal to
// those of an unknown user's, at both places that take a password.
func TestU1_RefusalsAnswerAlike(t *testing.T) {
	w := newWorld(t)
	kinds := w.refusals(importedHash)
	for _, path := range loginPaths {
		answer := func(r refusal) string {
			rec := w.sendRefusal(path, r)
			rec.Header().Del("X-Request-Id") // random in every answer
			return fmt.Sprintf("%d %v %s", rec.Code, rec.Header(), rec.Body)
		}
		want := answer(kinds[0])
		for _, r := range kinds[1:] {
			if got := answer(r); got != want {
				t.Errorf("%s, %s:\n%s\nan unknown user:\n%s", path, r.kind, got, want)
			}
		}
	}
}

// TestU1_RefusalsCostAlike counts the work behind every refusal. Accounts of our
// own cost one hash like none at all. An imported hash costs another, which all
// others make up for in time: nobody is answered before the floor, which is a
// quarter above the best time of an imported hash in this process.
func TestU1_RefusalsCostAlike(t *testing.T) {
	w := newWorld(t)
	hashes := w.users.Hasher.Stats
	kinds := w.refusals(importedHash)
	cost := func(path string, r refusal) (int64, time.Duration) {
		before, begin := hashes().Computed, time.Now()
		w.sendRefusal(path, r)
		return hashes().Computed - before, time.Since(begin)
	}
	if floor := hashes().Floor; floor != 0 {
		t.Errorf("the floor is %v before anything was learned", floor)
	}
	must(t, w.users.LearnHashes(t.Context()))
	if hashes().Floor == 0 {
		t.Fatal("nothing was learned of the imported hash")
	}
	for _, path := range loginPaths {
		for _, r := range kinds {
			floor := hashes().Floor // it only ever sinks
			n, took := cost(path, r)
			want := int64(1)
			if r.kind == "imported hash" {
				want = 2
			}
			if n != want {
				t.Errorf("%s, %s: %d hashes were computed; want %d", path, r.kind, n, want)
			}
			if least := min(floor, hashes().Floor); took < least {
				t.Errorf("%s, %s: answered after %v, before the floor of %v", path, r.kind, took, least)
			}
		}
	}
}

// TestBadInputCostsNothing sends what is no login; no hash is computed for it.
func TestBadInputCostsNothing(t *testing.T) {
	w := newWorld(t)
	before := w.users.Hasher.Stats().Computed
	long := strings.Repeat("x", 10<<20)
	signUp := func(field, value string) map[string]string {
		body := map[string]string{"email": "eve@example.com", "password": "a long enough sentence"}
		body[field] = value
		return body
	}
	for what, c := range map[string]struct {
		rec    *httptest.ResponseRecorder
		status int
	}{
		"a 10 MB password to the token endpoint": {w.post("/oauth/token", url.Values{"grant_type": {"password"}, "username": {email}, "password": {long}}), 413},
		"a 10 MB password to /auth/login":        {w.sendJSON("POST", "/auth/login", "", map[string]string{"email": email, "password": long}), 413},
		"a 10 MB password to sign-up":            {w.sendJSON("POST", "/auth/signup", "", signUp("password", long)), 413},
		"a NUL in an e-mail":                     {w.sendJSON("POST", "/auth/signup", "", signUp("email", "e\x00ve@example.com")), 422},
		"a NUL in a password":                    {w.sendJSON("POST", "/auth/signup", "", signUp("password", "a long enough\x00 sentence")), 422},
		"a 2 KB password":                        {w.sendJSON("POST", "/auth/signup", "", signUp("password", long[:2048])), 422},
		"an e-mail of 300 bytes":                 {w.sendJSON("POST", "/auth/signup", "", signUp("email", long[:300]+"@example.com")), 422},
		"a username that hides something":        {w.sendJSON("POST", "/auth/signup", "", signUp("username", "ad\u200ba")), 422},
	} {
		if c.rec.Code != c.status || c.rec.Body.Len() > 1000 {
			t.Errorf("%s: status %d, %.300s; want %d", what, c.rec.Code, c.rec.Body, c.status)
		}
	}
	if n := w.users.Hasher.Stats().Computed - before; n != 0 {
		t.Errorf("%d hashes were computed", n)
	}
}

// BenchmarkU1_RefusalTimes measures how well the kinds of refusal can be told
// from an unknown user's by their times, over the default argon2id and an
// imported bcrypt of cost 10, while nothing else runs and while a core is busy.
// It reports medians and, for each kind, how often a guess by time alone
// would be right: 0.5 is a coin's, 1 is always. Run it with
//
//	go test ./internal/server -run '^$' -bench U1 -benchtime 300x
func BenchmarkU1_RefusalTimes(b *testing.B) {
	for _, imported := range []string{"", "$2b$10$U.6.gPs5MUbuscDNCwOTt.Hhz7sJvgOD6n12TshKwfGe2N9v1ShX6"} {
		for _, busy := range []bool{false, true} {
			b.Run(fmt.Sprintf("imported=%t/busy=%t", imported != "", busy), func(b *testing.B) {
				w := newWorld(b)
				var err error
				w.users.Hasher, err = users.NewHasher(users.DefaultParams(), 2)
				must(b, err)
				must(b, w.users.ResetPassword(b.Context(), w.uid, password))
				kinds := w.refusals(imported)
				must(b, w.users.LearnHashes(b.Context()))
				if busy {
					defer keepBusy()()
				}
				took := make([][]time.Duration, len(kinds))
				for b.Loop() {
					for _, k := range rand.Perm(len(kinds)) {
						begin := time.Now()
						w.sendRefusal("/oauth/token", kinds[k])
						took[k] = append(took[k], time.Since(begin))
					}
				}
				for k, r := range kinds {
					slices.Sort(took[k])
					label := strings.ReplaceAll(r.kind, " ", "-")
					b.ReportMetric(float64(took[k][len(took[k])/2].Microseconds())/1000, label+"-ms")
					b.ReportMetric(toldApart(took[0], took[k]), label+"-told-apart")
				}
			})
		}
	}
}

// toldApart is the probability that of two answers, one from each sample, a
// guess by their times which is which is right: the area under the curve of
// the best such test, from the rank sum of Mann and Whitney.
func toldApart(a, b []time.Duration) float64 {
	var wins float64
	for _, x := range a {
		for _, y := range b {
			switch cmp.Compare(x, y) {
			case -1:
				wins++
			case 0:
				wins += 0.5
			}
		}
	}
	share := wins / float64(len(a)*len(b))
	return max(share, 1-share)
}

// keepBusy occupies a core until the function returned is called.
func keepBusy() (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			default:
			}
		}
	})
	return func() { close(done); wg.Wait() }
}
