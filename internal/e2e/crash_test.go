package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
)

// refresher is a client application that spends its refresh token again and
// again. It trusts nothing but an answer that reached it.
type refresher struct {
	url   string
	by    credentials
	token string
	// rest is how long it leaves the server alone after an answer.
	rest time.Duration
	// refreshes counts the answers, putOff those that say to try again; lost
	// says how the session was lost.
	refreshes, putOff atomic.Int64
	lost              atomic.Pointer[string]
}

// refresh spends the token once. Where no answer comes, or one that says to try
// again, the token is kept.
func (r *refresher) refresh() (tokens, bool) {
	a, err := postForm(r.url+"/oauth/token", r.by, values("grant_type", "refresh_token", "refresh_token", r.token))
	if err != nil {
		return tokens{}, false
	}
	if a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "" {
		r.putOff.Add(1)
		return tokens{}, false
	}
	got, err := decodeTokens(a)
	if err != nil || a.status != http.StatusOK {
		how := fmt.Sprintf("status %d, %s after %d refreshes", a.status, a.body, r.refreshes.Load())
		r.lost.Store(&how)
		return tokens{}, false
	}
	r.token = got.RefreshToken
	r.refreshes.Add(1)
	return got, true
}

// decodeTokens reads an answer, without a test that it could end.
func decodeTokens(a answer) (got tokens, err error) {
	if err = json.Unmarshal([]byte(a.body), &got); err == nil && got.RefreshToken == "" {
		err = errors.New("there is no refresh token")
	}
	return got, err
}

// run refreshes until done is closed or the session is lost. Where the server
// does not answer, it pauses.
func (r *refresher) run(done <-chan struct{}) {
	pause := time.NewTicker(10 * time.Millisecond)
	defer pause.Stop()
	for r.lost.Load() == nil {
		wait := pause.C
		if _, ok := r.refresh(); ok {
			wait = time.After(r.rest)
		}
		select {
		case <-done:
			return
		case <-wait:
		}
	}
}

// killsVariable sets how often each server is killed. A plain run has time for
// a few kills; run hundreds before a release.
const killsVariable = "KEYTURN_TEST_KILLS"

func kills(t *testing.T) int {
	t.Helper()
	text := os.Getenv(killsVariable)
	if text == "" {
		return 3
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is not a number of kills", killsVariable, text)
	}
	return n
}

// runAll has all clients refresh, until the function returned is called.
func runAll(all []*refresher) (finish func()) {
	done := make(chan struct{})
	var running sync.WaitGroup
	for _, r := range all {
		running.Go(func() { r.run(done) })
	}
	return sync.OnceFunc(func() {
		close(done)
		running.Wait()
	})
}

// checkNoReuse fails the test if a client was taken for a thief.
func (d *deployment) checkNoReuse(t *testing.T) {
	t.Helper()
	d.checkReuses(t, 0)
}

// checkReuses fails the test if not that many clients were taken for thieves.
func (d *deployment) checkReuses(t *testing.T, want int) {
	t.Helper()
	if got := strings.Count(readFile(t, d.auditLog), `"token-reuse"`); got != want {
		t.Errorf("%d clients were taken for thieves; want %d", got, want)
	}
}

// TestF5_SessionsSurviveKill kills the server at random under clients that
// refresh over a network that loses answers. Each goes on with the last token
// that reached it, none loses its session, none is taken for a thief, and what
// was acknowledged right before the kill stands.
func TestF5_SessionsSurviveKill(t *testing.T) {
	t.Parallel()
	const clients, between = 32, 2
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		s := openShop(t, d)
		lossy := newCutter(t, strings.TrimPrefix(s.url, "http://"))
		lossy.oneIn.Store(4)
		all := make([]*refresher, clients)
		for i := range all {
			all[i] = &refresher{url: "http://" + lossy.address, by: s.public, token: s.login(t, s.public, email, password).RefreshToken}
			if strings.HasPrefix(d.store, "mongodb") {
				all[i].rest = 500 * time.Millisecond // FerretDB, one command at a time, is not made for more
			}
		}
		finish := runAll(all)
		defer finish()
		for range kills(t) {
			goOn(t, all, between)
			promised := s.acknowledge(t)
			goOn(t, all[:1], rand.Int64N(4)) // until some moment
			s.kill(t)
			s.server = s.again(t)
			promised.check(t, s)
		}
		goOn(t, all, between)
		finish()
		s.stop(t)
		s.checkAudit(t)
		s.checkNoReuse(t)
		var refreshes int64
		for _, r := range all {
			refreshes += r.refreshes.Load()
		}
		t.Logf("%d refreshes reached %d clients over %d kills and %d lost answers", refreshes, clients, kills(t), lossy.cuts.Load())
		if lossy.cuts.Load() == 0 {
			t.Error("the network lost no answer")
		}
	})
}

