package keys

import (
	"cmp"
	"time"
)

// dutyKind names something that the records should be told.
type dutyKind string

// The duties.
const (
	// createFirst: there is no key that could ever sign; make one that does
	// at once.
	createFirst dutyKind = "create first"
	// createStandby: publish the next key (K2).
	createStandby dutyKind = "create standby"
	// answer: a key was revoked; publish one that no copy of the key set holds
	// in which the revoked key still is, and let it sign as soon as K1 allows
	// (K6).
	answer dutyKind = "answer"
	// putOff: the key was published later than its record says.
	putOff dutyKind = "put off"
	// postpone: the standby cannot be used on this replica, and its turn would
	// come before the one that signs in its stead may.
	postpone dutyKind = "postpone"
	// promoteStandby: the key that signs does so because the one before it
	// was revoked; write that down.
	promoteStandby dutyKind = "promote standby"
	// raise: by the settings of this replica the key has to stay published
	// for longer than its record says.
	raise dutyKind = "raise"
	// erase: the key has stopped signing; erase its private half (K4).
	erase dutyKind = "erase"
	// end: the key is the last of a ring that is not wanted any more, and its
	// time is over; it stops signing.
	end dutyKind = "end"
	// archive: nothing that the key signed can be valid any more.
	archive dutyKind = "archive"
)

// duty is one change that the records need at the time of their view.
type duty struct {
	Kind dutyKind
	// KID names the key concerned, At is what its record should say: when it
	// signs, or when it ends. KID is empty where a key is to be made, for Ring.
	KID  string
	Ring int
	At   time.Time
}

// duties lists nothing if there are keys that should sign but none can be used
// here: the master keys are then likely the wrong ones, and a replica that has
// the wrong ones must not touch what others live on.
func (s *scheduler) duties(keys []keyView) []duty {
	if !s.live() {
		for i := range s.records {
			if r := &s.records[i]; !r.revoked() && len(r.Sealed) > 0 && !s.ended(i) {
				return nil
			}
		}
	}
	var list []duty
	for _, due := range []func() (duty, bool){s.promotionDue, s.answering, s.creation, s.ending, s.postponement} {
		if d, ok := due(); ok {
			list = append(list, d)
		}
	}
	for i := range keys {
		list = append(list, s.upkeep(i, &keys[i])...)
	}
	return list
}

// creation says whether a key has to be made. The next standby is made two
// polls and the clock skew before the present one begins to sign: when it does,
// every replica has published the next (K2).
func (s *scheduler) creation() (duty, bool) {
	last := s.last()
	if !s.wanted {
		return duty{}, false
	}
	if last < 0 && s.ring == mainRing {
		return duty{Kind: createFirst, At: s.now}, true
	}
	if last < 0 {
		return duty{Kind: createStandby, Ring: s.ring, At: s.now.Add(leadFor(s.all, s.policy))}, true
	}
	previous := s.records[last].ActivateAt
	if last != s.signing && s.now.Before(previous.Add(-2*s.policy.Poll-s.policy.Skew)) {
		return duty{}, false
	}
	at := later(previous.Add(s.policy.Interval), s.now.Add(leadFor(s.all, s.policy)))
	for i := range s.records {
		// A later key never signs before an earlier one.
		if r := &s.records[i]; !r.revoked() {
			at = later(at, r.ActivateAt)
		}
	}
	return duty{Kind: createStandby, Ring: s.ring, At: at}, true
}

// last is the key that signs last of those that can be used: the one that signs now
// or a standby; -1 if there is none.
func (s *scheduler) last() int {
	last := s.signing
	for i := last + 1; i < len(s.records); i++ {
		if s.usable(i) {
			last = i
		}
	}
	return last
}

// ending says whether the key that signs is to stop, because its time is over and a
// ring that nobody wants gets no other. Whoever wants the ring made a standby when
// the key began.
func (s *scheduler) ending() (duty, bool) {
	if s.wanted || s.signing < 0 || s.signing != s.last() || s.policy.ringAlg(s.ring) == "" {
		return duty{}, false
	}
	r := &s.records[s.signing]
	if !r.EndAt.IsZero() || s.now.Before(r.ActivateAt.Add(s.policy.Interval)) {
		return duty{}, false
	}
	return duty{Kind: end, KID: r.KID, At: s.now.Add(s.policy.Lead)}, true
}

