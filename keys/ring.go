package keys

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// ErrNoSigningKey means that there is no key to sign with: the ring was not
// filled yet, or every key was revoked.
var ErrNoSigningKey = errors.New("no signing key is ready")

// Ring signs and verifies with the keys as last read from the store. What each
// key may do is decided at every call by the clock, so a scheduled turn happens
// on time even while the store cannot be reached (K5). A Ring is filled by its
// Keeper. It is safe for concurrent use and takes no lock.
type Ring struct {
	now      func() time.Time
	elapsed  func() time.Duration
	policy   Policy
	vault    Vault
	snapshot atomic.Pointer[snapshot]
	versions atomic.Uint64

	signFailures atomic.Uint64
}

// PublishedSet is the content of the JWKS, and how long it can be relied on. It
// is shared: callers must not change it.
type PublishedSet struct {
	// Version changes whenever Keys do, and is never used twice in a process.
	Version uint64
	// Keys are public JWKs: those that sign now, then the others, both by Seq,
	// so that all replicas serve the same bytes, and programs that take the
	// first key get the one that the default algorithm signs with. Empty means that there is nothing to serve.
	Keys []json.RawMessage
	// Algs are the algorithms of Keys, sorted.
	Algs []string
	// Limit is the policy's MaxAge.
	Limit time.Duration
	// MaxAge is for how long the set may be cached from now on: Limit, unless
	// the replica has lost the store. The set is sure to hold every key that
	// signs until the promised lead after it was read, less the skew: a key
	// that it does not hold was made after that. So the replica shortens
	// MaxAge, down to zero, rather than promise what it cannot know (K1).
	MaxAge time.Duration
}

// snapshot is a view of the keys that holds from since until until.
type snapshot struct {
	book book
	// at is when it was made, elapsed the same by the clock that never jumps.
	at           time.Time
	elapsed      time.Duration
	since, until time.Time
	view         view
	published    PublishedSet
	verifiers    map[string]*verifier
	// signer is the main ring's and active what is shown of it; signers are
	// those of other algorithms, by algorithm.
	signer  *signer
	signers map[string]*signer
	active  Info
	ttl     time.Duration
	// complete is for how long after the reading the set is sure to hold
	// every key that signs.
	complete time.Duration
	seen     map[string]sighting
}

func (r *Ring) clock() time.Time { return toMilli(r.now()) }

// age is how long ago the records of s were read.
func (r *Ring) age(s *snapshot) time.Duration { return r.elapsed() - s.book.elapsed }

// fill replaces what the ring knows.
func (r *Ring) fill(b book, now time.Time) {
	r.snapshot.Store(r.build(b, now, r.snapshot.Load()))
}

// current returns the snapshot for this moment, or nil if the ring was never
// filled. When a turn has come it builds the new one from what is in memory.
func (r *Ring) current() *snapshot {
	s := r.snapshot.Load()
	if s == nil {
		return nil
	}
	now := r.clock()
	if !now.Before(s.since) && (s.until.IsZero() || now.Before(s.until)) {
		return s
	}
	next := r.build(s.book, now, s)
	// If another call was faster, or the Keeper read the store meanwhile,
	// theirs stays.
	r.snapshot.CompareAndSwap(s, next)
	return next
}

func (r *Ring) build(b book, now time.Time, before *snapshot) *snapshot {
	m := b.material
	v := newView(b.records, r.policy, now, m.unusable)
	s := &snapshot{
		book: b, at: now, elapsed: r.elapsed(), view: v, since: v.Since, until: v.Until,
		verifiers: make(map[string]*verifier), ttl: r.policy.TokenTTL,
		complete: promised(b.records, r.policy) - r.policy.Skew,
	}
	s.seen = s.sightings(before, r.policy.Skew)
	var set, others []json.RawMessage
	var algs []string
	for _, k := range v.Keys {
		if pub := m.verifiers[k.KID]; pub != nil && (k.Published || r.unconfirmed(k, b.readAt) || s.seen[k.KID].outlives(k, s.elapsed)) {
			s.verifiers[k.KID] = pub
			algs = append(algs, pub.alg)
			if k.State == Active {
				set = append(set, pub.jwk)
			} else {
				others = append(others, pub.jwk)
			}
		}
		// A token may be signed by the next key after its life was fixed.
		if m.signers[k.KID] != nil && (k.State == Active || k.State == Standby) {
			s.ttl = min(s.ttl, k.TokenTTL, k.TokenTTL+k.Margin-r.policy.margin())
		}
	}
	set = append(set, others...)
	slices.Sort(algs)
	if k, ok := v.signingKey(mainRing); ok {
		s.signer = m.signers[k.KID]
		s.active = newInfo(k, r.vault)
	}
	s.signers = r.signersOf(&v, m)
	s.published = PublishedSet{Keys: set, Algs: slices.Compact(algs), Limit: r.policy.MaxAge}
	if before != nil && slices.EqualFunc(set, before.published.Keys, sameKey) {
		s.published.Version = before.published.Version
	} else {
		s.published.Version = r.versions.Add(1)
	}
	return s
}

