package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// verifier is a resource server that keeps the key set for exactly as long as
// its max-age allows and knows no other key meanwhile.
type verifier struct {
	url, issuer string

	mu      sync.Mutex
	set     jose.JSONWebKeySet
	fetched time.Time
	maxAge  time.Duration
	// firstSeen is when a key was first in the set.
	firstSeen map[string]time.Time
}

var maxAgeForm = regexp.MustCompile(`max-age=(\d+)`)

// keys returns the key set, from the cache while that is fresh.
func (v *verifier) keys() (jose.JSONWebKeySet, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.firstSeen != nil && time.Since(v.fetched) < v.maxAge {
		return v.set, nil
	}
	asked := time.Now() // the age counts from then on (RFC 9111 §4.2.3)
	a, err := send("GET", v.url+"/.well-known/jwks.json", nil, "")
	if err != nil {
		return v.set, err
	}
	set, maxAge, err := readKeySet(a)
	if err != nil {
		return v.set, err
	}
	if v.firstSeen == nil {
		v.firstSeen = map[string]time.Time{}
	}
	v.set, v.maxAge, v.fetched = set, maxAge, asked
	for _, key := range set.Keys {
		if _, seen := v.firstSeen[key.KeyID]; !seen {
			v.firstSeen[key.KeyID] = time.Now()
		}
	}
	return v.set, nil
}

func readKeySet(a answer) (jose.JSONWebKeySet, time.Duration, error) {
	var set jose.JSONWebKeySet
	age := maxAgeForm.FindStringSubmatch(a.header.Get("Cache-Control"))
	if a.status != 200 || age == nil {
		return set, 0, fmt.Errorf("the key set: status %d, Cache-Control %q", a.status, a.header.Get("Cache-Control"))
	}
	seconds, err := strconv.Atoi(age[1])
	if err != nil {
		return set, 0, err
	}
	if err := unmarshal(a.body, &set); err != nil {
		return set, 0, err
	}
	if len(set.Keys) == 0 {
		return set, 0, fmt.Errorf("the key set is empty")
	}
	return set, time.Duration(seconds) * time.Second, nil
}

// verify checks a token as a resource server does and returns its kid.
func (v *verifier) verify(token string) (kid string, err error) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA})
	if err != nil {
		return "", err
	}
	kid = parsed.Headers[0].KeyID
	set, err := v.keys()
	if err != nil {
		return kid, err
	}
	found := set.Key(kid)
	if len(found) != 1 {
		return kid, fmt.Errorf("the key %s is not in the key set of %s", kid, v.url)
	}
	var claims jwt.Claims
	if err := parsed.Claims(found[0].Key, &claims); err != nil {
		return kid, err
	}
	return kid, claims.ValidateWithLeeway(jwt.Expected{Issuer: v.issuer, AnyAudience: jwt.Audience{api}, Time: time.Now()}, 0)
}

// standbySince returns since when the cache has held every key that has not signed
// yet, and whether there is one.
func (v *verifier) standbySince(signed []string) (time.Time, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var newest time.Time
	for _, key := range v.set.Keys {
		if seen := v.firstSeen[key.KeyID]; !slices.Contains(signed, key.KeyID) && seen.After(newest) {
			newest = seen
		}
	}
	return newest, !newest.IsZero()
}
