package keys

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// State says what a key may do.
type State string

// The states of a key.
const (
	// Standby keys are published and have not signed yet (K2).
	Standby State = "standby"
	// Active keys sign; each ring has one at most.
	Active State = "active"
	// Retired keys no longer sign; their tokens are still valid.
	Retired State = "retired"
	// Revoked keys are not published, and their tokens are invalid.
	Revoked State = "revoked"
)

// keyView is a key and its state at the time of its view.
type keyView struct {
	Record
	State State
	// RetireAt is when the key stops signing: when the next one begins to, or when
	// it was revoked. It is zero if no key follows it yet.
	RetireAt time.Time
	// ExpireAt is when no token of the key is valid any more by any clock: RetireAt
	// plus the longest life of a token and the margin (K3). It is zero if RetireAt
	// is.
	ExpireAt time.Time
	// Published says that the key belongs in the JWKS.
	Published bool
}

// view says what every key may do at one time. It is a function of the records and
// that time alone, so that replicas agree without talking to each other (K5).
type view struct {
	// Keys are the keys that are not archived, by Seq: the main ring's first.
	Keys []keyView
	// rings are in the order of their numbers, the main one first.
	rings []ringView
	// Duties are the changes to be made to the records, in this order. Any replica
	// may make each, and several may at once.
	Duties []duty
	// Until is when the next key changes its state, or zero if none will. Since is
	// when the last one did. In between only Duties change.
	Since, Until time.Time
}

// ring returns the view of a ring. If the ring is not in the view, its signing is
// -1.
func (v *view) ring(number int) ringView {
	for _, r := range v.rings {
		if r.number == number {
			return r
		}
	}
	return ringView{number: number, signing: -1}
}

// signingKey returns the signing key of a ring, or false if there is none.
func (v *view) signingKey(ring int) (keyView, bool) {
	r := v.ring(ring)
	if r.signing < 0 {
		return keyView{}, false
	}
	return v.Keys[r.signing], true
}

// newView returns what the keys in records may do at now, on a replica that cannot
// sign with the keys in unusable. It ignores archived records and the order of
// records.
//
// The signing key of a ring is the last one whose ActivateAt has come. If that key
// was revoked or cannot be used, the next usable key signs at once; if there is
// none, the nearest usable key before it.
func newView(records []Record, p Policy, now time.Time, unusable map[string]error) view {
	var all []Record
	for _, r := range records {
		if !r.Archived {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b Record) int { return cmp.Compare(a.Seq, b.Seq) })
	rings := ringsOf(all, p)
	var v view
	var first []duty
	for _, number := range slices.Sorted(maps.Keys(rings)) {
		s := scheduler{policy: p, now: now, unusable: unusable, ring: number, all: all, records: rings[number]}
		s.current = s.findCurrent()
		s.signing = s.findSigning()
		main, _ := v.signingKey(mainRing)
		s.wanted = number == mainRing || p.wants(number, main.Alg, s.live())
		r := ringView{number: number, signing: -1, emergency: s.emergency(), wanted: s.wanted}
		if s.signing >= 0 {
			r.signing = len(v.Keys) + s.signing
		}
		v.rings = append(v.rings, r)
		var keys []keyView
		for i := range s.records {
			keys = append(keys, s.key(i))
		}
		v.Keys = append(v.Keys, keys...)
		v.Duties = append(v.Duties, s.duties(keys)...)
		if number == mainRing && len(s.records) == 0 {
			first, v.Duties = v.Duties, nil
		}
	}
	// On an empty store the keys of the other rings are published before the first
	// key of the main ring. No replica serves without that one, so all rings can
	// sign at once.
	v.Duties = append(v.Duties, first...)
	v.Since, v.Until = bounds(v.Keys, now)
	return v
}

type scheduler struct {
	policy   Policy
	now      time.Time
	unusable map[string]error
	// all are the records of all rings, records those of this ring, by Seq. current
	// and signing are indexes into records, or -1.
	all     []Record
	ring    int
	wanted  bool
	records []Record
	current int
	signing int
}

// live reports whether a key of the ring signs or will sign.
func (s *scheduler) live() bool {
	for i := range s.records {
		if s.usable(i) {
			return true
		}
	}
	return false
}

