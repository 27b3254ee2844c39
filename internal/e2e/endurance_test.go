package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// enduranceVariable sets how long TestKeysEndure runs. A plain run has time for
// a few turns; run minutes before a release, on SQLite or a real MongoDB: FerretDB
// reads more with every record that is there, until polls come too late.
const enduranceVariable = "KEYTURN_TEST_ENDURANCE"

func endurance(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv(enduranceVariable)
	if text == "" {
		return 12 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		t.Fatalf("%s=%q is not a duration", enduranceVariable, text)
	}
	return d
}

// mostKeys is how many keys of one algorithm may be published at once. With
// enduringLives a key is published for two intervals, two polls and a skew, the
// life of a token and the margin: 20.6 s, in which five keys begin at most.
const mostKeys = 5

var enduringLives = []string{
	"--key-rotation-interval", "5s", "--key-publish-lead", "4s", "--jwks-max-age", "1s",
	"--key-poll-interval", "200ms", "--clock-skew", "500ms", "--access-token-ttl", "8s",
	// A kill takes the attempts under way for guesses: nothing takes them back.
	"--login-throttle", "off",
}

// otherResources are the resource servers of TestKeysEndure beside those in Go, by
// program and path; each keeps its keys as it comes.
var otherResources = map[*resourceProgram][]string{}

// startResources starts resource servers that know the issuer's URL alone. What
// go-oidc does by itself bears keys that turn every few seconds: it fetches for
// an unknown key. keyfunc does so once in five minutes, jwx never; they get a
// cache as long as max-age.
func startResources(t *testing.T, s *shop, w *endured) {
	t.Helper()
	const algs = "ES256 EdDSA"
	strict := &verifier{url: s.issuer, issuer: s.issuer}
	w.add("max-age to the letter", func(token string) error {
		_, err := strict.verify(token)
		return err
	})
	w.add("algorithms to the letter", (&algorithmist{url: s.issuer}).accepts)
	short := goProgram.start(t, s, map[string]string{"ALGS": algs, "CACHE_SECONDS": "1"}).up(t)
	w.addURL("keyfunc", short+"/keyfunc")
	w.addURL("jwx", short+"/jwx")
	for program, paths := range otherResources {
		url := program.start(t, s, map[string]string{"ALGS": algs}).up(t)
		for _, path := range paths {
			w.addURL(path[1:], url+path)
		}
	}
	w.addURL(oidcBefore, goProgram.start(t, s, map[string]string{"ALGS": algs}).up(t)+"/go-oidc")
}

// go-oidc takes the algorithms from the metadata when it starts, so that it is
// started again before the algorithm changes, as docs/interop.md says.
const oidcBefore, oidcAfter = "go-oidc, started before the change", "go-oidc, started for the change"

// disturb kills replicas at random until a time, and starts each again. When is told
// by what the others do: a kill comes after so many tokens, and its end after more.
func (all replicas) disturb(t *testing.T, w *endured, until time.Time) (kills int) {
	t.Helper()
	for time.Now().Before(until) {
		w.goOn(t, rand.IntN(60))
		i := rand.IntN(len(all))
		all[i].kill(t)
		w.goOn(t, rand.IntN(30))
		all[i] = all[i].again(t)
		kills++
	}
	return kills
}

// TestKeysEndure has the keys of three replicas turn every few seconds, and once
// to another algorithm, under logins, refreshes and kills. Every token is shown
// to resource servers on several libraries at once and again until it expires.
// None may refuse one, the key set stays bounded, and the metadata name its
// algorithms at every moment.
func TestKeysEndure(t *testing.T) {
	t.Parallel()
	onBothStores(t, enduringLives, endure)
}

func endure(t *testing.T, d *deployment) {
	s := stock(t, d)
	b := newBalancer(t)
	s.issuer = b.url
	var all replicas
	var logs []string
	for i := range 3 {
		logs = append(logs, filepath.Join(d.dir, fmt.Sprintf("audit-%d.log", i)))
		all = append(all, d.serveAs(t, s.issuer, "--audit-log", logs[i]))
		b.replicas = append(b.replicas, all[i].url)
	}
	b.Start()
	s.server = all[0]
	w := &endured{verified: map[string]map[string]int{}, kids: map[string]bool{}, done: make(chan struct{})}
	w.configure("ES256")
	startResources(t, s, w)

	var running sync.WaitGroup
	for _, url := range b.replicas {
		running.Go(func() { w.watchDocuments(url) })
	}
	for range 6 {
		r := &refresher{by: s.public, token: s.login(t, s.public, email, password).RefreshToken}
		running.Go(func() { w.load(r, b.replicas) })
		running.Go(w.showAgain)
	}
	finish := sync.OnceFunc(func() {
		close(w.done)
		running.Wait()
	})
	defer finish()

	half := endurance(t) / 2
	kills := all.disturb(t, w, time.Now().Add(half))
	w.configure("ES256", "EdDSA")
	for i := range all {
		all[i].stop(t)
		all[i].args = slices.Concat(all[i].args, []string{"--signing-alg", "EdDSA"})
		all[i] = all[i].again(t)
	}
	w.configure("EdDSA")
	w.addURL(oidcAfter, goProgram.start(t, s, nil).up(t)+"/go-oidc")
	kills += all.disturb(t, w, time.Now().Add(half))
	eventually(t, "every resource server has seen both algorithms", w.seenBoth)
	finish()

	for _, replica := range all {
		replica.stop(t)
	}
	d.checkAudit(t, logs...)
	for _, log := range logs {
		d.auditLog = log
		d.checkNoReuse(t)
	}
	w.report(t, kills)
}
