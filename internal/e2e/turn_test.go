package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// A key's whole life in seconds.
var shortLives = []string{
	"--key-rotation-interval", "4s", "--key-publish-lead", "2s", "--jwks-max-age", "1s",
	"--key-poll-interval", "200ms", "--clock-skew", "500ms", "--access-token-ttl", "8s",
}

// turningLives are such that what K1 and K3 assume holds on a machine that is busy with
// other tests: no write takes longer than the skew, which leaves 800 ms of the lead.
var turningLives = []string{
	"--key-rotation-interval", "5s", "--key-publish-lead", "5s", "--jwks-max-age", "1s",
	"--key-poll-interval", "200ms", "--clock-skew", "3s", "--access-token-ttl", "12s",
}

const maxAge = time.Second

// watch is what the clients and resource servers of a test observed.
type watch struct {
	verifiers []*verifier

	mu sync.Mutex
	// kids are the keys that signed, in the order of their first token.
	kids     []string
	verified int
	// latest is the latest token of each key.
	latest map[string]issuedToken
	// revoked keys are no longer checked.
	revoked  map[string]bool
	failures []string
	old      []issuedToken
}

// issuedToken is a token that expires no earlier than after until.
type issuedToken struct {
	token string
	until time.Time
}

// saw verifies a fresh token at every resource server. Expiry is in whole
// seconds, so that a token may live for nearly one less than expires_in.
func (w *watch) saw(got tokens) {
	one := issuedToken{got.AccessToken, time.Now().Add(time.Duration(got.ExpiresIn-1) * time.Second)}
	kid := w.checkUntil(one.until, one.token)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.latest[kid] = one
	w.old = append(w.old, one)
}

// sawOld verifies the tokens that are about to expire once more (K3).
func (w *watch) sawOld() {
	const before = time.Second
	w.mu.Lock()
	n := 0
	for n < len(w.old) && time.Until(w.old[n].until) < before {
		n++
	}
	due := slices.Clone(w.old[:n])
	w.old = w.old[n:]
	w.mu.Unlock()
	for _, one := range due {
		w.checkUntil(one.until, one.token)
	}
}

// checkUntil verifies a token at every resource server and returns its kid. What comes
// out when it has expired meanwhile does not count.
func (w *watch) checkUntil(until time.Time, token string) (kid string) {
	for _, v := range w.verifiers {
		var err error
		kid, err = v.verify(token)
		w.mu.Lock()
		if !w.revoked[kid] && time.Now().Before(until) {
			w.verified++
			if !slices.Contains(w.kids, kid) {
				w.kids = append(w.kids, kid)
			}
			if err != nil {
				w.failures = append(w.failures, fmt.Sprintf("%s: %v", time.Now().Format("05.000"), err))
			}
		}
		w.mu.Unlock()
	}
	return kid
}

// signing returns the key that signed last and how many have signed.
func (w *watch) signing() (string, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.kids) == 0 {
		return "", 0
	}
	return w.kids[len(w.kids)-1], len(w.kids)
}

func (w *watch) fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures = append(w.failures, fmt.Sprintf(format, args...))
}

// load keeps one client getting tokens until done is closed: by refresh, at the
// replicas in turn, and for itself.
func (w *watch) load(done <-chan struct{}, r *refresher, own credentials, replicas []*server) {
	pace := time.NewTicker(25 * time.Millisecond)
	defer pace.Stop()
	for n := 0; ; n++ {
		select {
		case <-done:
			return
		case <-pace.C:
		}
		r.url = replicas[n%len(replicas)].url
		got, ok := r.refresh()
		if !ok {
			w.fail("a refresh at %s failed, session lost: %v", r.url, r.lost.Load() != nil)
			return
		}
		w.saw(got)
		a, err := postForm(r.url+"/oauth/token", own, values("grant_type", "client_credentials"))
		if err != nil || a.status != 200 || unmarshal(a.body, &got) != nil {
			w.fail("client_credentials: %v, status %d, %s", err, a.status, a.body)
			return
		}
		w.saw(got)
		w.sawOld()
	}
}

