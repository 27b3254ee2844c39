package keys

import (
	"context"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// From the revocation on, a copy that holds the key lives for at most one poll and
// the max-age, and one may live for so long: the formula in the documentation, to
// which a store that answers slowly adds the time of a poll's own calls.
func TestK6_WorstCaseExposure(t *testing.T) {
	vault := testMasters(t, 1).Vault()
	rapid.Check(t, func(rt *rapid.T) {
		s := newSimulation(rt, vault, func(*simulation) {})
		s.run(false)
		s.advance(s.policy.Poll)
		victim, err := s.replicas[0].ring.Active()
		if err != nil {
			rt.Fatal(err)
		}
		if err := s.operator().Revoke(context.Background(), victim.KID, "stolen"); err != nil {
			rt.Fatalf("Revoke: %v", err)
		}
		s.revoked[victim.KID] = s.now
		s.writeTime, s.mishaps = 0, false
		over := s.now.Add(s.policy.Poll + s.policy.MaxAge)
		s.check = func(s *simulation) {
			for held, until := range s.copies {
				if strings.Contains(held, victim.KID) && until.After(over) {
					rt.Fatalf("a copy that holds the revoked key lives until %v; want %v at most", until, over)
				}
			}
		}
		s.advance(s.policy.Poll + s.policy.MaxAge)
		for held := range s.copies {
			if strings.Contains(held, victim.KID) {
				rt.Fatal("the revoked key is still held")
			}
		}
	})

	w := newWorld(t)
	w.poll(t)
	b := newReplica(t, w.store, w.vault, testPolicy(), &w.now)
	b.poll(t)
	w.now = w.now.Add(time.Millisecond)
	kid, revoked := w.active(t), w.now
	if err := w.Revoke(t.Context(), kid, "stolen"); err != nil {
		t.Fatal(err)
	}
	w.now = start.Add(w.policy.Poll) // the moment before the other polls
	if set := b.ring.Published(); !published(b.ring)[kid] || w.now.Add(set.MaxAge).Sub(revoked) != w.policy.Poll+w.policy.MaxAge-time.Millisecond {
		t.Errorf("the bound is not reached: max-age %v", set.MaxAge)
	}
	b.poll(t)
	if published(b.ring)[kid] {
		t.Error("the key is published after the poll")
	}
}

// A replica whose clock jumps by any amount takes no key from the others, and still
// publishes what it saw signing until the tokens are over; once the clock is right
// again, so is everything.
func TestK3_WildClockHarmsNobodyElse(t *testing.T) {
	for _, jump := range []time.Duration{2 * time.Hour, 90 * 24 * time.Hour, -2 * time.Hour, -90 * 24 * time.Hour} {
		w := newWorld(t)
		w.poll(t)
		wild := newReplica(t, w.store, w.vault, testPolicy(), &w.now)
		wild.poll(t)
		kid := w.active(t)
		token, _, err := w.ring.Sign("at+jwt", []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		wild.offset = jump
		for passed := time.Duration(0); passed < w.policy.TokenTTL; passed += w.policy.Poll {
			for _, r := range []*replica{wild, w.replica} {
				r.poll(t)
				if _, _, err := r.ring.Verify(token, "at+jwt"); err != nil {
					t.Fatalf("%v after a jump by %v: %v", passed, jump, err)
				}
				if _, _, err := r.ring.Sign("at+jwt", nil); err != nil {
					t.Fatalf("%v after a jump by %v: %v", passed, jump, err)
				}
			}
			w.now = w.now.Add(w.policy.Poll)
		}
		if r := w.store.get(kid); r.Archived {
			t.Errorf("a jump by %v archived a key whose tokens were live", jump)
		}
		wild.offset = 0
		wild.poll(t)
		if wild.mustActive(t) != w.mustActive(t) {
			t.Errorf("after a jump by %v and back the replicas disagree", jump)
		}
	}
}

// One poll by a wrong clock erases and archives nothing.
func TestK4_WildClockErasesNothingAtOnce(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	kid := w.active(t)
	wild := newReplica(t, w.store, w.vault, testPolicy(), &w.now)
	wild.offset = 90 * 24 * time.Hour
	wild.poll(t)
	wild.poll(t)
	if r := w.store.get(kid); len(r.Sealed) == 0 || r.Archived {
		t.Error("a process that has just started, with a wrong clock, took the signing key from the others")
	}
}
