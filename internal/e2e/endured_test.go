package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// endured is what the clients and resource servers of TestKeysEndure observed.
type endured struct {
	done chan struct{}

	mu        sync.Mutex
	resources []resource
	// verified counts by resource server and algorithm.
	verified map[string]map[string]int
	kids     map[string]bool
	failures []string
	// configured are the values of signing_alg that replicas may run with.
	configured []string
	// queue are the tokens that are to be shown again, oldest first.
	queue []issuedToken
	// logins and refreshes succeeded; unanswered is what a kill cost.
	logins, refreshes, unanswered int
	// fetches counts key sets, both those with two algorithms, described the
	// metadata that were compared with key sets; largest is the most keys of
	// one algorithm in a key set.
	fetches, both, described, largest int
}

// resource is a resource server.
type resource struct {
	name    string
	accepts func(token string) error
}

func (w *endured) add(name string, accepts func(string) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.resources = append(w.resources, resource{name, accepts})
	w.verified[name] = map[string]int{}
}

func (w *endured) addURL(name, url string) {
	w.add(name, func(token string) error {
		a, err := send("GET", url, bearer(token), "")
		if err == nil && a.status >= http.StatusBadRequest {
			err = fmt.Errorf("status %d %s", a.status, a.body)
		}
		return err
	})
}

func (w *endured) fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures = append(w.failures, time.Now().Format("05.000: ")+fmt.Sprintf(format, args...))
}

// over reports whether the test is over after a pause.
func (w *endured) over(pause time.Duration) bool {
	select {
	case <-w.done:
		return true
	case <-time.After(pause):
		return false
	}
}

// load refreshes, and now and then logs in, at the replicas in turn. Where one
// does not answer, the next is asked.
func (w *endured) load(r *refresher, replicas []string) {
	for n := 0; !w.over(100 * time.Millisecond); n++ {
		r.url = replicas[n%len(replicas)]
		var got tokens
		ok := false
		login := n%10 == 9
		if login {
			a, err := postForm(r.url+"/oauth/token", r.by, values("grant_type", "password", "username", email, "password", password))
			if err == nil && a.status != http.StatusServiceUnavailable {
				if got, err = decodeTokens(a); err != nil || a.status != http.StatusOK {
					w.fail("a login: status %d, %s", a.status, a.body)
					return
				}
				ok = true
			}
		} else if got, ok = r.refresh(); r.lost.Load() != nil {
			w.fail("a session was lost: %s", *r.lost.Load())
			return
		}
		w.count(ok, login)
		if ok {
			one, err := w.issued(got.AccessToken)
			if err != nil {
				w.fail("a token: %v", err)
				return
			}
			w.show(one)
			w.mu.Lock()
			w.queue = append(w.queue, one)
			w.mu.Unlock()
		}
	}
}

// issued reads when a token expires from the token: an answer may come late.
func (*endured) issued(token string) (issuedToken, error) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA})
	if err != nil {
		return issuedToken{}, err
	}
	var claims jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		return issuedToken{}, err
	}
	return issuedToken{token, claims.Expiry.Time()}, nil
}

func (w *endured) count(ok, login bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !ok:
		w.unanswered++
	case login:
		w.logins++
	default:
		w.refreshes++
	}
}

// goOn waits until clients have got so many more tokens, or something has failed.
func (w *endured) goOn(t *testing.T, more int) {
	t.Helper()
	got := func() (int, bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.logins + w.refreshes, len(w.failures) > 0
	}
	before, _ := got()
	eventually(t, fmt.Sprintf("clients have got %d more tokens", more), func() bool {
		now, failed := got()
		return failed || now >= before+more
	})
}

// showAgain shows tokens until they are about to expire.
func (w *endured) showAgain() {
	for !w.over(10 * time.Millisecond) {
		w.mu.Lock()
		var one issuedToken
		if len(w.queue) > 0 {
			one, w.queue = w.queue[0], w.queue[1:]
		}
		w.mu.Unlock()
		if one.token != "" && time.Until(one.until) > 200*time.Millisecond {
			w.show(one)
			w.mu.Lock()
			w.queue = append(w.queue, one)
			w.mu.Unlock()
		}
	}
}

// show has every resource server accept the token. A verdict that comes after
// the token has expired is none.
func (w *endured) show(one issuedToken) {
	parsed, err := jwt.ParseSigned(one.token, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA})
	if err != nil {
		w.fail("a token: %v", err)
		return
	}
	kid, alg := parsed.Headers[0].KeyID, parsed.Headers[0].Algorithm
	w.mu.Lock()
	resources := slices.Clone(w.resources)
	w.kids[kid] = true
	w.mu.Unlock()
	for _, r := range resources {
		if r.name == oidcBefore && alg == string(jose.EdDSA) {
			continue
		}
		err := r.accepts(one.token)
		if err != nil && time.Now().Before(one.until) {
			w.fail("%s refused a token of %s (%s): %v", r.name, kid, alg, err)
		}
		if err == nil {
			w.mu.Lock()
			w.verified[r.name][alg]++
			w.mu.Unlock()
		}
	}
}

// seenBoth reports whether every resource server has verified tokens of every
// algorithm that it can, or something has failed already.
func (w *endured) seenBoth() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, by := range w.verified {
		if by["ES256"] == 0 && name != oidcAfter || by["EdDSA"] == 0 && name != oidcBefore {
			return len(w.failures) > 0
		}
	}
	return true
}

func (w *endured) report(t *testing.T, kills int) {
	t.Helper()
	total := 0
	for _, by := range w.verified {
		for _, n := range by {
			total += n
		}
	}
	t.Logf("%d verifications of %d logins and %d refreshes by %d keys, %d requests unanswered over %d kills: %v",
		total, w.logins, w.refreshes, len(w.kids), w.unanswered, kills, w.verified)
	t.Logf("%d key sets, %d of them with two algorithms, with at most %d keys of one; %d metadata compared with them",
		w.fetches, w.both, w.largest, w.described)
	if len(w.failures) > 0 {
		t.Errorf("%d failures among %d verifications:\n%q", len(w.failures), total, w.failures[:min(10, len(w.failures))])
	}
	const enough = 500
	if total < enough || kills == 0 || w.both == 0 || w.fetches == w.both || w.described == 0 {
		t.Errorf("%d verifications, %d kills, %d of %d key sets with two algorithms, %d metadata compared; want more",
			total, kills, w.both, w.fetches, w.described)
	}
	if w.largest > mostKeys {
		t.Errorf("a key set had %d keys of one algorithm, want %d at most", w.largest, mostKeys)
	}
}
