//go:build interop

package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// habits are what a library does with the key set, as it comes.
type habits struct {
	// fetches says when it asks for the key set, forgets for how long it goes
	// on taking a key that was revoked.
	fetches, forgets string
}

// spans are the times that caches live, horizon is where the search for one
// ends.
var spans = []time.Duration{30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, time.Hour, 10 * time.Hour, 24 * time.Hour}

const horizon = 26 * time.Hour

// margin is how far from the end of a span a library is asked.
func margin(span time.Duration) time.Duration { return span / 20 }

// spanOf is the longest span that was over at v, or as good as over.
func spanOf(v time.Duration) time.Duration {
	found := time.Duration(0)
	for _, s := range spans {
		if s-margin(s) <= v {
			found = s
		}
	}
	return found
}

func inWords(d time.Duration) string {
	for _, unit := range []struct {
		d    time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		switch n := d / unit.d; {
		case n == 1:
			return "1 " + unit.name
		case n > 1:
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return "at once"
}

func inSeconds(d time.Duration) string { return fmt.Sprintf("%d s", d/time.Second) }

// observed is one library as it comes, whose clock is set and whose requests
// for the key set are counted.
type observed struct {
	guard
	t     *testing.T
	front *front
	// fetched is when, by its clock, it fetched the key set last.
	fetched time.Time
	seen    int64
}

// unknownKey is how get-jwks refuses, with status 500.
const unknownKey = "JWK_NOT_FOUND"

// takes reports whether the library accepts the token. What is no verdict, such
// as that it could not fetch the key set in time, is asked for again.
func (o *observed) takes(token string) bool {
	o.t.Helper()
	var verdict answer
	eventually(o.t, o.String()+" has a verdict", func() bool {
		a, err := send("GET", o.running.url+o.path, bearer(token), "")
		verdict = a
		refused := a.status == http.StatusUnauthorized || a.status == http.StatusForbidden || strings.Contains(a.body, unknownKey)
		return err == nil && (a.status == http.StatusOK || refused)
	})
	return verdict.status == http.StatusOK
}

// look reports whether the key set was fetched since the last look.
func (o *observed) look() bool {
	now := o.front.keySets.Load()
	if now == o.seen {
		return false
	}
	o.seen, o.fetched = now, o.running.clock.now()
	return true
}

// advance puts the clock on and sends a request without a token. lru-cache looks
// at the time once a millisecond, so the first request may still meet the old one.
func (o *observed) advance(d time.Duration) {
	o.t.Helper()
	o.running.clock.advance(o.t, d)
	eventually(o.t, o.String()+" answers", func() bool {
		_, err := send("GET", o.running.url+o.path, nil, "")
		return err == nil
	})
}

// until puts the clock on, span by span since the given time, a little before
// and a little after the end of each, until come says yes; it returns how long
// that took.
func (o *observed) until(since time.Time, come func() bool) (time.Duration, bool) {
	if come() {
		return 0, true
	}
	for _, span := range append(spans, horizon) {
		for _, at := range []time.Duration{span - margin(span), span + margin(span)} {
			if d := since.Add(at).Sub(o.running.clock.now()); d > 0 {
				o.advance(d)
			}
			v := o.running.clock.now().Sub(since)
			if come() {
				return spanOf(v), true
			}
		}
	}
	return 0, false
}

// fetches finds out when the library asks for the key set while it sees a token
// of a key that it has, and tokens of keys that it has not.
func (o *observed) fetches(token string) string {
	o.t.Helper()
	accept := func() bool {
		if !o.takes(token) {
			o.t.Errorf("%s refused a good token", o)
		}
		return o.look()
	}
	before := o.front.keySets.Load()
	o.seen, o.fetched = before, o.running.clock.now()
	accept()
	kept, renews := o.until(o.fetched, accept)
	var gaps []time.Duration
	for range 2 {
		gap, asks := o.until(o.fetched, func() bool {
			if o.takes(renamed(o.t, token)) {
				o.t.Errorf("%s accepted a token of a key that is not published", o)
			}
			return o.look()
		})
		if !asks || renews && gap == kept {
			break
		}
		gaps = append(gaps, gap)
	}
	if o.seen == before {
		return "never: it asks about every token"
	}
	known := "for a key that it has, never again"
	switch {
	case renews && kept == 0:
		return "for every token"
	case renews:
		known = "every " + inWords(kept)
	}
	switch {
	case len(gaps) < 2:
		return known + "; for an unknown `kid` never"
	case gaps[0] == 0 && gaps[1] == 0:
		return known + "; for an unknown `kid` at once"
	case gaps[0] == 0:
		return known + "; for an unknown `kid` once in " + inWords(gaps[1])
	}
	return known + "; for an unknown `kid` " + inWords(gaps[0]) + " after the last time"
}

// forgets finds out for how long the library accepts the token of a key that
// was revoked right after it had fetched the key set. For some minutes the token
// is presented again and again: what has fetched the set three times since, and
// takes the token, will go on so.
func (o *observed) forgets(token string) string {
	o.t.Helper()
	refuses := func() bool { return !o.takes(token) }
	since, fetches := o.fetched, 0
	o.seen = o.front.keySets.Load()
	for range 6 {
		if refuses() {
			return inSeconds(spanOf(o.running.clock.now().Sub(since)))
		}
		if o.look() {
			fetches++
		}
		if fetches == 3 {
			return "never, while tokens of it keep arriving"
		}
		o.advance(40 * time.Second)
	}
	if refuses() {
		return inSeconds(spanOf(o.running.clock.now().Sub(since)))
	}
	switch took, over := o.until(since, refuses); {
	case over:
		return inSeconds(took)
	}
	o.takes(renamed(o.t, token))
	met := o.running.clock.now()
	switch took, over := o.until(met, refuses); {
	case !over:
		return "never"
	case took > 0:
		return "as long as it meets no unknown `kid`, and " + inSeconds(took) + " more"
	}
	return "as long as it meets no unknown `kid`"
}

// observe starts every library as it comes, in a process of its own, one after the
// other: a machine that starts all at once keeps some waiting for too long.
func observe(t *testing.T, s *shop, libraries []library) []*observed {
	t.Helper()
	var all []*observed
	for _, l := range libraries {
		r := l.program.start(t, s, map[string]string{"ONLY": strings.TrimPrefix(l.path, "/")})
		r.up(t)
		all = append(all, &observed{guard: guard{l, r, false}, t: t, front: s.front})
	}
	return all
}

// measure finds out what each library does, as it comes, with the key set.
func measure(t *testing.T, libraries []library) map[string]habits {
	d := newDeployment(t, "", "--key-poll-interval", "200ms", "--access-token-ttl", "720h", "--clock-skew", "500ms",
		"--jwks-max-age", "15m", "--signing-algs", "ES256,RS256")
	s := stock(t, d)
	strict := d.addClient(t, "strict", "--grant", "client_credentials", "--audience", api, "--client-signing-alg", "RS256")
	s.serveBehindFront(t)
	n := &season{t: t, s: s, failures: map[string]string{}}
	token, kid := n.token()
	other := s.grant(t, strict, "grant_type", "client_credentials").AccessToken
	tokenFor := func(o *observed) string {
		if o.alg == algOf(t, other) {
			return other
		}
		return token
	}

	found := map[string]habits{}
	for _, o := range observe(t, s, libraries) {
		found[o.path] = habits{fetches: o.library.fetches}
		if o.library.fetches == "" {
			found[o.path] = habits{fetches: o.fetches(tokenFor(o))}
		}
		o.running.end()
	}

	again := observe(t, s, libraries)
	for _, o := range again {
		if !o.takes(tokenFor(o)) {
			t.Errorf("%s refused a good token", o)
		}
		// After the answer: one that is long in coming is not to make a cache look
		// younger than it is.
		o.fetched = o.running.clock.now()
	}
	for _, kid := range []string{kid, kidOf(t, other)} {
		s.must(t, nil, "keys", "revoke", kid, "--reason", "leaked in a test")
	}
	eventually(t, "the key is out of the key set", func() bool {
		a, err := send("GET", s.issuer+"/.well-known/jwks.json", nil, "")
		return err == nil && a.status == 200 && !strings.Contains(a.body, kid) && !strings.Contains(a.body, kidOf(t, other))
	})
	for _, o := range again {
		h := found[o.path]
		h.forgets = o.forgets(tokenFor(o))
		found[o.path] = h
	}
	return found
}

// renamed is the token under the name of a key that nobody has.
func renamed(t *testing.T, token string) string {
	t.Helper()
	head, rest, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	var header map[string]any
	if err := json.Unmarshal(text, &header); err != nil {
		t.Fatal(err)
	}
	header["kid"] = rand.Text()
	if text, err = json.Marshal(header); err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text) + "." + rest
}