// TestF2_ADatabaseThatLosesAnswersLosesNoSession puts a network between the
// server and MongoDB that breaks after one write in twenty, as a failover does:
// the server cannot know whether the write was done.
func TestF2_ADatabaseThatLosesAnswersLosesNoSession(t *testing.T) {
	t.Parallel()
	uri, err := url.Parse(mongotest.URI(t))
	if err != nil {
		t.Fatal(err)
	}
	s := openShop(t, newDeployment(t, uri.String()))
	s.stop(t)
	lossy := newCutter(t, uri.Host)
	s.server = s.serve(t, "--store", mongotest.Through(t, uri.String(), lossy.address))
	lossy.oneIn.Store(20)
	all := make([]*refresher, 16)
	for i := range all {
		all[i] = &refresher{url: s.url, by: s.public, rest: 100 * time.Millisecond}
		eventually(t, "a login succeeds", func() bool {
			a, err := postForm(s.url+"/oauth/token", s.public, values("grant_type", "password", "username", email, "password", password))
			if err != nil || a.status != http.StatusOK {
				return false
			}
			all[i].token = a.member(t, "refresh_token")
			return true
		})
	}
	finish := runAll(all)
	defer finish()
	goOn(t, all, 10)
	finish()
	lossy.oneIn.Store(0)
	s.stop(t)
	s.checkAudit(t)
	s.checkNoReuse(t)
	if lossy.cuts.Load() == 0 {
		t.Error("the network lost no answer")
	}
	t.Logf("%d answers of the database were lost", lossy.cuts.Load())
}

// promises are what a server acknowledged last.
type promises struct{ begun, spent, live, ended string }

// acknowledge has the server answer to a login, a refresh and a revocation.
func (s *shop) acknowledge(t *testing.T) promises {
	t.Helper()
	begin := func() string {
		return s.insist(t, "/oauth/token", "grant_type", "password", "username", email, "password", password).member(t, "refresh_token")
	}
	p := promises{ended: begin(), spent: begin(), begun: begin()}
	p.live = s.insist(t, "/oauth/token", "grant_type", "refresh_token", "refresh_token", p.spent).member(t, "refresh_token")
	s.insist(t, "/oauth/revoke", "token", p.ended)
	return p
}

// insist repeats a request of the confidential client until it is not answered
// with 503, as a database that is starved of its processor may make it.
func (s *shop) insist(t *testing.T, path string, pairs ...string) (a answer) {
	t.Helper()
	eventually(t, "a request to "+path+" is answered", func() bool {
		var err error
		if a, err = postForm(s.url+path, s.confidential, values(pairs...)); err != nil {
			t.Fatal(err)
		}
		return a.status != http.StatusServiceUnavailable
	})
	if a.status != http.StatusOK {
		t.Fatalf("%s: status %d, %s", path, a.status, a.body)
	}
	return a
}

// check asks a server that was started again whether all of it still stands.
func (p promises) check(t *testing.T, s *shop) {
	t.Helper()
	for what, c := range map[string]struct {
		token string
		alive bool
	}{
		"the session that was begun": {p.begun, true}, "the token that was spent": {p.spent, false},
		"the token that was issued": {p.live, true}, "the session that was ended": {p.ended, false},
	} {
		if alive := s.active(t, s.confidential, c.token); alive != c.alive {
			t.Errorf("after the kill, %s is alive: %v; want %v", what, alive, c.alive)
		}
	}
}

// goOn waits until every client has got so many more answers. None may lose its
// session.
func goOn(t *testing.T, all []*refresher, more int64) {
	t.Helper()
	least := make([]int64, len(all))
	for i, r := range all {
		least[i] = r.refreshes.Load() + more
	}
	eventually(t, fmt.Sprintf("each of %d clients has refreshed %d times", len(all), more), func() bool {
		done := true
		for i, r := range all {
			if how := r.lost.Load(); how != nil {
				t.Fatalf("client %d lost its session: %s", i, *how)
			}
			done = done && r.refreshes.Load() >= least[i]
		}
		return done
	})
}
