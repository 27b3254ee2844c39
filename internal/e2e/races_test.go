package e2e

import (
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// replicas are servers on one store, behind one issuer.
type replicas []*server

// openReplicas sets a deployment up and serves it three times.
func openReplicas(t *testing.T, d *deployment, flags ...string) (*shop, replicas) {
	t.Helper()
	s := openShop(t, d, flags...)
	all := replicas{s.server}
	for range 2 {
		all = append(all, d.serveAs(t, s.url, flags...))
	}
	return s, all
}

// present has n clients present one token at once, each to the next replica.
func (all replicas) present(t *testing.T, by credentials, token string, n int) []answer {
	t.Helper()
	answers := make([]answer, n)
	start := make(chan struct{})
	var racing sync.WaitGroup
	for i := range n {
		racing.Go(func() {
			<-start
			a, err := postForm(all[i%len(all)].url+"/oauth/token", by, values("grant_type", "refresh_token", "refresh_token", token))
			if err != nil {
				t.Errorf("presentation %d: %v", i, err)
			}
			answers[i] = a
		})
	}
	close(start)
	racing.Wait()
	return answers
}

// generation reads the generation that a refresh token bears.
func generation(t *testing.T, token string) int64 {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "kt_rt_"))
	if err != nil || len(raw) < 22 {
		t.Fatalf("not a refresh token of %d characters: %v", len(token), err)
	}
	return int64(binary.BigEndian.Uint64(append([]byte{0, 0}, raw[16:22]...)))
}

// TestF2_ManyPresentOneToken presents one token 1, 2, 16 and 100 times at once,
// over three replicas: all get the same successor, of the next generation.
func TestF2_ManyPresentOneToken(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		s, all := openReplicas(t, d)
		for _, n := range []int{1, 2, 16, 100} {
			held := s.login(t, s.public, email, password).RefreshToken
			successors := map[string]int{}
			for i, a := range all.present(t, s.public, held, n) {
				if a.status != http.StatusOK {
					t.Errorf("presentation %d of %d: status %d, %s", i, n, a.status, a.body)
					continue
				}
				successors[a.member(t, "refresh_token")]++
			}
			if len(successors) != 1 {
				t.Errorf("%d presentations gave %d successors", n, len(successors))
			}
			for next := range successors {
				if got, had := generation(t, next), generation(t, held); got != had+1 {
					t.Errorf("%d presentations moved the session from generation %d to %d", n, had, got)
				}
				s.grant(t, s.public, "grant_type", "refresh_token", "refresh_token", next)
			}
		}
		s.checkNoReuse(t)
	})
}

// TestF2_StrictlyOnePresenterWins does so without a retry window: one presenter
// wins, and the others end the session.
func TestF2_StrictlyOnePresenterWins(t *testing.T) {
	t.Parallel()
	onBothStores(t, []string{"--retry-window", "0"}, func(t *testing.T, d *deployment) {
		s, all := openReplicas(t, d)
		for _, n := range []int{2, 16, 100} {
			held := s.login(t, s.public, email, password).RefreshToken
			var won []string
			for _, a := range all.present(t, s.public, held, n) {
				switch {
				case a.status == http.StatusOK:
					won = append(won, a.member(t, "refresh_token"))
				case a.status != http.StatusBadRequest || a.member(t, "error") != "invalid_grant":
					t.Errorf("of %d, one was answered with %d, %s", n, a.status, a.body)
				}
			}
			if len(won) != 1 {
				t.Fatalf("of %d presenters %d won", n, len(won))
			}
			for _, a := range all.present(t, s.public, won[0], 1) {
				if a.status != http.StatusBadRequest {
					t.Errorf("the session lives on after a reuse: status %d", a.status)
				}
			}
		}
	})
}

// racer refreshes on one replica after the other until it is refused.
type racer struct {
	by     credentials
	token  string
	all    []tokens
	late   int
	strays []answer
	// begun is closed after the first refresh, or when there is none.
	begun chan struct{}
}

