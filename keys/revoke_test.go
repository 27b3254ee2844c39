package keys

import (
	"context"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestK6_RevokedKeyIsDeadWithinOnePoll(t *testing.T) {
	vault := testMasters(t, 1).Vault()
	rapid.Check(t, func(rt *rapid.T) {
		s := newSimulation(rt, vault, func(*simulation) {})
		s.run(false)
		// Every replica has heard of every key.
		s.advance(s.policy.Poll)
		victim, err := s.replicas[0].ring.Active()
		if err != nil {
			rt.Fatal(err)
		}
		snap := s.replicas[0].ring.current()
		standby, ok := nextStandby(snap.view, snap.book.material)
		if !ok {
			rt.Fatal("no standby")
		}
		for range 4 {
			s.sign()
		}
		if err := s.operator().Revoke(context.Background(), victim.KID, "stolen"); err != nil {
			rt.Fatalf("Revoke: %v", err)
		}
		s.revoked[victim.KID] = s.now
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
				if token.kid == victim.KID && !errors.Is(err, ErrUnknownKey) {
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