// ended reports whether the key has stopped signing without a successor.
func (s *scheduler) ended(i int) bool {
	at := s.records[i].EndAt
	return !at.IsZero() && !at.After(s.now)
}

func (r *Record) revoked() bool { return !r.RevokedAt.IsZero() }

// neverSigned reports whether the key was revoked before its turn came. It then
// takes no part in the succession.
func (r *Record) neverSigned() bool { return r.revoked() && !r.RevokedAt.After(r.ActivateAt) }

func (s *scheduler) usable(i int) bool {
	r := &s.records[i]
	return !r.revoked() && len(r.Sealed) > 0 && s.unusable[r.KID] == nil && !s.ended(i)
}

func (s *scheduler) findCurrent() int {
	for i := len(s.records) - 1; i >= 0; i-- {
		if r := &s.records[i]; !r.ActivateAt.After(s.now) && !r.neverSigned() {
			return i
		}
	}
	return -1
}

// findSigning returns the index of the signing key, or -1. It searches from the
// current key on. Before the first key's time (this clock is behind the creator's)
// it searches from the first key on, unless that key has to be published for its
// lead first, as in a ring that was added later.
func (s *scheduler) findSigning() int {
	if s.current >= 0 && s.ended(s.current) || s.current < 0 && s.comesUp() {
		return -1
	}
	for i := max(s.current, 0); i < len(s.records); i++ {
		if s.usable(i) {
			return i
		}
	}
	for i := s.current - 1; i >= 0; i-- {
		if s.usable(i) {
			return i
		}
	}
	return -1
}

// comesUp reports whether the ring has not signed yet because it was added to a
// store that had keys already.
func (s *scheduler) comesUp() bool {
	return s.ring != mainRing && len(s.records) > 0 && s.records[0].ActivateAt.After(s.records[0].CreatedAt)
}

// emergency reports whether the signing key signs before its time. It stays true
// after the promotion was recorded, so that every replica can say why it turned.
func (s *scheduler) emergency() bool {
	if s.signing < 0 {
		return false
	}
	if i := max(s.current, 0); i != s.signing {
		// If the current key was erased, this clock is behind; that is no
		// emergency.
		r := &s.records[i]
		return r.revoked() || s.unusable[r.KID] != nil
	}
	promoted := &s.records[s.signing]
	return slices.ContainsFunc(s.records[:s.signing], func(r Record) bool {
		return r.revoked() && !r.neverSigned() && promotion(&r, promoted).Equal(promoted.ActivateAt)
	})
}

// promotion returns when next begins to sign because before was revoked. All
// replicas compute the same time.
func promotion(before, next *Record) time.Time { return later(before.RevokedAt, next.CreatedAt) }

func (s *scheduler) key(i int) keyView {
	r := s.records[i]
	k := keyView{Record: r, RetireAt: s.retireAt(i)}
	if !k.RetireAt.IsZero() {
		k.ExpireAt = k.RetireAt.Add(r.TokenTTL + max(r.Margin, s.policy.margin()))
	}
	switch {
	case r.revoked():
		k.State = Revoked
	case i == s.signing:
		k.State = Active
	case i < s.signing, !k.RetireAt.IsZero() && !k.RetireAt.After(s.now):
		k.State = Retired
	default:
		k.State = Standby
	}
	k.Published = k.State != Revoked && (k.ExpireAt.IsZero() || s.now.Before(k.ExpireAt))
	return k
}

func (s *scheduler) retireAt(i int) time.Time {
	if r := &s.records[i]; r.revoked() {
		return r.RevokedAt
	} else if !r.EndAt.IsZero() {
		return r.EndAt
	}
	var at time.Time
	for j := i + 1; j < len(s.records); j++ {
		next := &s.records[j]
		if !next.neverSigned() && (at.IsZero() || next.ActivateAt.Before(at)) {
			at = next.ActivateAt
		}
	}
	if i == s.signing && !at.After(s.now) {
		// Its successors cannot be used; it goes on signing until one can.
		return time.Time{}
	}
	return at
}

func bounds(keys []keyView, now time.Time) (since, until time.Time) {
	for _, k := range keys {
		for _, t := range []time.Time{k.ActivateAt, k.RetireAt, k.EndAt, k.ExpireAt} {
			if !t.After(now) {
				since = later(since, t)
			} else if until.IsZero() || t.Before(until) {
				until = t
			}
		}
	}
	return since, until
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
