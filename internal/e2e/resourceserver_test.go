//go:build interop

package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// guard is one library at work, as it comes or with a short cache.
type guard struct {
	library
	running *running
	short   bool
}

func (g guard) String() string {
	if g.short {
		return g.name + " on " + g.host + " with a short cache"
	}
	return g.name + " on " + g.host + " as it comes"
}

// accepts reports whether the resource server takes the token. Where a busy
// machine let the request expire, it is asked again: that is no refusal.
func (g guard) accepts(token string) (bool, string) {
	var a answer
	var err error
	if !poll(nil, func() bool {
		a, err = send("GET", g.running.url+g.path, bearer(token), "")
		return err == nil
	}) {
		return false, err.Error()
	}
	return a.status < 400, fmt.Sprintf("status %d %s", a.status, a.body)
}

// startGuards starts every library twice: as it comes, and with a cache of a
// second where it lets one choose.
func startGuards(t *testing.T, s *shop, all []library) []guard {
	t.Helper()
	type place struct {
		program *resourceProgram
		short   bool
	}
	places := map[place]*running{}
	var guards []guard
	for _, l := range all {
		for _, short := range []bool{false, true} {
			if short && l.noShort {
				continue
			}
			at := place{l.program, short}
			if places[at] == nil {
				extra := map[string]string{}
				if short {
					extra["CACHE_SECONDS"] = "1"
				}
				places[at] = l.program.start(t, s, extra)
			}
			guards = append(guards, guard{l, places[at], short})
		}
	}
	for _, r := range places {
		r.up(t)
	}
	return guards
}

// season is the life of a deployment's keys as resource servers see it.
type season struct {
	t      *testing.T
	s      *shop
	guards []guard

	// still is held while clocks are set: to a fetch under way that looks like
	// an answer that takes hours.
	still sync.RWMutex

	mu sync.Mutex
	// revoked is the kid of the key that was revoked, if any was.
	revoked  string
	failures map[string]string
	// known are the keys that were published long enough for every cache; nil
	// while all are. The second turn comes after seconds here, before caches can
	// have its key that live for minutes.
	known map[string]bool
	// kept are the paths of those that accept the revoked key after the second
	// turn.
	kept map[string]bool
}

// token buys a token and returns it with the kid that signed it.
func (n *season) token() (token, kid string) {
	n.t.Helper()
	got := n.s.grant(n.t, n.s.confidential, "grant_type", "client_credentials")
	return got.AccessToken, kidOf(n.t, got.AccessToken)
}

// watch presents fresh tokens at every resource server until done is closed. A
// token of a key that was revoked meanwhile may be refused.
func (n *season) watch(done <-chan struct{}) {
	pace := time.NewTicker(300 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-done:
			return
		case <-pace.C:
		}
		a, err := postForm(n.s.url+"/oauth/token", n.s.confidential, values("grant_type", "client_credentials"))
		var got tokens
		if err != nil || a.status != http.StatusOK || unmarshal(a.body, &got) != nil {
			n.note("the token endpoint", fmt.Sprintf("%v, status %d", err, a.status), "")
			continue
		}
		n.present(got.AccessToken)
	}
}

// present has every resource server accept the token.
func (n *season) present(token string) {
	kid := kidOf(n.t, token)
	n.still.RLock()
	defer n.still.RUnlock()
	for _, g := range n.guards {
		if g.alg != "" && g.alg != algOf(n.t, token) {
			continue
		}
		if ok, why := g.accepts(token); !ok {
			n.note(g.String(), why, kid)
		}
	}
}

func (n *season) note(who, why, kid string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if kid != "" && (kid == n.revoked || n.known != nil && !n.known[kid]) {
		return
	}
	if _, there := n.failures[who]; !there {
		n.failures[who] = fmt.Sprintf("%s (key %s)", why, kid)
	}
}

// wait lets the clocks of the resource servers that are as they come go on by
// the publish_lead of a deployment, while tokens arrive.
func (n *season) wait() {
	n.t.Helper()
	const lead, steps = 24 * time.Hour, 8
	for range steps {
		n.still.Lock()
		moved := map[*running]bool{}
		for _, g := range n.guards {
			if !g.short && !moved[g.running] {
				g.running.clock.advance(n.t, lead/steps)
				moved[g.running] = true
			}
		}
		n.still.Unlock()
		token, _ := n.token()
		n.present(token)
	}
}

// turn turns the keys and waits until the next one signs.
func (n *season) turn() (kid string) {
	n.t.Helper()
	var next struct{ KID string }
	eventually(n.t, "the keys can be turned", func() bool {
		o := n.s.run(n.t, "keys", "rotate")
		return o.code == 0 && unmarshal(o.stdout, &next) == nil
	})
	eventually(n.t, "the key "+next.KID+" signs", func() bool {
		_, kid := n.token()
		return kid == next.KID
	})
	return next.KID
}

// secondTurn waits for the key that was made after the revocation, and looks who
// takes a token of the revoked key still when the lead is over and a token of the new
// key was met.
func (n *season) secondTurn(stolen string) {
	n.t.Helper()
	var fresh string
	eventually(n.t, "the second turn has come", func() bool {
		token, kid := n.token()
		fresh = token
		return !n.known[kid] // where this is slow it has come before the standby was seen to sign
	})
	moved := map[*running]bool{}
	for _, g := range n.guards {
		if !g.short && !moved[g.running] {
			g.running.clock.advance(n.t, 24*time.Hour)
			moved[g.running] = true
		}
	}
	n.known = nil
	n.present(fresh)
	for _, g := range n.guards {
		if g.short {
			continue
		}
		// Some fetch the set behind the answer.
		refused := false
		for range 10 {
			if ok, _ := g.accepts(stolen); !ok {
				refused = true
				break
			}
			time.Sleep(200 * time.Millisecond)
			n.present(fresh)
		}
		n.kept[g.path] = !refused
	}
}

