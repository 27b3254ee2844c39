package keys

import (
	"slices"
	"time"
)

// sighting is what this process has observed of a retired key, by the clock that
// never jumps.
type sighting struct {
	// retired and erased are when the process first saw the key retired and
	// erased; erased is negative until then.
	retired, erased time.Duration
	// retireAt is when the key retired by its record.
	retireAt time.Time
	// lived says that the process saw the key before it retired too.
	lived bool
}

// sightings carries the observations of retired keys from the snapshot before
// over to s.
func (s *snapshot) sightings(before *snapshot, skew time.Duration) map[string]sighting {
	seen := make(map[string]sighting)
	for i := range s.view.Keys {
		k := &s.view.Keys[i]
		if k.State != Retired {
			continue
		}
		one, known := before.sighting(k.KID)
		if !known {
			one = sighting{retired: s.elapsed, erased: -1, retireAt: k.RetireAt, lived: before.held(k.KID)}
			if one.lived && !s.jumped(before, skew) {
				one.retired -= max(0, s.at.Sub(k.RetireAt))
			}
		}
		// A replica that was cut off may learn of an earlier turn.
		if k.RetireAt.Before(one.retireAt) {
			one.retired, one.retireAt = one.retired-one.retireAt.Sub(k.RetireAt), k.RetireAt
		}
		if one.erased < 0 && len(k.Sealed) == 0 {
			one.erased = s.elapsed
		}
		seen[k.KID] = one
	}
	return seen
}

// jumped reports whether the wall clock has jumped since before.
func (s *snapshot) jumped(before *snapshot, skew time.Duration) bool {
	return (s.at.Sub(before.at) - (s.elapsed - before.elapsed)).Abs() > skew
}

func (s *snapshot) sighting(kid string) (sighting, bool) {
	if s == nil {
		return sighting{}, false
	}
	seen, ok := s.seen[kid]
	return seen, ok
}

// held reports whether the key had not retired yet.
func (s *snapshot) held(kid string) bool {
	if s == nil {
		return false
	}
	for i := range s.view.Keys {
		if k := &s.view.Keys[i]; k.KID == kid {
			return k.State == Active || k.State == Standby
		}
	}
	return false
}

// outlives reports whether a token that the key signed during this process's life
// may still be valid, because the time for which the key stays published has not
// passed by the clock that never jumps. The wall clock may have jumped ahead
// (K3).
func (s sighting) outlives(k keyView, elapsed time.Duration) bool {
	return s.lived && elapsed < s.retired+k.ExpireAt.Sub(k.RetireAt)
}

// ripe reports whether a duty may be done now. What cannot be undone waits until
// its time has passed both by the wall clock and during this process's life, so
// that a replica whose clock is wrong or jumps takes no key from the others. A
// private half is erased one poll and the skew after the process saw the key
// retired. A key is archived when no token signed before the process saw it
// erased can be valid.
func (k *Keeper) ripe(d duty, v *view) bool {
	if d.Kind != erase && d.Kind != archive {
		return true
	}
	i := slices.IndexFunc(v.Keys, func(key keyView) bool { return key.KID == d.KID })
	key := &v.Keys[i]
	if key.State == Revoked {
		return true
	}
	if k.confirmed().Before(key.RetireAt) {
		return false // only the clock says that it retired (T1)
	}
	seen, ok := k.ring.snapshot.Load().sighting(d.KID)
	passed := k.elapsed()
	if d.Kind == erase {
		return ok && passed >= seen.retired+k.policy.Poll+k.policy.Skew
	}
	return ok && seen.erased >= 0 && passed >= seen.erased+key.ExpireAt.Sub(key.RetireAt)
}

// noteAbsence notes when the store was last read without a key that is new.
func (k *Keeper) noteAbsence(before, now book) {
	for kid := range k.absent {
		if find(now.records, kid) < 0 {
			delete(k.absent, kid)
		}
	}
	if len(before.records) == 0 {
		return
	}
	for i := range now.records {
		if r := &now.records[i]; find(before.records, r.KID) < 0 && !r.revoked() && r.CreatedAt.Add(k.policy.Skew).Before(before.readAt) {
			k.absent[r.KID] = before.readAt
		}
	}
}

// lateDuty puts off a standby that was not in the store yet when this replica
// read it, although its record claims an earlier time. Its writer was slow, and
// may have died before it could put the key off itself (K1).
func (k *Keeper) lateDuty(records []Record) (duty, bool) {
	now := k.clock()
	for i := range records {
		r := &records[i]
		absent, late := k.absent[r.KID]
		if late && !r.revoked() && r.ActivateAt.After(now) && r.CreatedAt.Add(k.policy.Skew).Before(absent) {
			return duty{Kind: putOff, KID: r.KID}, true
		}
	}
	return duty{}, false
}
