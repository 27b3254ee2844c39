package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"code.dny.dev/ssrf"
	"github.com/go-jose/go-jose/v4"
)

// ClientKeys finds the keys that clients sign their assertions with. Sets at a
// jwks_uri are fetched with care, since the URL leads wherever its owner's name
// server says: over https alone, through no proxy, following no redirect, for
// few seconds and few bytes, and never to an address that is not public, unless
// the operator allows its network. The address is checked when it is dialled,
// after the name was resolved. Safe for concurrent use.
type ClientKeys struct {
	client *http.Client
	now    func() time.Time

	mu   sync.Mutex
	sets map[string]*remoteSet
}

// How fetched sets are kept.
const (
	// remoteFresh is how long a set is used without a second look, remoteStale
	// how long where its URL does not answer.
	remoteFresh = 5 * time.Minute
	remoteStale = time.Hour
	// remotePause is the least time between two fetches of one URL, whatever
	// keys are asked for.
	remotePause = 10 * time.Second
	// remotePatience bounds one fetch.
	remotePatience = 4 * time.Second
)

// remoteSet is what one jwks_uri last answered. The one token of turn belongs
// to who reads or fetches.
type remoteSet struct {
	turn    chan struct{}
	keys    []jose.JSONWebKey
	fetched time.Time
	tried   time.Time
	failure error
}

// NewClientKeys returns a ClientKeys that fetches from public addresses and
// from the networks allowed.
func NewClientKeys(allowed []netip.Prefix, now func() time.Time) *ClientKeys {
	var v4, v6 []netip.Prefix
	for _, p := range allowed {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	guard := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	dialer := &net.Dialer{Timeout: remotePatience, Control: guard.Safe}
	return &ClientKeys{
		client: &http.Client{
			Transport: &http.Transport{
				DialContext: dialer.DialContext,
				// Every connection is dialled, and so checked, anew.
				DisableKeepAlives:      true,
				DisableCompression:     true,
				MaxResponseHeaderBytes: 16 << 10,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Timeout:       remotePatience,
		},
		now:  now,
		sets: map[string]*remoteSet{},
	}
}

// of returns the keys of a client. A fetched set that has no key that fits is
// fetched again, in case the client has a new one.
func (k *ClientKeys) of(ctx context.Context, client Client, fits func(jose.JSONWebKey) bool) ([]jose.JSONWebKey, error) {
	if client.JWKS != "" {
		return ParseClientJWKS([]byte(client.JWKS))
	}
	set := k.set(client.JWKSURI)
	select {
	case set.turn <- struct{}{}:
		defer func() { <-set.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("the JWK set at %s: %w", client.JWKSURI, ctx.Err())
	}
	now := k.now()
	known := slices.ContainsFunc(set.keys, fits) && now.Sub(set.fetched) < remoteFresh
	if !known && now.Sub(set.tried) >= remotePause {
		set.tried = now
		keys, err := k.fetch(ctx, client.JWKSURI)
		if set.failure = err; err == nil {
			set.keys, set.fetched = keys, now
		}
	}
	if now.Sub(set.fetched) >= remoteStale {
		return nil, fmt.Errorf("the JWK set at %s: %w", client.JWKSURI, set.failure)
	}
	return set.keys, nil
}

// set returns the record of a jwks_uri. There are no more of them than
// registered clients had.
func (k *ClientKeys) set(uri string) *remoteSet {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, ok := k.sets[uri]
	if !ok {
		s = &remoteSet{turn: make(chan struct{}, 1), failure: errors.New("it was not fetched yet")}
		k.sets[uri] = s
	}
	return s
}

func (k *ClientKeys) fetch(ctx context.Context, uri string) ([]jose.JSONWebKey, error) {
	// A store may hold what an earlier version took for fit.
	if err := CheckClientJWKSURI(uri); err != nil {
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
	text, err := io.ReadAll(io.LimitReader(res.Body, maxClientJWKS+1))
	if err != nil {
		return nil, err
	}
	return usableClientKeys(text)
}
