package keys

import (
	"context"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// simulation runs several replicas whose clocks differ, on one store that comes
// and goes, against resource servers that cache the key set for exactly as long
// as they are told. Time moves from event to event; after each, every property
// is checked by the hook of the test.
type simulation struct {
	t        *rapid.T
	policy   Policy
	store    *fakeStore
	now      time.Time
	replicas []*simReplica
	caches   []cachedSet
	signed   []signature
	// downUntil is when the present outage ends, upSince when the last did.
	downUntil, upSince time.Time
	// revoked holds when each key was revoked, turned when each was last
	// told to sign by hand.
	revoked, turned map[string]time.Time
	emergency       map[string]bool
	check           func(*simulation)
}

type simReplica struct {
	*replica
	next time.Time
	// polled is when the store was last read.
	polled time.Time
}

// cachedSet is what one resource server holds until until.
type cachedSet struct {
	kids  map[string]bool
	until time.Time
}

// signature is a token; expiry is by its signer's clock.
type signature struct {
	kid, compact string
	expiry       time.Time
	// behind says that the signer had missed a poll.
	behind bool
}

func seconds(t *rapid.T, label string, from, to int) time.Duration {
	return time.Duration(rapid.IntRange(from, to).Draw(t, label)) * time.Second
}

func newSimulation(t *rapid.T, sealer Sealer, check func(*simulation)) *simulation {
	p := Policy{Alg: EdDSA, Poll: seconds(t, "poll", 1, 30), Skew: seconds(t, "skew", 1, 20),
		MaxAge: seconds(t, "max age", 1, 120), TokenTTL: seconds(t, "ttl", 5, 300)}
	p.Lead = p.MaxAge + p.Poll + p.Skew + seconds(t, "spare lead", 0, 60)
	p.Interval = p.Lead + seconds(t, "spare interval", 0, 300)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	s := &simulation{
		t: t, policy: p, store: &fakeStore{}, now: start, upSince: start, check: check,
		revoked: map[string]time.Time{}, turned: map[string]time.Time{}, emergency: map[string]bool{},
	}
	for range rapid.IntRange(1, 3).Draw(t, "replicas") {
		r := newSimReplica(t, s, sealer)
		r.offset = time.Duration(rapid.IntRange(0, int(p.Skew/time.Millisecond)).Draw(t, "offset")) * time.Millisecond
		r.next = start.Add(time.Duration(rapid.IntRange(0, int(p.Poll/time.Millisecond)).Draw(t, "phase")) * time.Millisecond)
		s.replicas = append(s.replicas, r)
	}
	return s
}

func newSimReplica(t *rapid.T, s *simulation, sealer Sealer) *simReplica {
	r := &replica{at: &s.now, log: &recorder{}}
	k, err := NewKeeper(Options{
		Store: s.store, Sealer: sealer, Policy: s.policy, Audit: r.log,
		Now: func() time.Time { return s.now.Add(r.offset) },
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Keeper = k
	return &simReplica{replica: r}
}

func (r *simReplica) clock() time.Time { return r.Keeper.clock() }

// run lets actions happen at random times.
func (s *simulation) run(outages, commands bool) {
	actions := []func(){s.fetch, s.fetch, s.sign}
	if outages {
		actions = append(actions, s.outage)
	}
	if commands {
		actions = append(actions, s.rotate, s.revoke)
	}
	for range rapid.IntRange(5, 60).Draw(s.t, "steps") {
		s.advance(time.Duration(rapid.IntRange(1, int(s.policy.Interval/time.Millisecond/2)).Draw(s.t, "pass")) * time.Millisecond)
		actions[rapid.IntRange(0, len(actions)-1).Draw(s.t, "action")]()
		s.look()
	}
}

// look notes which keys sign in an emergency, and checks.
func (s *simulation) look() {
	for _, r := range s.replicas {
		snap := r.ring.current()
		if snap == nil || !snap.view.Emergency {
			continue
		}
		if len(s.revoked) == 0 {
			s.t.Fatal("an emergency without a revocation")
		}
		s.emergency[snap.active.KID] = true
	}
	s.check(s)
}

// advance moves time on, stopping at each poll and at each turn.
func (s *simulation) advance(d time.Duration) {
	end := s.now.Add(d)
	for {
		next := end
		for _, r := range s.replicas {
			if r.next.Before(next) {
				next = r.next
			}
			snap := r.ring.snapshot.Load()
			if snap == nil || snap.until.IsZero() {
				continue
			}
			if turn := snap.until.Add(-r.offset); turn.After(s.now) && turn.Before(next) {
				next = turn
			}
		}
		s.now = next
		if s.store.down && !s.now.Before(s.downUntil) {
			s.store.down, s.upSince = false, s.now
		}
		for _, r := range s.replicas {
			if !r.next.After(s.now) {
				s.poll(r)
			}
		}
		s.look()
		if !s.now.Before(end) {
			return
		}
	}
}

func (s *simulation) poll(r *simReplica) {
	err := r.Poll(context.Background())
	switch {
	case err == nil:
		r.polled = s.now
	case !errors.Is(err, errDown):
		s.t.Fatalf("Poll: %v", err)
	}
	r.next = s.now.Add(s.policy.Poll)
}

func (s *simulation) pick(label string) *simReplica {
	return s.replicas[rapid.IntRange(0, len(s.replicas)-1).Draw(s.t, label)]
}

// fetch has a resource server fetch the set from one replica.
func (s *simulation) fetch() {
	r := s.pick("fetch from")
	set := r.ring.Published()
	if age := set.MaxAge(r.clock()); len(set.Keys) > 0 && age > 0 {
		s.caches = append(s.caches, cachedSet{published(r.ring), s.now.Add(age)})
	}
}

func (s *simulation) sign() {
	r := s.pick("sign on")
	if compact, kid, err := r.ring.Sign("at+jwt", []byte("{}")); err == nil {
		s.signed = append(s.signed, signature{kid, compact, r.clock().Add(r.ring.TokenTTL()), s.now.Sub(r.polled) > s.policy.Poll})
	}
}

func (s *simulation) outage() {
	if !s.store.down {
		s.store.down = true
		s.downUntil = s.now.Add(time.Duration(rapid.IntRange(1, int(2*s.policy.Lead/time.Millisecond)).Draw(s.t, "outage")) * time.Millisecond)
	}
}

// rotate and revoke act as an operator would, through any replica's store.
func (s *simulation) rotate() {
	r := s.pick("rotate on")
	if len(s.store.records) == 0 {
		return
	}
	turned, err := r.Rotate(context.Background())
	switch {
	case err == nil:
		s.turned[turned.KID] = s.now
	case !errors.Is(err, errDown) && !errors.Is(err, ErrTurnScheduled):
		s.t.Fatalf("Rotate: %v", err)
	}
}

func (s *simulation) revoke() {
	r := s.pick("revoke on")
	n := len(s.store.records)
	// Most of the time a revocation is out of the question.
	if n == 0 || s.store.down || rapid.IntRange(0, 3).Draw(s.t, "revoke at all") > 0 {
		return
	}
	kid := s.store.records[n-1-rapid.IntRange(0, min(n-1, 3)).Draw(s.t, "which")].KID
	err := r.Revoke(context.Background(), kid, "test")
	if errors.Is(err, ErrRevoked) || errors.Is(err, ErrNoKey) {
		return
	}
	if err != nil {
		s.t.Fatalf("Revoke: %v", err)
	}
	s.revoked[kid] = s.now
	v := NewView(s.store.records, s.policy, r.clock())
	if signing, ok := v.Signing(); ok && v.Emergency {
		s.emergency[signing.KID] = true
	}
}

// settled says that the store has been there for long enough that every replica
// has polled since, twice.
func (s *simulation) settled() bool {
	return !s.store.down && s.now.After(s.upSince.Add(2*s.policy.Poll))
}

// simulate runs the check over random lives.
func simulate(t *testing.T, outages, commands bool, check func(*simulation)) {
	sealer := testMasters(t, 1).Sealer()
	rapid.Check(t, func(rt *rapid.T) {
		s := newSimulation(rt, sealer, check)
		s.run(outages, commands)
	})
}
