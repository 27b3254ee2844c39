package keys

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// ErrNoSigningKey means that there is no key to sign with: the ring is not filled yet,
// or every key was revoked.
var ErrNoSigningKey = errors.New("no signing key is ready")

// ErrNoneUsable means that there are keys, and that the master keys open none of them.
var ErrNoneUsable = errors.New("no signing key can be used")

// Ring signs and verifies with the keys as last read from the store. Every call decides
// by the clock what each key may do, so that a scheduled turn happens on time even
// while the store cannot be reached (K5). Its Keeper fills it. A Ring is safe for
// concurrent use and takes no lock.
type Ring struct {
	now      func() time.Time
	elapsed  func() time.Duration
	policy   Policy
	vault    Vault
	snapshot atomic.Pointer[snapshot]
	versions atomic.Uint64

	signFailures atomic.Uint64
}

// PublishedSet is the content of the JWKS, and how long it is valid. It is shared:
// callers must not change it.
type PublishedSet struct {
	// Version changes whenever Keys do, and is unique within a process.
	Version uint64
	// Keys are public JWKs: the signing keys, then the others, both by Seq. So all
	// replicas serve the same bytes, and programs that take the first key get the
	// signing key of the default algorithm. If it is empty, there is nothing to serve.
	Keys []json.RawMessage
	// Algs are the algorithms of Keys, sorted.
	Algs []string
	// Limit is the policy's MaxAge.
	Limit time.Duration
	// MaxAge is how long the set may be cached from now on: Limit, unless the replica
	// has lost the store. A key that the set does not hold was created after the set
	// was read, and signs no sooner than the promised lead after that, less the skew.
	// So MaxAge shrinks towards zero as the set grows old (K1).
	MaxAge time.Duration
}

// snapshot is a view of the keys that is valid from since to until.
type snapshot struct {
	book book
	// at is when the snapshot was made; elapsed is the same moment by the clock that
	// never jumps.
	at           time.Time
	elapsed      time.Duration
	since, until time.Time
	view         view
	published    PublishedSet
	verifiers    map[string]*verifier
	// signer is the main ring's signer, and active its description. signers holds the
	// signers of the other rings by algorithm.
	signer  *signer
	signers map[string]*signer
	active  Info
	ttl     time.Duration
	// complete is how long after the read the set is certain to hold every signing key.
	complete time.Duration
	seen     map[string]sighting
}

func (r *Ring) clock() time.Time { return toMilli(r.now()) }

// age returns how long ago the records of s were read.
func (r *Ring) age(s *snapshot) time.Duration { return r.elapsed() - s.book.elapsed }

// fill replaces the keys of the ring.
func (r *Ring) fill(b book, now time.Time) {
	r.snapshot.Store(r.build(b, now, r.snapshot.Load()))
}

// current returns the snapshot for this moment, or nil if the ring was never filled.
// After a turn it builds a new one from what is in memory.
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
	// If another call or the Keeper stored a newer snapshot meanwhile, that one stays.
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
		// The token's life may be fixed before the turn and the token be signed by the
		// next key.
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

// signersOf returns the signers of the rings beside the main one that the policy asks
// for and that can sign already.
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

// unconfirmed reports whether the store was last read before the key's turn ended. The
// key's successor may have been revoked since and the key may still sign on other
// replicas, so it stays published until the next read (K1, K3). This only happens on a
// replica that has lost the store for longer than a token lives.
func (r *Ring) unconfirmed(k keyView, readAt time.Time) bool {
	return k.State != Revoked && readAt.Before(k.RetireAt.Add(r.policy.Skew))
}

func sameKey(a, b json.RawMessage) bool { return string(a) == string(b) }

// Sign signs payload as a compact JWS of type typ (at+jwt, for example) with the active
// key of the default algorithm. It also returns that key's kid. typ must be one of a
// few constants, because the header of each is cached. The error is ErrNoSigningKey if
// there is no key.
func (r *Ring) Sign(typ string, payload []byte) (compact, kid string, err error) {
	return r.SignWith("", typ, payload)
}

// SignWith is Sign with the algorithm alg. It falls back to Sign if alg is empty, not
// in the policy or has no signing key yet, so that adding or dropping an algorithm
// fails no request.
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

// Verify checks a compact JWS of at most 16 KiB: its key must be published now (and so
// not revoked, K6), its algorithm must be the key's, and its type must be typ (with or
// without application/, in any case). It returns the payload and the kid. The error
// says whether the key is unknown or the token is malformed. Verify does not check the
// payload, nor its expiry.
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

// Active returns the signing key of the default algorithm, or ErrNoSigningKey.
func (r *Ring) Active() (Info, error) {
	s := r.current()
	if s == nil || s.signer == nil {
		return Info{}, ErrNoSigningKey
	}
	return s.active, nil
}

// TokenTTL returns the longest life of a token signed now: the policy's, unless a key
// that is about to sign was created for less. On a replica that has missed a poll it
// shrinks towards zero, because the signing key may have been turned by hand meanwhile,
// and its tokens must not outlive its place in the JWKS (K3). It is zero if the ring
// was never filled.
func (r *Ring) TokenTTL() time.Duration {
	s := r.current()
	if s == nil {
		return 0
	}
	behind := r.age(s) - r.policy.Poll - r.policy.Skew
	return max(0, s.ttl-max(0, behind))
}

// Published returns the key set for the JWKS, or the zero set if the ring was never
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
