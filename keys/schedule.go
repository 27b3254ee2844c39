package keys

import (
	"cmp"
	"slices"
	"time"
)

// State says what a key may do.
type State string

// The states of a key.
const (
	// Standby keys are published and have not signed yet (K2).
	Standby State = "standby"
	// Active is the one key that signs.
	Active State = "active"
	// Retired keys no longer sign; what they signed still counts.
	Retired State = "retired"
	// Revoked keys are out of the published set, and what they signed is dead.
	Revoked State = "revoked"
)

// keyView is one key as it stands at the time of its view.
type keyView struct {
	Record
	State State
	// RetireAt is when the key stops signing: when the next one begins to, or
	// when it was revoked. Zero if nothing follows it yet.
	RetireAt time.Time
	// ExpireAt is when no token of the key can be valid any more by any
	// clock: RetireAt, the longest life of a token, and the margin (K3).
	// Zero if RetireAt is.
	ExpireAt time.Time
	// Published says that the key belongs in the JWKS.
	Published bool
}

// view says what every key may do at one time. It is a function of the records
// and that time alone, so that replicas agree without talking (K5).
type view struct {
	// Keys are the keys that are not archived, by Seq.
	Keys []keyView
	// Emergency says that the signing key signs before its time because
	// one before it was revoked or cannot be used.
	Emergency bool
	// Duties are what the records should be told, in this order. Each may be
	// done by any replica, and by several at once.
	Duties []duty
	// Until is when the next key changes its state; zero if none will. Since
	// is when one last did. In between nothing but Duties changes.
	Since, Until time.Time

	signing int
}

// signingKey returns the key that signs, or false if none can.
func (v *view) signingKey() (keyView, bool) {
	if v.signing < 0 {
		return keyView{}, false
	}
	return v.Keys[v.signing], true
}

// newView returns what the keys in records may do at now, on a replica that cannot
// sign with the keys in unusable. Archived records and the order of records make
// no difference.
//
// The key that signs is the last one whose ActivateAt has come. If it was
// revoked or cannot be used, the next one that can be used signs at once, and if
// there is none, the nearest before it.
func newView(records []Record, p Policy, now time.Time, unusable map[string]error) view {
	s := scheduler{policy: p, now: now, unusable: unusable}
	for _, r := range records {
		if !r.Archived {
			s.records = append(s.records, r)
		}
	}
	slices.SortFunc(s.records, func(a, b Record) int { return cmp.Compare(a.Seq, b.Seq) })
	s.current = s.findCurrent()
	s.signing = s.findSigning()
	v := view{Emergency: s.emergency(), signing: s.signing}
	for i := range s.records {
		v.Keys = append(v.Keys, s.key(i))
	}
	v.Since, v.Until = s.bounds(v.Keys)
	v.Duties = s.duties(v.Keys)
	return v
}

type scheduler struct {
	policy   Policy
	now      time.Time
	unusable map[string]error
	// records are by Seq; current and signing are indexes or -1.
	records []Record
	current int
	signing int
}

func (r *Record) revoked() bool { return !r.RevokedAt.IsZero() }

// neverSigned says that a key was revoked before its turn came. It then takes
// no part in the succession.
func (r *Record) neverSigned() bool { return r.revoked() && !r.RevokedAt.After(r.ActivateAt) }

func (s *scheduler) usable(i int) bool {
	r := &s.records[i]
	return !r.revoked() && len(r.Sealed) > 0 && s.unusable[r.KID] == nil
}

func (s *scheduler) findCurrent() int {
	for i := len(s.records) - 1; i >= 0; i-- {
		if r := &s.records[i]; !r.ActivateAt.After(s.now) && !r.neverSigned() {
			return i
		}
	}
	return -1
}

// findSigning begins at the current key. Before the first key's time (this
// clock is behind the one that made it) it begins at the first key.
func (s *scheduler) findSigning() int {
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

// emergency is still true after the promotion was written down, so that every
// replica can say why it turned.
func (s *scheduler) emergency() bool {
	if s.signing < 0 {
		return false
	}
	if i := max(s.current, 0); i != s.signing {
		// An erased key, though, only tells that this clock is behind.
		r := &s.records[i]
		return r.revoked() || s.unusable[r.KID] != nil
	}
	promoted := &s.records[s.signing]
	return slices.ContainsFunc(s.records[:s.signing], func(r Record) bool {
		return r.revoked() && !r.neverSigned() && promotion(&r, promoted).Equal(promoted.ActivateAt)
	})
}

// promotion is when next begins to sign because before was revoked. All
// replicas come to the same time.
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
	}
	var at time.Time
	for j := i + 1; j < len(s.records); j++ {
		next := &s.records[j]
		if !next.neverSigned() && (at.IsZero() || next.ActivateAt.Before(at)) {
			at = next.ActivateAt
		}
	}
	if i == s.signing && !at.After(s.now) {
		// Its successors cannot be used; it signs on until there is one.
		return time.Time{}
	}
	return at
}

func (s *scheduler) bounds(keys []keyView) (since, until time.Time) {
	for _, k := range keys {
		for _, t := range []time.Time{k.ActivateAt, k.RetireAt, k.ExpireAt} {
			if !t.After(s.now) {
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
