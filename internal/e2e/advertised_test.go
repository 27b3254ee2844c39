package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// watchDocuments fetches the key set and the metadata of a replica in turn, and
// compares them at every moment.
func (w *endured) watchDocuments(url string) {
	var before, named, settings []string
	for !w.over(50 * time.Millisecond) {
		algs, err := w.keySetAlgs(url)
		if before != nil && named != nil && err == nil {
			w.checkNamed(url, named, before, algs, settings)
		}
		before, named, settings = algs, nil, w.settings()
		if err == nil {
			named, _, _ = metadataAlgs(url) // nil while the replica is down
		}
	}
}

// checkNamed compares the algorithms that metadata named with those of the key
// sets before and after. A key that is in both was there in between, so that its
// algorithm has to be named, and so has that of the keys to come. No other
// algorithm may be.
func (w *endured) checkNamed(url string, named, before, after, settings []string) {
	both := slices.Concat(settings, w.settings())
	slices.Sort(both)
	both = slices.Compact(both)
	w.mu.Lock()
	w.described++
	w.mu.Unlock()
	for _, alg := range before {
		if slices.Contains(after, alg) && !slices.Contains(named, alg) {
			w.fail("the metadata of %s name %v while a key of %s is published", url, named, alg)
		}
	}
	if len(both) == 1 && !slices.Contains(named, both[0]) {
		w.fail("the metadata of %s name %v while the keys to come are of %s", url, named, both[0])
	}
	for _, alg := range named {
		if !slices.Contains(slices.Concat(before, after, both), alg) {
			w.fail("the metadata of %s name %v, yet keys are of %v, then of %v, and made for %v", url, named, before, after, both)
		}
	}
}

// settings are the values of signing_alg that replicas may run with now.
func (w *endured) settings() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.configured
}

// configure says that replicas may run with these values of signing_alg.
func (w *endured) configure(algs ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.configured = algs
}

// keySetAlgs fetches the key set, checks its size, and returns the algorithms of
// its keys; nothing while the replica is down.
func (w *endured) keySetAlgs(url string) ([]string, error) {
	a, err := send("GET", url+"/.well-known/jwks.json", nil, "")
	if err != nil {
		return nil, err
	}
	set, _, err := readKeySet(a)
	if err != nil {
		return nil, err
	}
	keys := map[string]int{}
	var algs []string
	for _, key := range set.Keys {
		if keys[key.Algorithm]++; keys[key.Algorithm] == 1 {
			algs = append(algs, key.Algorithm)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fetches++
	if len(algs) > 1 {
		w.both++
	}
	for _, n := range keys {
		w.largest = max(w.largest, n)
	}
	return algs, nil
}

// metadataAlgs returns the algorithms that the metadata at an address name, and
// for how long they may be kept.
func metadataAlgs(url string) ([]string, time.Duration, error) {
	a, err := send("GET", url+"/.well-known/openid-configuration", nil, "")
	if err != nil {
		return nil, 0, err
	}
	age := maxAgeForm.FindStringSubmatch(a.header.Get("Cache-Control"))
	if a.status != http.StatusOK || age == nil {
		return nil, 0, errors.New(a.body)
	}
	seconds, err := strconv.Atoi(age[1])
	if err != nil {
		return nil, 0, err
	}
	var metadata struct {
		Algs []string `json:"id_token_signing_alg_values_supported"`
	}
	err = unmarshal(a.body, &metadata)
	return metadata.Algs, time.Duration(seconds) * time.Second, err
}

// TestAlgorithmIsAnnounced has a server start with another algorithm than that of the
// keys that are there. A resource server that takes the algorithms from the metadata
// learns of it before there is a key.
func TestAlgorithmIsAnnounced(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	s := d.serve(t)
	for _, want := range [][]string{{"ES256"}, {"ES256", "EdDSA"}} {
		if algs, _, err := metadataAlgs(s.url); err != nil || !slices.Equal(algs, want) {
			t.Errorf("the metadata name %v, %v; want %v", algs, err, want)
		}
		set, _, err := readKeySet(mustSend(t, "GET", s.url+"/.well-known/jwks.json", nil, ""))
		if err != nil || len(set.Keys) != 2 || set.Keys[0].Algorithm != "ES256" || set.Keys[1].Algorithm != "ES256" {
			t.Errorf("the keys are %+v, %v", set.Keys, err)
		}
		s.stop(t)
		s.args = append(s.args, "--signing-alg", "EdDSA")
		s = s.again(t)
	}
}

// algorithmist is a resource server that accepts the algorithms that the metadata
// name, and keeps them for exactly as long as their max-age allows.
type algorithmist struct {
	url string

	mu    sync.Mutex
	algs  []string
	until time.Time
}

func (a *algorithmist) accepts(token string) error {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA})
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !time.Now().Before(a.until) {
		algs, maxAge, err := metadataAlgs(a.url)
		if err != nil {
			return err
		}
		a.algs, a.until = algs, time.Now().Add(maxAge)
	}
	if alg := parsed.Headers[0].Algorithm; !slices.Contains(a.algs, alg) {
		return fmt.Errorf("metadata that are fresh name %v and not %s", a.algs, alg)
	}
	return nil
}
