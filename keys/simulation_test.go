package keys

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// simulation is the model of docs/decisions/key-schedule.md: replicas that run
// the code of this package on one store, and every resource server that could be,
// each of which keeps a copy of the key set for exactly as long as it was told and
// never fetches early. Time goes from event to event. At each, every replica could
// have given its key set to somebody and signed a token; of those copies and
// tokens the longest-lived are remembered, and the test's check is called.
type simulation struct {
	t     *rapid.T
	store *fakeStore
	// now is the true time. No clock is behind it, and none ahead by more
	// than drift. A write takes at most writeTime. Together they are no more
	// than the least clock_skew that any replica is told.
	now              time.Time
	drift, writeTime time.Duration
	leastSkew        time.Duration
	// policy is what a process that starts now is told, older what those were
	// that started before the last change of the settings.
	policy, older Policy
	vault         Vault
	// lost are the keys whose private halves no process can open that starts
	// now; nil if that never happens. early are those that an emergency let sign
	// before their time.
	lost, early map[string]bool
	replicas    []*simReplica

	// copies maps a key set (its kids, joined) to the time until which some
	// resource server may hold it, tokens a kid to when the last token that
	// it may have signed expires, by the true time.
	copies map[string]time.Time
	tokens map[string]time.Time
	// kept are the key sets that a resource server may hold which fetches again
	// only for a kid that it does not know, and meets a token of every key.
	kept   map[string]bool
	signed []signature

	// downUntil is when the present outage ends. changed is when anything
	// last happened after which the replicas need time to agree.
	downUntil, changed time.Time
	// calmUntil bars mishaps for a while; see stall. Without mishaps there
	// are none at all.
	calmUntil time.Time
	mishaps   bool
	writing   bool
	stalled   bool
	// revoked holds when each key was revoked, turned when each was last
	// told to sign by hand.
	revoked, turned map[string]time.Time
	check           func(*simulation)
}

type simReplica struct {
	*replica
	link *link
	// next is when it polls next, started when it first read the store,
	// polled when it last did.
	next, started, polled time.Time
	// serving says that it has read the store once and takes requests.
	serving, busy bool
}

// link is the way of one process to the store, which may be cut, and is once a write
// was lost: whoever made that died.
type link struct {
	*fakeStore
	cut bool
}

func (l *link) Keys(ctx context.Context) ([]Record, error) {
	if l.cut {
		return nil, errDown
	}
	return l.fakeStore.Keys(ctx)
}

func (l *link) CreateKey(ctx context.Context, r Record) error {
	if l.cut {
		return errDown
	}
	return l.died(l.fakeStore.CreateKey(ctx, r))
}

func (l *link) UpdateKey(ctx context.Context, r Record) error {
	if l.cut {
		return errDown
	}
	return l.died(l.fakeStore.UpdateKey(ctx, r))
}

func (l *link) died(err error) error {
	l.cut = l.cut || l.lost
	return err
}

// signature is a token that was really signed.
type signature struct {
	kid, compact string
	expiry       time.Time
}

func between(t *rapid.T, label string, from, to time.Duration) time.Duration {
	const ms = time.Millisecond
	return time.Duration(rapid.Int64Range(int64(from/ms), int64(to/ms)).Draw(t, label)) * ms
}

func (s *simulation) drawPolicy() Policy {
	t := s.t
	p := Policy{
		Algs:   rapid.Permutation([]string{EdDSA, ES256, Ed25519}).Draw(t, "algs")[:rapid.IntRange(1, 2).Draw(t, "rings")],
		Poll:   between(t, "poll", time.Second, 30*time.Second),
		Skew:   s.leastSkew + between(t, "spare skew", 0, 10*time.Second),
		MaxAge: between(t, "max age", time.Second, 2*time.Minute), TokenTTL: between(t, "ttl", 5*time.Second, 5*time.Minute),
	}
	p.Lead = p.MaxAge + p.Poll + p.Skew + between(t, "spare lead", 0, time.Minute)
	p.Interval = p.Lead + between(t, "spare interval", 0, 5*time.Minute)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	return p
}

