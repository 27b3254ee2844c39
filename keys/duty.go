package keys

import (
	"cmp"
	"time"
)

// dutyKind names a change that has to be made to the records.
type dutyKind string

// The duties.
const (
	// createFirst: there is no key that could ever sign; make one that does
	// at once.
	createFirst dutyKind = "create first"
	// createStandby: publish the next key (K2).
	createStandby dutyKind = "create standby"
	// answer: a key was revoked; publish a key that is in no copy of the key set that
	// still holds the revoked one, and let it sign as soon as K1 allows (K6).
	answer dutyKind = "answer"
	// putOff: the key was published later than its record says.
	putOff dutyKind = "put off"
	// postpone: this replica cannot use the standby, and the standby's turn comes
	// before the key that replaces it may sign.
	postpone dutyKind = "postpone"
	// promoteStandby: the key signs because the one before it was revoked; record that.
	promoteStandby dutyKind = "promote standby"
	// raise: the settings of this replica require the key to stay published for longer
	// than its record says.
	raise dutyKind = "raise"
	// erase: the key has stopped signing; erase its private half (K4).
	erase dutyKind = "erase"
	// end: the key is the last of a ring that is no longer wanted, and its interval is
	// over; it stops signing.
	end dutyKind = "end"
	// archive: no token of the key can be valid any more.
	archive dutyKind = "archive"
)

// duty is a change that the records need at the time of their view.
type duty struct {
	Kind dutyKind
	// KID names the key. At is the time to write in its record: the start or the end of
	// signing. KID is empty if a key has to be created in Ring.
	KID  string
	Ring int
	At   time.Time
}

// duties lists the changes that are needed. It lists nothing if there are keys that
// should sign but this replica can use none: its master keys are then likely the wrong
// ones, and it must not change keys that other replicas use.
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

// creation reports whether a key has to be created. The next standby is created two
// polls and the clock skew before the present one begins to sign, so that every replica
// has published the next one by then (K2).
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

// last returns the index of the usable key that signs last, either the signing key or a
// standby, or -1 if there is none.
func (s *scheduler) last() int {
	last := s.signing
	for i := last + 1; i < len(s.records); i++ {
		if s.usable(i) {
			last = i
		}
	}
	return last
}

// ending reports whether the signing key has to stop because its interval is over and
// its ring is no longer wanted. A replica that wants the ring has created a standby
// when the key began to sign.
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

// answering reports whether a key has to be created because one was revoked (K6). The
// first key created after a revocation is this one: it signs before a standby created
// earlier, which some copies of the key set hold beside the revoked key.
//
// Revocations that follow one another are answered together, so that the number of
// keys is bounded: after an answer the ring gets no other for AnswerPause.
func (s *scheduler) answering() (duty, bool) {
	last := lastRevocation(s.all)
	if s.signing < 0 || last.IsZero() || !s.wanted {
		return duty{}, false
	}
	var before *Record // the first that answers the latest revocation that is answered
	for i := range s.records {
		if r := &s.records[i]; before == nil || r.Answers.After(before.Answers) {
			before = r
		}
	}
	if !before.Answers.Before(last) {
		return duty{}, false
	}
	since := s.now.Sub(before.CreatedAt)
	if !before.Answers.IsZero() && since >= 0 && since < s.policy.AnswerPause() {
		return duty{}, false
	}
	return duty{Kind: answer, Ring: s.ring, At: s.now.Add(leadFor(s.all, s.policy))}, true
}

// lastRevocation returns the time of the latest revocation, or zero if there was none.
func lastRevocation(records []Record) time.Time {
	var last time.Time
	for i := range records {
		last = later(last, records[i].RevokedAt)
	}
	return last
}

// postponement reports whether a standby that this replica cannot use has to wait until
// the next usable key has been published for its lead (K1). The new time is recorded
// for all replicas, including those that can use the standby, so that everywhere the
// key before it goes on signing and stays published.
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

// leadFor returns the least time for which a key created after records has to be
// published before it signs: the longest of the policy's lead and the leads that the
// records promise.
func leadFor(records []Record, p Policy) time.Duration {
	lead := p.Lead
	for i := range records {
		lead = max(lead, records[i].Lead)
	}
	return lead
}

// older returns the records that may have existed when r was created: those before it
// in its ring, and all records of other rings.
func older(records []Record, r *Record) []Record {
	var list []Record
	for i := range records {
		if other := &records[i]; other.ring() != r.ring() || other.Seq < r.Seq {
			list = append(list, *other)
		}
	}
	return list
}

// promised returns the least lead of any key that is not among records. A replica that
// creates a key of the main ring has read the newest record there. One that creates a
// key in another ring may have read the main ring before its newest record was written,
// but not without any of these, so the shortest of their leads counts. The creator may
// not know the records of the other rings.
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

// upkeep lists the changes that one key needs.
//
// A private half is erased at once if the key was revoked. Otherwise it is erased one
// poll and the clock skew after the key retired: by then every replica has read of the
// turn, and its time has come on every clock (K4).
//
// A key is archived when it has expired by the slowest clock too, because an archived
// key disappears for all replicas, and when no copy of the key set that relies on the
// key's promised lead can still be in use. Keys that signed are archived in order,
// because the last of them shows the state of its ring, for example that it has ended.
// The key with the highest Seq of a ring is never archived: it reserves the next
// number.
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
