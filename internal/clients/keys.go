package clients

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Keys finds the keys that clients sign their assertions with, at a jwks_uri over
// https only. It is safe for concurrent use.
type Keys struct {
	client *http.Client
	now    func() time.Time

	mu   sync.Mutex
	sets map[string]*remoteSet
}

// Limits for fetched sets.
const (
	// remoteFresh is how long a set is used without another fetch, remoteStale
	// how long it is used if its URL does not answer.
	remoteFresh = 5 * time.Minute
	remoteStale = time.Hour
	// remotePause is the least time between two fetches of one URL, whatever
	// keys are asked for.
	remotePause = 10 * time.Second
)

// remoteSet is the last answer of one jwks_uri. The one token of turn belongs
// to the caller that fetches, so that nobody else waits for a slow publisher.
type remoteSet struct {
	turn chan struct{}

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	fetched time.Time
	tried   time.Time
	failure error
}

// NewKeys returns a Keys that fetches from public addresses and
// from the networks allowed.
func NewKeys(allowed []netip.Prefix, now func() time.Time) *Keys {
	return &Keys{client: guarded(allowed), now: now, sets: map[string]*remoteSet{}}
}

// of returns the keys of a client. If no key of a fetched set fits, the set is
// fetched again, in case the client has a new one.
func (k *Keys) of(ctx context.Context, client Client, fits func(jose.JSONWebKey) bool) ([]jose.JSONWebKey, error) {
	if client.JWKS != "" {
		return ParseJWKS([]byte(client.JWKS))
	}
	set := k.set(client.JWKSURI)
	if keys, ok := set.good(k.now(), fits); ok {
		return keys, nil
	}
	select {
	case set.turn <- struct{}{}:
		defer func() { <-set.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("the JWK set at %s: %w", client.JWKSURI, ctx.Err())
	}
	now := k.now()
	if keys, ok := set.good(now, fits); ok {
		return keys, nil
	}
	if set.due(now) {
		// The fetch goes on if the caller hangs up, because otherwise strangers
		// could use up every try.
		keys, err := k.fetch(context.WithoutCancel(ctx), client.JWKSURI)
		set.answered(now, keys, err)
	}
	return set.last(now, client.JWKSURI)
}

// good returns the keys, and reports whether they are fresh and one of them
// fits.
func (s *remoteSet) good(now time.Time, fits func(jose.JSONWebKey) bool) ([]jose.JSONWebKey, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys, now.Sub(s.fetched) < remoteFresh && slices.ContainsFunc(s.keys, fits)
}

// due reports whether the set may be fetched now, and counts that as a try.
func (s *remoteSet) due(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.tried) < remotePause {
		return false
	}
	s.tried = now
	return true
}

func (s *remoteSet) answered(now time.Time, keys []jose.JSONWebKey, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure = err; err == nil {
		s.keys, s.fetched = keys, now
	}
}

// last returns the keys of the last answer, unless they are too old.
func (s *remoteSet) last(now time.Time, uri string) ([]jose.JSONWebKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.fetched) >= remoteStale {
		return nil, fmt.Errorf("the JWK set at %s: %w", uri, s.failure)
	}
	return s.keys, nil
}

// set returns the remoteSet of a jwks_uri. Their number is bounded by that of
// registered clients' URIs.
func (k *Keys) set(uri string) *remoteSet {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, ok := k.sets[uri]
	if !ok {
		s = &remoteSet{turn: make(chan struct{}, 1), failure: errors.New("it was not fetched yet")}
		k.sets[uri] = s
	}
	return s
}

func (k *Keys) fetch(ctx context.Context, uri string) ([]jose.JSONWebKey, error) {
	// A store may contain a URI that an earlier version accepted.
	if err := checkJWKSURI(uri); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := k.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %s; redirects are not followed", res.Status)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxJWKS+1))
	if err != nil {
		return nil, err
	}
	return usableKeys(text)
}
