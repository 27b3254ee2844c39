package keys

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// Whatever any replica signs with, every set that is still cached holds.
func TestK1_KeySignsOnlyOnceEveryCacheHoldsIt(t *testing.T) {
	simulate(t, true, true, func(s *simulation) {
		for _, r := range s.replicas {
			active, err := r.ring.Active()
			if err != nil || s.emergency[active.KID] {
				continue
			}
			if r.ring.TokenTTL() <= s.policy.Skew && s.now.Sub(r.polled) > s.policy.Poll {
				// It lost the store so long ago that no token it signs lives.
				continue
			}
			for _, c := range s.caches {
				if s.now.Before(c.until) && !c.kids[active.KID] {
					// A key that was revoked since can still be the active
					// one where the store could not be read.
					if _, gone := s.revoked[active.KID]; !gone {
						s.t.Fatalf("key %s signs, and a set cached until %v lacks it", active.KID, c.until)
					}
				}
			}
		}
	})
}

func TestK1_PublishLead(t *testing.T) {
	simulate(t, true, true, func(s *simulation) {
		for _, r := range s.store.records {
			if first := r.Seq == 0; !first && !s.emergency[r.KID] && r.ActivateAt.Sub(r.CreatedAt) < s.policy.Lead {
				s.t.Fatalf("key %d signs %v after it was published; the lead is %v", r.Seq, r.ActivateAt.Sub(r.CreatedAt), s.policy.Lead)
			}
		}
	})
}

// The first key of a store and an emergency are the two exceptions, and the
// event says so.
func TestK1_EmergencyIsRecorded(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	standby := w.store.records[1].KID
	b := newReplica(t, w.store, w.sealer, testPolicy(), &w.now)
	b.poll(t)
	w.pass(t, time.Minute)
	if err := w.Revoke(t.Context(), w.active(t), "stolen"); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*replica{w.replica, b} {
		r.poll(t)
		last := r.log.events[len(r.log.events)-1]
		if last.Action != audit.KeyActivated || last.KeyID != standby || last.Detail != "emergency" {
			t.Errorf("recorded %+v", last)
		}
	}
}

func TestK1_LostStoreShortensTheCacheLife(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	p := w.policy
	complete := start.Add(p.Lead - p.Skew)
	for _, c := range []struct{ at, want time.Duration }{
		{0, p.MaxAge},
		{p.Lead - p.Skew - p.MaxAge, p.MaxAge},
		{p.Lead - p.Skew - time.Minute, time.Minute},
		{p.Lead - p.Skew, 0},
		{24 * time.Hour, 0},
	} {
		if got := w.ring.Published().MaxAge(start.Add(c.at)); got != c.want {
			t.Errorf("after %v: max-age %v, want %v (complete until %v)", c.at, got, c.want, complete)
		}
	}
}

// A standby that never signed is published at every moment, turns included.
func TestK2_ThereIsAlwaysAPublishedStandby(t *testing.T) {
	simulate(t, true, true, func(s *simulation) {
		if !s.settled() {
			return
		}
		for _, r := range s.replicas {
			snap := r.ring.current()
			if snap == nil {
				continue
			}
			signing, _ := snap.view.Signing()
			found := false
			for _, k := range snap.view.Keys {
				found = found || k.State == Standby && k.Seq > signing.Seq && k.Published && snap.verifiers[k.KID] != nil
			}
			if !found {
				s.t.Fatalf("no standby at %v beside key %d", r.clock(), signing.Seq)
			}
		}
	})
}