// tellApart has every resource server take a token, and refuse an ID token and one
// that is bound to a key as a bearer's, but for those that are said to take them.
func (n *season) tellApart(w *wares) {
	n.t.Helper()
	for _, g := range n.guards {
		for _, row := range []struct {
			name, token string
			taken       bool
		}{
			{"a token", w.plain, true},
			{"an ID token", w.id, g.takesID},
			{"a token that is bound to a key", w.bound, g.takesBound},
		} {
			if ok, why := g.accepts(row.token); ok != row.taken {
				n.t.Errorf("%s takes %s: %t (%s); want %t", g, row.name, ok, why, row.taken)
			}
		}
	}
}

// resigned is the token with another signature.
func resigned(token string) string {
	at := len(token) - 20
	other := byte('A')
	if token[at] == other {
		other = 'B'
	}
	return token[:at] + string(other) + token[at+1:]
}

// live has every kind of resource server live through two turns of the keys, the
// second to another algorithm, and an emergency. None may refuse a good token
// for a moment, and each with a short cache must forget the revoked key.
func live(t *testing.T, all []library) *season {
	d := newDeployment(t, "", "--key-rotation-interval", "1h", "--key-publish-lead", "4s", "--jwks-max-age", "1s",
		"--key-poll-interval", "200ms", "--clock-skew", "500ms", "--access-token-ttl", "720h")
	s := stock(t, d)
	// These tokens name two audiences, in a list; those of measure name one.
	s.confidential = d.addClient(t, "several", "--grant", "client_credentials", "--audience", billing, "--audience", api)
	elsewhere := d.addClient(t, "elsewhere", "--grant", "client_credentials", "--audience", billing)
	// The first keys are of one algorithm; those to come, of another.
	before := d.serve(t)
	before.stop(t)
	// Whatever makes keys has to know, "keys rotate" too.
	d.settings = append(d.settings, "--signing-alg", "RS256")
	s.serveBehindFront(t)

	n := &season{t: t, s: s, failures: map[string]string{}, kept: map[string]bool{}}
	n.guards = startGuards(t, s, all)
	first, firstKey := n.token()
	n.present(first)
	foreign := s.grant(t, elsewhere, "grant_type", "client_credentials").AccessToken
	for _, g := range n.guards {
		if ok, _ := g.accepts(resigned(first)); ok {
			t.Errorf("%s accepts a token with a wrong signature", g)
		}
		if ok, _ := g.accepts(foreign); ok {
			t.Errorf("%s accepts a token for another audience", g)
		}
	}

	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { n.watch(done) })
	finish := sync.OnceFunc(func() {
		close(done)
		running.Wait()
	})
	defer finish()

	n.wait()
	second := n.turn()
	secondToken, _ := n.token()
	n.wait()
	third := n.turn()
	thirdToken, _ := n.token()
	if alg := algOf(t, thirdToken); alg != "RS256" || algOf(t, first) != "ES256" {
		t.Fatalf("the third key signs with %s; want RS256", alg)
	}
	n.present(thirdToken)
	// Every cache comes to have the standby.
	n.wait()
	n.tellApart(s.wares(t))

	var published []struct{ KID string }
	s.must(t, &published, "keys", "list")
	n.mu.Lock()
	n.known = map[string]bool{}
	for _, key := range published {
		n.known[key.KID] = true
	}
	n.revoked = third
	n.mu.Unlock()
	s.must(t, nil, "keys", "revoke", third, "--reason", "leaked in a test")
	eventually(t, "the standby signs", func() bool {
		_, kid := n.token()
		return kid != third
	})
	fourthToken, fourth := n.token()
	for _, token := range []string{first, secondToken, fourthToken} {
		n.present(token)
	}
	for _, g := range n.guards {
		if g.short {
			eventually(t, g.String()+" refuses the revoked key", func() bool {
				ok, _ := g.accepts(thirdToken)
				return !ok
			})
		}
	}
	finish()
	n.secondTurn(thirdToken)
	for who, why := range n.failures {
		t.Errorf("%s refused a good token: %s; the keys were %s, %s, %s, %s", who, why, firstKey, second, third, fourth)
	}
	return n
}

// TestResourceServers writes docs/interop.md, or compares it.
func TestResourceServers(t *testing.T) {
	t.Parallel()
	liveAndMeasure(t, "## Resource servers", interopHead, libraries(), interopFoot)
}

// liveAndMeasure writes a section of docs/interop.md, or compares it: every kind
// of resource server lives through a season of the keys, and its cache is
// measured.
func liveAndMeasure(t *testing.T, heading, head string, all []library, foot string) {
	t.Helper()
	var n *season
	var found map[string]habits
	t.Run("all", func(t *testing.T) {
		t.Run("season", func(t *testing.T) {
			t.Parallel()
			n = live(t, all)
		})
		t.Run("caches", func(t *testing.T) {
			t.Parallel()
			found = measure(t, all)
		})
	})
	if !t.Failed() {
		goldenSection(t, filepath.Join("..", "..", "docs", "interop.md"), heading, head+tableOf(t, all, n, found)+foot)
	}
}
