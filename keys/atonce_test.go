package keys

import (
	"context"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Two operators act at once, by clocks that are apart by as much as clock_skew
// allows: one command reads the store, and between any two of its writes another
// is carried out whole. Whatever it is, K1 to K5 hold all along, and both
// revocations are answered (K6).
func TestK6_RevocationsAtOnceByClocksThatDifferKeepK1ToK5(t *testing.T) {
	vault := testMasters(t, 1).Vault()
	rapid.Check(t, func(rt *rapid.T) {
		s := newSimulation(rt, vault, func(*simulation) {})
		// Slow writes are another test's: with them a ring that turns every few
		// seconds never comes to rest.
		s.writeTime = 0
		s.advance(between(rt, "lived", s.policy.Poll, 3*s.policy.Interval))
		victim, err := s.replicas[0].ring.Active()
		if err != nil {
			rt.Fatal(err)
		}
		s.check = func(s *simulation) {
			everyCopyVerifies(s)
			leadIsKept(s)
			standbyIsPublished(s)
			tokensVerify(s)
			keysLeave(s)
			privateHalvesAreErased(s)
			revocationsAreAnswered(s)
		}
		for range 4 {
			s.sign()
		}
		gone := map[string]bool{victim.KID: true}
		other := rapid.SampledFrom([]string{"the same", "another", "a turn"}).Draw(rt, "the other command")
		second := victim.KID
		if list := s.store.records; other == "another" {
			second = list[len(list)-1-rapid.IntRange(0, min(len(list)-1, 3)).Draw(rt, "which")].KID
		}
		if s.store.get(second).Archived || s.store.get(victim.KID).Archived {
			return
		}
		meanwhile := func() {
			by := s.operator()
			s.changed = s.now
			if other == "a turn" {
				if turned, err := by.Rotate(context.Background(), ""); err == nil {
					s.turned[turned.KID] = s.now
				} else if !errors.Is(err, errTurnScheduled) {
					s.fatalf("Rotate: %v", err)
				}
				return
			}
			gone[second] = true
			s.revoked[second] = s.now
			if err := by.Revoke(context.Background(), second, "leaked"); err != nil && !errors.Is(err, errRevoked) {
				s.fatalf("the other Revoke: %v", err)
			}
		}
		at := rapid.IntRange(0, 8).Draw(rt, "before write")
		s.store.onWrite = func() {
			if s.writing {
				return
			}
			if at--; at == -1 {
				s.writing = true
				meanwhile()
				s.writing = false
			}
			s.duringWrite()
		}
		s.revoked[victim.KID] = s.now
		by := s.operator()
		if err := by.Revoke(context.Background(), victim.KID, "stolen"); err != nil && (!errors.Is(err, errRevoked) || second != victim.KID) {
			s.fatalf("Revoke: %v", err)
		}
		s.store.onWrite, s.changed = s.duringWrite, s.now
		s.observe()
		lead := s.policy.Lead
		for _, r := range s.store.records {
			lead = max(lead, r.Lead)
		}
		s.advance(s.policy.Poll + s.onePoll())
		for kid := range gone {
			for _, r := range s.replicas {
				if active, err := r.ring.Active(); published(r.ring)[kid] || err != nil || active.KID == kid {
					s.fatalf("key %d is published or signs a poll after it was revoked: %v", s.store.get(kid).Seq, err)
				}
			}
		}
		s.advance(s.policy.AnswerPause() + lead + s.policy.Poll + s.policy.Skew + s.onePoll())
		for kid := range gone {
			if len(s.store.get(kid).Sealed) > 0 {
				s.fatalf("K4: the private half of key %d is there", s.store.get(kid).Seq)
			}
			for held := range s.kept {
				if strings.Contains(held, kid) {
					s.fatalf("a copy that holds the revoked key %d knows every key that has signed since", s.store.get(kid).Seq)
				}
			}
		}
		s.advance(s.policy.Interval)
	})
}
