package keys

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyturn/keyturn/internal/audit"
)

// lived returns a simulation that has run for a while without mishaps, and the key
// that signs. Every replica has heard of every key.
func lived(t *rapid.T, vault Vault) (*simulation, Info) {
	s := newSimulation(t, vault, func(*simulation) {})
	s.run(false)
	s.advance(s.policy.Poll)
	active, err := s.replicas[0].ring.Active()
	if err != nil {
		t.Fatal(err)
	}
	return s, active
}

// steal has an operator revoke a key that was stolen.
func (s *simulation) steal(kid string) {
	if err := s.operator().Revoke(context.Background(), kid, "stolen"); err != nil {
		s.t.Fatalf("Revoke: %v", err)
	}
	s.revoked[kid] = s.now
}

func TestK6_RevokedKeyIsDeadWithinOnePoll(t *testing.T) {
	vault := testMasters(t, 1).Vault()
	rapid.Check(t, func(rt *rapid.T) {
		s, victim := lived(rt, vault)
		snap := s.replicas[0].ring.current()
		standby, ok := nextStandby(snap.view, snap.book.material)
		if !ok {
			rt.Fatal("no standby")
		}
		for range 4 {
			s.sign()
		}
		s.steal(victim.KID)
		s.advance(s.policy.Poll)
		for _, r := range s.replicas {
			if published(r.ring)[victim.KID] {
				rt.Fatal("a revoked key is still published")
			}
			// By the clock that the operator's command went by, or by this
			// replica's, the key's turn may not have come; then the one
			// before it signs on.
			early := !s.store.get(victim.KID).RevokedAt.After(victim.ActivateAt) || r.clock().Before(victim.ActivateAt)
			if active, err := r.ring.Active(); err != nil || active.Seq < standby.Seq && !early {
				rt.Fatalf("key %d signs, %v", active.Seq, err)
			}
			set := published(r.ring)
			for _, token := range s.signed {
				_, _, err := r.ring.Verify(token.compact, "at+jwt")
				if token.kid == victim.KID && !errors.Is(err, errUnknownKey) {
					rt.Fatalf("its token is alive: %v", err)
				}
				if token.kid != victim.KID && set[token.kid] != (err == nil) {
					rt.Fatalf("another key's token: %v", err)
				}
			}
		}
		if r := s.store.get(victim.KID); len(r.Sealed) > 0 {
			rt.Fatal("K4: its private half is still there")
		}
	})
}

// From the revocation on, a copy that holds the key lives for at most one poll and
// the max-age, and one may live for so long: the formula in the documentation, to
// which a store that answers slowly adds the time of a poll's own calls.
func TestK6_WorstCaseExposure(t *testing.T) {
	vault := testMasters(t, 1).Vault()
	rapid.Check(t, func(rt *rapid.T) {
		s, victim := lived(rt, vault)
		s.steal(victim.KID)
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

func TestK6_RevokedStandbyDisturbsNobody(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	signing, standby := w.active(t), w.store.records[1]
	token, _, _ := w.ring.Sign("at+jwt", []byte("{}"))
	if err := w.Revoke(t.Context(), standby.KID, "leaked"); err != nil {
		t.Fatal(err)
	}
	w.poll(t)
	w.pass(t, 30*time.Minute)
	if _, _, err := w.ring.Verify(token, "at+jwt"); w.active(t) != signing || err != nil {
		t.Error("the signing key was disturbed")
	}
	w.now = standby.ActivateAt
	next := w.store.records[2]
	if w.poll(t); next.ActivateAt.Before(next.CreatedAt.Add(w.policy.Lead)) || w.active(t) == standby.KID {
		t.Error("the revoked standby's turn was not passed on in order")
	}
}

// The store made the revocation, and its answer was lost: the key is revoked, and the
// log says so.
func TestRevocationWhoseAnswerIsLostIsRecorded(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	w.pass(t, time.Minute)
	kid := w.active(t)
	writes := 0
	w.store.onWrite = func() {
		writes++
		w.store.lost = writes == 2 // the first makes the next standby
	}
	if err := w.Revoke(t.Context(), kid, "stolen"); err != nil {
		t.Errorf("Revoke: %v", err)
	}
	if got := [2]int{w.log.count(audit.KeyRevoked, audit.Success), w.log.count(audit.KeyRevoked, audit.Failure)}; got != [2]int{1, 0} {
		t.Errorf("recorded %v successes and failures", got)
	}
	if w.poll(t); published(w.ring)[kid] || w.store.get(kid).RevokedAt.IsZero() {
		t.Error("the key is not revoked")
	}
}