// signersOf returns the signers of the rings beside the main one that are asked for
// and can sign already.
func (r *Ring) signersOf(v *view, m *material) map[string]*signer {
	signers := make(map[string]*signer)
	for _, ring := range v.rings {
		k, ok := v.signingKey(ring.number)
		if ok && ring.number != mainRing && slices.Contains(r.policy.Algs, k.Alg) {
			signers[k.Alg] = m.signers[k.KID]
		}
	}
	return signers
}

// unconfirmed says that the store was last read before the key's turn ended. Its
// successor may have been revoked since, and the key be signing on elsewhere, so
// it stays published until a read tells (K1, K3). That happens only on a replica
// that has lost the store for longer than a token lives.
func (r *Ring) unconfirmed(k keyView, readAt time.Time) bool {
	return k.State != Revoked && readAt.Before(k.RetireAt.Add(r.policy.Skew))
}

func sameKey(a, b json.RawMessage) bool { return string(a) == string(b) }

// Sign returns payload as a compact JWS of type typ (at+jwt, for one) signed
// with the key of the default algorithm whose turn it is now, and that key's kid.
// typ must be one of a few constants: the header of each is kept. The error is
// ErrNoSigningKey if there is no key.
func (r *Ring) Sign(typ string, payload []byte) (compact, kid string, err error) {
	return r.SignWith("", typ, payload)
}

// SignWith is Sign with the algorithm alg. Where that is empty, not among the
// policy's or too young to sign yet, it is Sign: an algorithm that is added or
// dropped stops nobody's tokens.
func (r *Ring) SignWith(alg, typ string, payload []byte) (compact, kid string, err error) {
	s := r.current()
	if s == nil || s.signer == nil {
		return "", "", ErrNoSigningKey
	}
	by := s.signer
	if alg != "" && alg != by.alg {
		by = cmp.Or(s.signers[alg], by)
	}
	compact, err = by.sign(typ, payload)
	if err != nil {
		r.signFailures.Add(1)
		return "", "", err
	}
	return compact, by.kid, nil
}

// Verify checks a compact JWS of at most 16 KiB: its key must be published now
// (so not revoked: K6), its algorithm the key's own, its type typ (with or
// without application/, in any case). It returns the payload and the kid. The
// error says which of these it is not. What the payload says, its expiry
// included, is for the caller to judge.
func (r *Ring) Verify(compact, typ string) (payload []byte, kid string, err error) {
	t, err := parseToken(compact)
	if err != nil {
		return nil, "", err
	}
	s := r.current()
	if s == nil {
		return nil, "", errUnknownKey
	}
	v := s.verifiers[t.kid]
	if v == nil {
		return nil, "", errUnknownKey
	}
	payload, err = v.verify(t, typ)
	if err != nil {
		return nil, "", err
	}
	return payload, t.kid, nil
}

// Active returns the key of the default algorithm that signs now, or ErrNoSigningKey.
func (r *Ring) Active() (Info, error) {
	s := r.current()
	if s == nil || s.signer == nil {
		return Info{}, ErrNoSigningKey
	}
	return s.active, nil
}

// TokenTTL returns the longest life that a token signed now may have: the
// policy's, unless a key that is about to sign it was made for less. On a replica
// that has missed a poll it shrinks, down to zero: the signing key may have been
// turned by hand meanwhile, and what it signs must not outlive its place in the
// JWKS (K3). Zero if the ring was never filled.
func (r *Ring) TokenTTL() time.Duration {
	s := r.current()
	if s == nil {
		return 0
	}
	behind := r.age(s) - r.policy.Poll - r.policy.Skew
	return max(0, s.ttl-max(0, behind))
}

// Published returns the set to serve as JWKS; the zero set if the ring was never
// filled.
func (r *Ring) Published() PublishedSet {
	s := r.current()
	if s == nil {
		return PublishedSet{}
	}
	set := s.published
	set.MaxAge = max(0, min(set.Limit, s.complete-r.age(s)))
	return set
}