// TestK1_TurnUnderLoad lets the keys of two replicas turn by themselves, by
// hand and in an emergency, while clients get tokens from both and resource
// servers, each with the key set of one replica, verify all of them.
func TestK1_TurnUnderLoad(t *testing.T) {
	onBothStores(t, turningLives, func(t *testing.T, d *deployment) {
		s := openShop(t, d)
		second := filepath.Join(d.dir, "audit-second.log")
		replicas := []*server{s.server, d.serveAs(t, s.url, "--audit-log", second)}
		w := &watch{latest: map[string]issuedToken{}, revoked: map[string]bool{}}
		for _, replica := range replicas {
			w.verifiers = append(w.verifiers, &verifier{url: replica.url, issuer: s.url})
		}
		done := make(chan struct{})
		var running sync.WaitGroup
		for range 4 {
			r := &refresher{by: s.public, token: s.login(t, s.public, email, password).RefreshToken}
			running.Go(func() { w.load(done, r, s.confidential, replicas) })
		}
		finish := sync.OnceFunc(func() {
			close(done)
			running.Wait()
		})
		defer finish()

		w.await(t, "the keys have turned by themselves twice", 3)
		s.rotate(t, w)
		s.revoke(t, w, replicas)
		_, turns := w.signing()
		w.await(t, "the keys have turned by themselves again", turns+2)
		finish()

		if len(w.failures) > 0 {
			t.Errorf("%d failures among %d verifications by %d keys:\n%v", len(w.failures), w.verified, len(w.kids), w.failures[:min(10, len(w.failures))])
		}
		for _, replica := range replicas {
			replica.stop(t)
		}
		d.checkAudit(t, second)
	})
}

// await waits until so many keys have signed.
func (w *watch) await(t *testing.T, description string, keys int) {
	t.Helper()
	eventually(t, description, func() bool {
		_, signed := w.signing()
		w.mu.Lock()
		defer w.mu.Unlock()
		return signed >= keys || len(w.failures) > 0
	})
}

// rotate turns the keys by hand.
func (s *shop) rotate(t *testing.T, w *watch) {
	t.Helper()
	var next struct{ KID string }
	s.must(t, &next, "keys", "rotate")
	eventually(t, "the key "+next.KID+" has signed", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.Contains(w.kids, next.KID)
	})
}

// revoke takes the signing key out once every resource server holds the
// standby (K6).
func (s *shop) revoke(t *testing.T, w *watch, replicas []*server) {
	t.Helper()
	kid := ""
	eventually(t, "every resource server has held a standby for a while", func() bool {
		kid, _ = w.signing()
		w.mu.Lock()
		signed, known := slices.Clone(w.kids), w.latest[kid].token != ""
		w.mu.Unlock()
		for _, v := range w.verifiers {
			if since, there := v.standbySince(signed); !there || time.Since(since) < maxAge {
				return false
			}
		}
		return known
	})
	w.mu.Lock()
	dying := w.latest[kid]
	w.revoked[kid] = true
	w.mu.Unlock()
	s.must(t, nil, "keys", "revoke", kid, "--reason", "leaked in a test")
	for _, replica := range replicas {
		eventually(t, "the revoked key is out of the key set of "+replica.url, func() bool {
			set, _, err := readKeySet(mustSend(t, "GET", replica.url+"/.well-known/jwks.json", nil, ""))
			if err != nil {
				t.Fatal(err)
			}
			return len(set.Key(kid)) == 0
		})
		eventually(t, "the tokens of the revoked key are dead at "+replica.url, func() bool {
			return !replica.active(t, s.confidential, dying.token)
		})
		if time.Now().After(dying.until) {
			t.Logf("the token of the revoked key had expired before it was found dead at %s, which proves nothing", replica.url)
		}
	}
	var list []struct{ KID, State string }
	s.must(t, &list, "keys", "list")
	for _, key := range list {
		if (key.KID == kid) != (key.State == "revoked") {
			t.Errorf("after the revocation of %s the key %s is %s", kid, key.KID, key.State)
		}
	}
}

func unmarshal(text string, v any) error { return json.Unmarshal([]byte(text), v) }