// answering says whether a key has to be made because one was revoked (K6). The
// first key made after a revocation is this one: it signs before a standby that
// was made ahead of the revocation, which some copies hold beside the revoked key.
func (s *scheduler) answering() (duty, bool) {
	last := lastRevocation(s.all)
	if s.signing < 0 || last.IsZero() || !s.wanted {
		return duty{}, false
	}
	for i := range s.records {
		if !s.records[i].Answers.Before(last) {
			return duty{}, false
		}
	}
	return duty{Kind: answer, Ring: s.ring, At: s.now.Add(leadFor(s.all, s.policy))}, true
}

// lastRevocation is when the latest revocation was made; zero if there was none.
func lastRevocation(records []Record) time.Time {
	var last time.Time
	for i := range records {
		last = later(last, records[i].RevokedAt)
	}
	return last
}

// postponement says whether the turn of a standby that cannot be used here has to
// wait until the next key that can has stood in the published set for its lead
// (K1). The record tells all replicas, those that could use the standby too, so
// that the key before it goes on signing, and is published, everywhere.
func (s *scheduler) postponement() (duty, bool) {
	var turn time.Time
	for i := s.signing + 1; i < len(s.records); i++ {
		r := &s.records[i]
		if at := r.CreatedAt.Add(leadFor(older(s.all, r), s.policy)); s.usable(i) && (turn.IsZero() || at.Before(turn)) {
			turn = at
		}
	}
	for i := s.signing + 1; i < len(s.records); i++ {
		r := &s.records[i]
		if s.unusable[r.KID] != nil && !r.revoked() && r.ActivateAt.After(s.now) && r.ActivateAt.Before(turn) {
			return duty{Kind: postpone, KID: r.KID, At: turn}, true
		}
	}
	return duty{}, false
}

// leadFor is the least time for which a key made after records has to stand in
// the published set: what the policy asks for, and what any of them promises.
func leadFor(records []Record, p Policy) time.Duration {
	lead := p.Lead
	for i := range records {
		lead = max(lead, records[i].Lead)
	}
	return lead
}

// older are the records that may have been there when r was made: those before it in
// its ring, and all of other rings.
func older(records []Record, r *Record) []Record {
	var list []Record
	for i := range records {
		if other := &records[i]; other.ring() != r.ring() || other.Seq < r.Seq {
			list = append(list, *other)
		}
	}
	return list
}

// promised is the lead that every key keeps which is not among records. Whoever makes
// one of the main ring has read the newest there; whoever makes one beside it may have
// read the ring before that was written, but not without any of these: so the least of
// their promises counts. Those of other rings may be unknown to the maker.
func promised(records []Record, p Policy) time.Duration {
	var least time.Duration
	for i := range records {
		r := &records[i]
		if lead := cmp.Or(r.Lead, p.Lead); !r.Beside() && (least == 0 || lead < least) {
			least = lead
		}
	}
	return cmp.Or(least, p.Lead)
}

func (s *scheduler) promotionDue() (duty, bool) {
	if s.current < 0 || s.signing <= s.current || !s.records[s.current].revoked() {
		return duty{}, false
	}
	next := &s.records[s.signing]
	at := promotion(&s.records[s.current], next)
	if !at.Before(next.ActivateAt) {
		return duty{}, false
	}
	return duty{Kind: promoteStandby, KID: next.KID, At: at}, true
}

// upkeep lists what one key needs. A private half is erased at once when the key
// was revoked, and otherwise one poll and the clock skew after the key retired:
// every replica has heard of the turn by then, and its time has come on every
// clock (K4). A key is archived when it has expired by the slowest clock too,
// since the record is then gone for everybody, and when no copy of the key set can
// be in force any more that was handed out on the key's promise. Keys that signed are
// archived in order, since the last of them tells how its ring stands, that it has ended
// for one. The key with the highest Seq of a ring is never archived: it holds the place
// of the next number.
func (s *scheduler) upkeep(i int, k *keyView) []duty {
	if i == s.signing || k.State == Standby {
		if s.usable(i) && (k.TokenTTL < s.policy.TokenTTL || k.Margin < s.policy.margin()) {
			return []duty{{Kind: raise, KID: k.KID}}
		}
		return nil
	}
	if k.RetireAt.IsZero() {
		return nil
	}
	if len(k.Sealed) > 0 && (k.State == Revoked || !s.now.Before(k.RetireAt.Add(s.policy.Poll+s.policy.Skew))) {
		return []duty{{Kind: erase, KID: k.KID}}
	}
	over := later(k.ExpireAt, k.RetireAt.Add(k.Lead)).Add(s.policy.Skew)
	inOrder := (i == 0 || k.neverSigned()) && i < len(s.records)-1
	if len(k.Sealed) == 0 && inOrder && !s.now.Before(over) {
		return []duty{{Kind: archive, KID: k.KID}}
	}
	return nil
}