// A command that dies half way leaves one standby too many, never one too few.
func TestK2_NextStandbyIsMadeFirst(t *testing.T) {
	for name, command := range map[string]func(*world) error{
		"rotate": func(w *world) error { _, err := w.Rotate(t.Context()); return err },
		"revoke": func(w *world) error { return w.Revoke(t.Context(), w.active(t), "stolen") },
	} {
		w := newWorld(t)
		w.poll(t)
		w.pass(t, 20*time.Minute)
		before := append([]Record(nil), w.store.records...)
		writes := 0
		w.store.onWrite = func() { writes++; w.store.readOnly = writes == 2 }
		if err := command(w); !errors.Is(err, errDown) {
			t.Fatalf("%s: %v", name, err)
		}
		if len(w.store.records) != 3 || !reflect.DeepEqual(w.store.records[:2], before) {
			t.Errorf("%s: the first write was not the new standby", name)
		}
	}
}

func TestK3_KeyIsPublishedWhileItsTokensLive(t *testing.T) {
	simulate(t, true, true, func(s *simulation) {
		for _, token := range s.signed {
			if _, gone := s.revoked[token.kid]; gone {
				continue
			}
			expiry := token.expiry
			if token.behind {
				// The signer counts from its own clock when the key may have
				// been turned by another's.
				expiry = expiry.Add(-s.policy.Skew)
			}
			for _, r := range s.replicas {
				heard := r.polled.After(s.store.get(token.kid).CreatedAt)
				if !heard || !r.clock().Before(expiry) {
					continue
				}
				if _, _, err := r.ring.Verify(token.compact, "at+jwt"); err != nil {
					s.t.Fatalf("a token that expires at %v is refused at %v: %v", token.expiry, r.clock(), err)
				}
			}
		}
	})
}

func TestK3_LostStoreShortensTheLifeOfTokens(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	p := w.policy
	w.store.down = true
	for _, c := range []struct{ at, want time.Duration }{
		{p.Poll + p.Skew, p.TokenTTL},
		{p.Poll + p.Skew + time.Minute, p.TokenTTL - time.Minute},
		{p.Poll + p.Skew + p.TokenTTL, 0},
		{30 * time.Hour, 0},
	} {
		w.now = start.Add(c.at)
		if got := w.ring.TokenTTL(); got != c.want {
			t.Errorf("after %v: tokens may live %v, want %v", c.at, got, c.want)
		}
	}
}

func TestK3_KeyIsPublishedNoLongerThanNeeded(t *testing.T) {
	simulate(t, true, true, func(s *simulation) {
		for _, r := range s.replicas {
			if r.polled.Before(s.now.Add(-s.policy.Poll)) || s.now.Sub(s.upSince) < s.policy.Poll {
				continue
			}
			set := published(r.ring)
			if snap := r.ring.current(); snap != nil && len(set) == 0 {
				s.t.Fatal("the set is empty")
			}
			for i, k := range s.store.records {
				stopped := time.Time{}
				for _, next := range s.store.records[i+1:] {
					if stopped.IsZero() && (next.RevokedAt.IsZero() || next.RevokedAt.After(next.ActivateAt)) {
						stopped = next.ActivateAt
					}
				}
				limit := stopped.Add(k.TokenTTL + s.policy.Skew + s.policy.Poll)
				if !stopped.IsZero() && set[k.KID] && !r.clock().Before(limit) && s.turnKnown() {
					s.t.Fatalf("key %d stopped at %v and is still published at %v", k.Seq, stopped, r.clock())
				}
			}
		}
	})
}

// turnKnown says that every turn made by hand is a poll old.
func (s *simulation) turnKnown() bool {
	for _, times := range []map[string]time.Time{s.turned, s.revoked} {
		for _, at := range times {
			if s.now.Sub(at) <= s.policy.Poll {
				return false
			}
		}
	}
	return true
}

func TestK4_PrivateHalfIsErased(t *testing.T) {
	simulate(t, true, true, func(s *simulation) {
		if !s.settled() {
			return
		}
		for _, k := range NewView(s.store.records, s.policy, s.now.Add(-2*s.policy.Poll)).Keys {
			late := k.RetireAt.Add(s.policy.Poll + s.policy.Skew)
			if !k.RetireAt.IsZero() && s.now.Add(-2*s.policy.Poll).After(late) && len(s.store.get(k.KID).Sealed) > 0 {
				s.t.Fatalf("key %d retired at %v and its private half is there at %v", k.Seq, k.RetireAt, s.now)
			}
		}
	})
}

