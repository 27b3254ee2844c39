package keys

import "time"

// DutyKind names something that the records should be told.
type DutyKind string

// The duties.
const (
	// CreateFirst: there is no key that could ever sign; make one that does
	// at once.
	CreateFirst DutyKind = "create first"
	// CreateStandby: publish the next key (K2).
	CreateStandby DutyKind = "create standby"
	// PutOff: the key was published later than its record says.
	PutOff DutyKind = "put off"
	// Postpone: the standby cannot be used on this replica, and its turn would
	// come before the one that signs in its stead may.
	Postpone DutyKind = "postpone"
	// PromoteStandby: the key that signs does so because the one before it
	// was revoked; write that down.
	PromoteStandby DutyKind = "promote standby"
	// Raise: by the settings of this replica the key has to stay published
	// for longer than its record says.
	Raise DutyKind = "raise"
	// Erase: the key has stopped signing; erase its private half (K4).
	Erase DutyKind = "erase"
	// Archive: nothing that the key signed can be valid any more.
	Archive DutyKind = "archive"
)

// Duty is one change that the records need at the time of their View.
type Duty struct {
	Kind DutyKind
	// KID names the key concerned, ActivateAt is what its record should
	// say. KID is empty where a key is to be made.
	KID        string
	ActivateAt time.Time
}

// duties lists nothing if there are keys that should sign but none can be used
// here: the master keys are then likely the wrong ones, and a replica that has
// the wrong ones must not touch what others live on.
func (s *scheduler) duties(keys []KeyView) []Duty {
	if s.signing < 0 {
		for i := range s.records {
			if r := &s.records[i]; !r.revoked() && len(r.Sealed) > 0 {
				return nil
			}
		}
	}
	var list []Duty
	if d, ok := s.creation(); ok {
		list = append(list, d)
	}
	if d, ok := s.postponement(); ok {
		list = append(list, d)
	}
	if d, ok := s.promotionDue(); ok {
		list = append(list, d)
	}
	for i := range keys {
		list = append(list, s.upkeep(i, &keys[i])...)
	}
	return list
}

// creation says whether a key has to be made. The next standby is made two
// polls and the clock skew before the present one begins to sign: when it does,
// every replica has published the next (K2).
func (s *scheduler) creation() (Duty, bool) {
	if s.signing < 0 {
		return Duty{Kind: CreateFirst, ActivateAt: s.now}, true
	}
	last := s.signing
	for i := last + 1; i < len(s.records); i++ {
		if s.usable(i) {
			last = i
		}
	}
	previous := s.records[last].ActivateAt
	if last != s.signing && s.now.Before(previous.Add(-2*s.policy.Poll-s.policy.Skew)) {
		return Duty{}, false
	}
	at := later(previous.Add(s.policy.Interval), s.now.Add(leadFor(s.records, s.policy)))
	for i := range s.records {
		// A later key never signs before an earlier one.
		if r := &s.records[i]; !r.revoked() {
			at = later(at, r.ActivateAt)
		}
	}
	return Duty{Kind: CreateStandby, ActivateAt: at}, true
}

// postponement says whether the turn of a standby that cannot be used here has to
// wait until the next key that can has stood in the published set for its lead
// (K1). The record tells all replicas, those that could use the standby too, so
// that the key before it goes on signing, and is published, everywhere.
func (s *scheduler) postponement() (Duty, bool) {
	var turn time.Time
	for i := s.signing + 1; i < len(s.records); i++ {
		r := &s.records[i]
		if at := r.CreatedAt.Add(leadFor(s.records[:i], s.policy)); s.usable(i) && (turn.IsZero() || at.Before(turn)) {
			turn = at
		}
	}
	for i := s.signing + 1; i < len(s.records); i++ {
		r := &s.records[i]
		if s.unusable[r.KID] != nil && !r.revoked() && r.ActivateAt.After(s.now) && r.ActivateAt.Before(turn) {
			return Duty{Kind: Postpone, KID: r.KID, ActivateAt: turn}, true
		}
	}
	return Duty{}, false
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

// promised is the lead that every key newer than all of records keeps. Only the
// newest record's promise counts: an older one may be archived by the time that
// the next key is made.
func promised(records []Record, p Policy) time.Duration {
	if n := len(records); n > 0 && records[n-1].Lead > 0 {
		return records[n-1].Lead
	}
	return p.Lead
}

func (s *scheduler) promotionDue() (Duty, bool) {
	if s.current < 0 || s.signing <= s.current || !s.records[s.current].revoked() {
		return Duty{}, false
	}
	next := &s.records[s.signing]
	at := promotion(&s.records[s.current], next)
	if !at.Before(next.ActivateAt) {
		return Duty{}, false
	}
	return Duty{Kind: PromoteStandby, KID: next.KID, ActivateAt: at}, true
}

// upkeep lists what one key needs. A private half is erased one poll and the
// clock skew after the key retired, when every replica has heard of the turn and
// its time has come on every clock, and at once when the key was revoked (K4). A key is archived only when it has expired by the slowest clock
// too, since the record of an archived key is gone for everybody, and when no copy
// of the key set can be in force any more that was handed out on its promise. The key with the
// highest Seq is never archived: it holds the place of the next number.
func (s *scheduler) upkeep(i int, k *KeyView) []Duty {
	if i == s.signing || k.State == Standby {
		if s.usable(i) && (k.TokenTTL < s.policy.TokenTTL || k.Margin < s.policy.margin()) {
			return []Duty{{Kind: Raise, KID: k.KID}}
		}
		return nil
	}
	if k.RetireAt.IsZero() {
		return nil
	}
	if len(k.Sealed) > 0 && (k.State == Revoked || !s.now.Before(k.RetireAt.Add(s.policy.Poll+s.policy.Skew))) {
		return []Duty{{Kind: Erase, KID: k.KID}}
	}
	over := later(k.ExpireAt, k.RetireAt.Add(k.Lead)).Add(s.policy.Skew)
	if len(k.Sealed) == 0 && i < len(s.records)-1 && !s.now.Before(over) {
		return []Duty{{Kind: Archive, KID: k.KID}}
	}
	return nil
}