// run refreshes; over says whether what ends the session has returned.
func (r *racer) run(servers replicas, over func() bool) {
	begin := sync.OnceFunc(func() { close(r.begun) })
	defer begin()
	for i := 0; r.late < 3; i++ {
		after := over()
		a, err := postForm(servers[i%len(servers)].url+"/oauth/token", r.by, values("grant_type", "refresh_token", "refresh_token", r.token))
		switch {
		case err != nil || a.status == http.StatusServiceUnavailable:
			continue
		case a.status != http.StatusOK:
			if a.status != http.StatusBadRequest && a.status != http.StatusUnauthorized {
				r.strays = append(r.strays, a)
			}
			return
		}
		got, err := decodeTokens(a)
		if err != nil {
			r.strays = append(r.strays, a)
			return
		}
		if after {
			r.late++
		}
		r.token = got.RefreshToken
		r.all = append(r.all, got)
		begin()
	}
}

// TestF6_WhatEndsSessionsWins races refreshes on three replicas with everything
// that ends sessions: what is asked for after it returned is refused, and no
// token that came out before, or in between, is honoured by any replica.
func TestF6_WhatEndsSessionsWins(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		s, all := openReplicas(t, d)
		file := filepath.Join(t.TempDir(), "password")
		writeFile(t, file, "another orbit candle nine\n")
		for name, end := range map[string]func(t *testing.T, user string, by credentials, first tokens) bool{
			"revocation": func(t *testing.T, _ string, by credentials, first tokens) bool {
				a, err := postForm(all[1].url+"/oauth/revoke", by, values("token", first.RefreshToken))
				return err == nil && a.status == http.StatusOK
			},
			"password-change": func(t *testing.T, user string, _ credentials, _ tokens) bool {
				return d.run(t, "users", "passwd", user, "--password-file", file).code == 0
			},
			"user-disabled": func(t *testing.T, user string, _ credentials, _ tokens) bool {
				return d.run(t, "users", "disable", user).code == 0
			},
			"logout": func(t *testing.T, user string, _ credentials, _ tokens) bool {
				return d.run(t, "users", "logout", user).code == 0
			},
			"client-disabled": func(t *testing.T, _ string, by credentials, _ tokens) bool {
				return d.run(t, "clients", "disable", by.id).code == 0
			},
		} {
			user := name + "@example.com"
			d.addUser(t, user, password)
			by := d.addClient(t, name, "--public", "--grant", "password", "--grant", "refresh_token", "--scope", scope)
			racers := make([]*racer, 4)
			for i := range racers {
				racers[i] = &racer{by: by, begun: make(chan struct{})}
			}
			first := s.login(t, by, user, password)
			for i, r := range racers {
				r.token = first.RefreshToken
				if i > 0 && name != "revocation" {
					r.token = s.login(t, by, user, password).RefreshToken
				}
			}
			var over atomic.Bool
			var racing sync.WaitGroup
			for _, r := range racers {
				racing.Go(func() { r.run(all, over.Load) })
				if name == "revocation" {
					break // of one session, which one racer refreshes
				}
			}
			<-racers[0].begun
			if !end(t, user, by, first) {
				t.Errorf("%s failed", name)
			}
			over.Store(true)
			racing.Wait()
			checkDead(t, name, s, all, racers)
		}
	})
}

// checkDead asks every replica about every token that racers ever got.
func checkDead(t *testing.T, name string, s *shop, all replicas, racers []*racer) {
	t.Helper()
	got := 0
	for _, r := range racers {
		if r.late > 0 || len(r.strays) > 0 {
			t.Errorf("%s: %d refreshes succeeded that were begun afterwards; strays: %v", name, r.late, r.strays)
		}
		for i, issued := range r.all {
			got++
			replica := all[i%len(all)]
			if replica.active(t, s.confidential, issued.AccessToken) {
				t.Errorf("%s: an access token is honoured", name)
			}
		}
		if a := all.present(t, r.by, r.token, 1)[0]; a.status == http.StatusOK {
			t.Errorf("%s: the last refresh token is honoured", name)
		}
	}
	if got == 0 {
		t.Errorf("%s: nobody refreshed meanwhile", name)
	}
}