func TestK4_ErasureIsRecordedOnceAndMemoryForgets(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	first := w.active(t)
	b := newReplica(t, w.store, w.sealer, testPolicy(), &w.now)
	b.poll(t)
	w.pass(t, time.Hour+w.policy.Poll+w.policy.Skew)
	b.poll(t)
	if len(w.store.get(first).Sealed) > 0 {
		t.Fatal("not erased one poll and the skew after the turn")
	}
	for _, r := range []*replica{w.replica, b} {
		if r.book.material.signers[first] != nil {
			t.Error("the private half is still in memory")
		}
	}
	if n := w.log.count(audit.KeyErased, audit.Success) + b.log.count(audit.KeyErased, audit.Success); n != 1 {
		t.Errorf("%d erasures recorded", n)
	}
	w.pass(t, time.Hour)
	if !w.store.get(first).Archived || w.log.count(audit.KeyArchived, audit.Success) != 1 {
		t.Error("not archived once expired")
	}
}

// Replicas with the same records and the same time see the same, in whatever
// order the records come.
func TestK5_ViewIsAPureFunction(t *testing.T) {
	simulate(t, true, true, func(s *simulation) {
		before := append([]Record(nil), s.store.records...)
		a := NewView(s.store.records, s.policy, s.now)
		shuffled := append([]Record(nil), s.store.records...)
		for i := range shuffled {
			j := len(shuffled) - 1 - i
			if i < j {
				shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
			}
		}
		if b := NewView(shuffled, s.policy, s.now); !reflect.DeepEqual(a, b) {
			s.t.Fatalf("views differ:\n%+v\n%+v", a, b)
		}
		if !reflect.DeepEqual(before, s.store.records) {
			s.t.Fatal("a view changed the records")
		}
		if !a.Until.IsZero() {
			for _, at := range []time.Time{a.Since, a.Until.Add(-time.Millisecond)} {
				b := NewView(s.store.records, s.policy, at)
				a.Duties, b.Duties = nil, nil
				if !reflect.DeepEqual(a, b) {
					s.t.Fatalf("the view of %v does not hold at %v", s.now, at)
				}
			}
		}
	})
}

func TestK5_TurnHappensOnTimeInAnOutage(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	b := newReplica(t, w.store, w.sealer, testPolicy(), &w.now)
	b.poll(t)
	first, standby := w.store.records[0].KID, w.store.records[1]
	w.store.down = true
	for _, c := range []struct {
		at   time.Time
		want string
	}{{standby.ActivateAt.Add(-time.Millisecond), first}, {standby.ActivateAt, standby.KID}} {
		w.now = c.at
		for _, r := range []*replica{w.replica, b} {
			if err := r.Poll(t.Context()); !errors.Is(err, errDown) {
				t.Fatalf("Poll: %v", err)
			}
			if _, kid, err := r.ring.Sign("at+jwt", nil); err != nil || kid != c.want {
				t.Errorf("at %v signed by %s, %v; want %s", c.at, kid, err, c.want)
			}
		}
	}
}

// Its successor may have been revoked where this replica could not read it, and
// the key be signing on: only a read can tell that its time is over.
func TestK3_KeyStaysWhileAnOutageHidesItsFate(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	first, standby := w.store.records[0].KID, w.store.records[1]
	w.pass(t, time.Hour-time.Minute)
	w.store.down = true
	w.now = standby.ActivateAt.Add(w.policy.TokenTTL + w.policy.Poll + w.policy.Skew)
	if w.active(t) != standby.KID || !published(w.ring)[first] {
		t.Error("the key was dropped on hearsay")
	}
	w.store.down = false
	w.poll(t)
	if published(w.ring)[first] {
		t.Error("the key is still published after the read that confirmed its end")
	}
}