func newSimulation(t *rapid.T, vault Vault, check func(*simulation)) *simulation {
	s := &simulation{
		t: t, store: &fakeStore{}, now: start, changed: start, vault: vault, check: check,
		early: map[string]bool{}, copies: map[string]time.Time{}, tokens: map[string]time.Time{}, kept: map[string]bool{},
		revoked: map[string]time.Time{}, turned: map[string]time.Time{},
	}
	s.leastSkew = between(t, "least skew", time.Second, 20*time.Second)
	s.drift = between(t, "drift", 0, s.leastSkew)
	s.writeTime = s.leastSkew - s.drift
	s.policy = s.drawPolicy()
	s.older = s.policy
	s.store.onWrite = s.duringWrite
	for range rapid.IntRange(1, 3).Draw(t, "replicas") {
		s.join()
	}
	return s
}

// process returns a new Keeper, as a server or a command starts with.
func (s *simulation) process(p Policy) *simReplica {
	r := &simReplica{
		replica: &replica{at: &s.now, log: &recorder{}, offset: between(s.t, "offset", 0, s.drift)},
		link:    &link{fakeStore: s.store}, next: s.now,
	}
	k, err := NewKeeper(Options{
		Store: r.link, Vault: s.vault, Policy: p, Audit: r.log,
		Now:     func() time.Time { return s.now.Add(r.offset) },
		Elapsed: func() time.Duration { return s.now.Sub(start) },
		OnError: func(err error) {
			if len(s.lost) == 0 {
				s.t.Fatalf("reported: %v", err)
			}
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	r.Keeper = k
	return r
}

func (r *simReplica) clock() time.Time { return r.Keeper.clock() }

// advance moves time on, stopping at each poll and at each turn.
func (s *simulation) advance(d time.Duration) {
	end := s.now.Add(d)
	for {
		next := end
		for _, r := range s.replicas {
			if !r.busy && r.next.Before(next) {
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
		s.now = later(s.now, next)
		if s.store.down && !s.now.Before(s.downUntil) {
			s.store.down, s.changed = false, s.now
		}
		s.observe()
		for _, r := range slices.Clone(s.replicas) {
			if !r.busy && !r.next.After(s.now) {
				s.poll(r)
				s.observe()
			}
		}
		if !s.now.Before(end) {
			return
		}
	}
}

func (s *simulation) poll(r *simReplica) {
	r.busy = true
	at := s.now
	err := r.Poll(context.Background())
	r.busy = false
	switch {
	case err == nil:
		if !r.serving {
			r.started, r.serving = at, true
		}
		r.polled = at
	case !errors.Is(err, errDown):
		s.t.Fatalf("Poll: %v", err)
	}
	// A ticker keeps to its beat.
	r.next = later(s.now, at.Add(r.policy.Poll))
	if s.stalled {
		s.store.lost, s.stalled = false, false
		s.leave(r)
		s.join()
	}
}

// observe lets every replica hand out its key set and sign, and checks.
func (s *simulation) observe() {
	for _, r := range s.replicas {
		if !r.serving {
			continue
		}
		if age := r.ring.Published().MaxAge; age > 0 {
			held := join(published(r.ring))
			s.copies[held] = later(s.copies[held], s.now.Add(age))
			s.kept[held] = true
		}
		if _, err := r.ring.Active(); err != nil {
			s.t.Fatalf("a replica that serves cannot sign: %v", err)
		}
		for _, active := range signing(r.ring) {
			if r.ring.current().view.ring(active.ring()).emergency && active.ActivateAt.After(r.clock()) {
				s.early[active.KID] = true
			}
			if ttl := r.ring.TokenTTL(); ttl > 0 {
				s.tokens[active.KID] = later(s.tokens[active.KID], r.clock().Add(ttl))
			}
		}
	}
	s.refetch()
	for held, until := range s.copies {
		if !s.now.Before(until) {
			delete(s.copies, held)
		}
	}
	s.check(s)
}

// refetch has whoever fetches for an unknown kid alone meet the tokens of one ring:
// that which every replica signs with all along.
func (s *simulation) refetch() {
	for _, r := range s.replicas {
		if active, err := r.ring.Active(); r.serving && err == nil {
			maps.DeleteFunc(s.kept, func(held string, _ bool) bool { return !strings.Contains(held, active.KID) })
		}
	}
}

// signing are the keys that a replica signs with, of all its algorithms.
func signing(r *Ring) []keyView {
	s := r.current()
	var list []keyView
	for _, alg := range r.policy.Algs {
		if by := s.signers[alg]; by != nil {
			list = append(list, s.view.Keys[slices.IndexFunc(s.view.Keys, func(k keyView) bool { return k.KID == by.kid })])
		}
	}
	if k, ok := s.view.signingKey(mainRing); ok {
		list = append(list, k)
	}
	return list
}

func join(kids map[string]bool) string {
	list := make([]string, 0, len(kids))
	for kid := range kids {
		list = append(list, kid)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// live are the keys that have signed a token that is live and that nothing
// excuses: no key that was revoked, and none that an emergency let sign before its
// lead was over.
func (s *simulation) live() []string {
	var kids []string
	for kid, expiry := range s.tokens {
		if _, gone := s.revoked[kid]; !gone && s.now.Before(expiry) && !s.hurried(kid) && !s.early[kid] {
			kids = append(kids, kid)
		}
	}
	return kids
}

// hurried says that an emergency made the key sign before its lead was over.
func (s *simulation) hurried(kid string) bool {
	i := find(s.store.records, kid)
	r := s.store.records[i]
	return i > 0 && len(s.revoked) > 0 && r.ActivateAt.Sub(r.CreatedAt) < s.promisedLead(r, s.leastSkew)
}

// leastLead is the lead that the keys before r promised, of its own ring and those
// of others that whoever made r had surely read.
func (s *simulation) leastLead(r Record) time.Duration { return s.promisedLead(r, -s.leastSkew) }

func (s *simulation) promisedLead(r Record, apart time.Duration) time.Duration {
	var lead time.Duration
	for _, other := range s.store.records {
		before := other.ring() == r.ring() && other.Seq < r.Seq || other.ring() != r.ring() && other.CreatedAt.Before(r.CreatedAt.Add(apart))
		if before && !other.Archived {
			lead = max(lead, other.Lead)
		}
	}
	return lead
}

// settled says that nothing has happened for so long that every replica has
// polled twice since.
func (s *simulation) settled() bool {
	longest := max(s.policy.Poll, s.older.Poll)
	for _, r := range s.replicas {
		longest = max(longest, r.policy.Poll)
		if r.link.cut {
			return false
		}
	}
	return !s.writing && !s.store.down && s.now.After(s.changed.Add(2*longest+s.onePoll()))
}

// onePoll is how long the writes of one poll may take: a few in each ring.
func (s *simulation) onePoll() time.Duration {
	return time.Duration(2*len(ringsOf(s.store.records, s.policy))) * s.writeTime
}

// simulate runs the check over random lives.
func simulate(t *testing.T, check func(*simulation)) {
	vault := testMasters(t, 1).Vault()
	rapid.Check(t, func(rt *rapid.T) {
		newSimulation(rt, vault, check).run(true)
	})
}

// fatalf fails with the records as they are.
func (s *simulation) fatalf(format string, args ...any) {
	since := func(t time.Time) time.Duration { return max(t.Sub(start), -1) }
	s.t.Logf("now %v", since(s.now))
	for _, r := range s.store.records {
		s.t.Logf("key %d: created %v, signs from %v, lead %v, life %v + %v, revoked %v, ended %v, erased %v, archived %v",
			r.Seq, since(r.CreatedAt), since(r.ActivateAt), r.Lead, r.TokenTTL, r.Margin, since(r.RevokedAt), since(r.EndAt), len(r.Sealed) == 0, r.Archived)
	}
	for _, r := range s.replicas {
		s.t.Logf("replica: started %v, read %v, ahead by %v, serving %v, cut %v, %+v", since(r.started), since(r.polled), r.offset, r.serving, r.link.cut, r.policy)
	}
	s.t.Fatalf(format, args...)
}
