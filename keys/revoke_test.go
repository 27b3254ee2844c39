package keys

import (
	"context"
	"errors"
	"slices"
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
		standby, ok := nextStandby(snap.view, mainRing, snap.book.material)
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

// Whichever key was revoked, a verifier that fetches only for an unknown kid has
// forgotten it as soon as K1 lets a new key sign, as long as it meets a token of
// every key: nobody who fetched the set while it held the revoked key has the kid of
// the second turn. Further revocations wait for their answer as long as the pause.
func TestK6_SecondTurnReachesVerifiersThatFetchForUnknownKids(t *testing.T) {
	vault := testMasters(t, 1).Vault()
	rapid.Check(t, func(rt *rapid.T) {
		s, victim := lived(rt, vault)
		if list := s.store.records; rapid.Bool().Draw(rt, "another key") {
			victim.KID = list[rapid.IntRange(0, len(list)-1).Draw(rt, "which")].KID
		}
		if s.store.get(victim.KID).Archived {
			return
		}
		s.steal(victim.KID)
		lead := s.policy.Lead
		for _, r := range s.store.records {
			lead = max(lead, r.Lead)
		}
		for range rapid.IntRange(-2, 3).Draw(rt, "revocations more") {
			list := slices.DeleteFunc(slices.Clone(s.store.records), func(r Record) bool { return r.revoked() || r.Archived })
			kid := list[rapid.IntRange(0, len(list)-1).Draw(rt, "which more")].KID
			s.advance(between(rt, "pass", time.Millisecond, s.policy.AnswerPause()))
			err := s.operator().Revoke(context.Background(), kid, "stolen")
			if err != nil && !errors.Is(err, ErrNoKey) { // it has been archived
				s.fatalf("Revoke: %v", err)
			}
			if err == nil {
				s.revoked[kid] = s.now
			}
		}
		pause := s.policy.AnswerPause()
		if len(s.revoked) == 1 {
			pause = 0
		}
		// The key is made by the command or, if that dies, within a poll.
		s.advance(pause + lead + s.policy.Poll + s.policy.Skew + s.onePoll())
		for held := range s.kept {
			for kid := range s.revoked {
				if strings.Contains(held, kid) {
					s.fatalf("a copy that holds the revoked key %d knows every key that has signed since", s.store.get(kid).Seq)
				}
			}
		}
	})
}

// TestK6_ManyRevocationsPublishFewKeys revokes the key that signs, or the next, at every
// poll of a lead. In each ring the answers to come are nine at most, beside the
// schedule's own standby and one that was made ahead.
func TestK6_ManyRevocationsPublishFewKeys(t *testing.T) {
	w := newWorld(t)
	w.policy.Algs = []string{ES256, Ed25519}
	w.poll(t)
	w.pass(t, w.policy.Lead+w.policy.Poll)
	most := 0
	for n := range int(w.policy.Lead / w.policy.Poll) {
		kid := w.active(t)
		if view := w.ring.current(); n%2 > 0 {
			next, _ := nextStandby(view.view, mainRing, view.book.material)
			kid = next.KID
		}
		if err := w.Revoke(t.Context(), kid, "stolen"); err != nil {
			t.Fatal(err)
		}
		w.pass(t, w.policy.Poll)
		standbys := map[int]int{}
		for _, k := range w.ring.current().view.Keys {
			if k.State == Standby {
				standbys[k.ring()]++
			}
		}
		for ring, n := range standbys {
			if most = max(most, n); n < 1 || n > 9+2 {
				t.Fatalf("ring %d has %d standbys", ring, n)
			}
		}
	}
	t.Logf("at most %d standbys in a ring", most)
	w.pass(t, 2*w.policy.Lead+w.policy.TokenTTL+w.policy.margin()+w.policy.Poll)
	if n := len(w.ring.Published().Keys); n > 6 {
		t.Errorf("%d keys are published when all is over", n)
	}
}

// Mishaps put the second turn off, but never for good: it is due as long as the
// records say that a key was revoked and none answers it (K5).
func TestK6_SecondTurnOutlivesMishaps(t *testing.T) { simulate(t, revocationsAreAnswered) }

func revocationsAreAnswered(s *simulation) {
	if !s.settled() {
		return
	}
	records := s.store.records
	// A ring that has just got an answer waits before it gets another.
	pause := max(s.policy.AnswerPause(), s.older.AnswerPause()) + s.leastSkew + 2*max(s.policy.Poll, s.older.Poll) + s.onePoll()
	pausing := slices.ContainsFunc(records, func(r Record) bool { return !r.Answers.IsZero() && s.now.Before(r.CreatedAt.Add(pause)) })
	for _, gone := range records {
		if gone.RevokedAt.IsZero() || gone.Archived || pausing {
			continue
		}
		answered := slices.ContainsFunc(records, func(r Record) bool {
			return r.CreatedAt.After(gone.RevokedAt.Add(-s.leastSkew)) && !r.Answers.Before(gone.RevokedAt)
		})
		if !answered {
			s.fatalf("nothing answers the revocation of key %d", gone.Seq)
		}
	}
}

// The key of the second turn is made after the revocation, and signs before the
// standby that was made ahead of it.
func TestK6_SecondTurn(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	w.pass(t, 5*time.Minute)
	stolen, standby := w.active(t), w.store.records[1].KID
	if err := w.Revoke(t.Context(), stolen, "stolen"); err != nil {
		t.Fatal(err)
	}
	revoked := w.now
	w.poll(t)
	if len(w.store.records) != 4 || w.active(t) != standby {
		t.Fatalf("%d keys after the revocation", len(w.store.records))
	}
	ahead, second := w.store.records[2], w.store.records[3]
	if want := revoked.Add(w.policy.Lead); !second.ActivateAt.Equal(want) || !second.Answers.Equal(revoked) || !ahead.Answers.IsZero() {
		t.Errorf("the second turn is at %v, want %v; it answers %v", second.ActivateAt, want, second.Answers)
	}
	created := w.log.events[len(w.log.events)-2]
	if last := w.log.events[len(w.log.events)-3:]; !slices.ContainsFunc(last, func(e audit.Event) bool {
		return e.Action == audit.KeyCreated && e.KeyID == second.KID && strings.HasPrefix(e.Detail, "a key was revoked")
	}) {
		t.Errorf("recorded %+v", created)
	}
	w.pass(t, w.policy.Lead)
	if w.active(t) != second.KID {
		t.Error("the second turn did not come")
	}
	w.pass(t, time.Hour)
	if w.active(t) == ahead.KID || w.active(t) == second.KID {
		t.Error("the schedule did not go on after the second turn")
	}
	w.pass(t, 3*time.Hour)
	if n := w.log.count(audit.KeyCreated, audit.Success); n > 9 {
		t.Errorf("%d keys were made; the answer was given again and again", n)
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
	w.pass(t, w.policy.Lead-w.policy.Poll)
	if _, _, err := w.ring.Verify(token, "at+jwt"); w.active(t) != signing || err != nil {
		t.Error("the signing key was disturbed")
	}
	w.pass(t, time.Hour)
	for _, next := range w.store.records[2:] {
		if next.ActivateAt.Before(next.CreatedAt.Add(w.policy.Lead)) || w.active(t) == standby.KID {
			t.Error("the revoked standby's turn was not passed on in order")
		}
	}
}

// TestK6_RotateNamesWhoSignsNext after a revocation, which is the key that answers it
// and not the standby that was made before.
func TestK6_RotateNamesWhoSignsNext(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	w.pass(t, w.policy.Lead+w.policy.Poll)
	if err := w.Revoke(t.Context(), w.active(t), "leaked"); err != nil {
		t.Fatal(err)
	}
	w.poll(t)
	_, err := w.Rotate(t.Context(), "")
	if !errors.Is(err, errTurnScheduled) {
		t.Fatalf("a turn before the answer's: %v", err)
	}
	w.pass(t, w.policy.Lead+w.policy.Poll)
	if signing := w.active(t); !strings.Contains(err.Error(), signing) {
		t.Errorf("%v; but %s signs", err, signing)
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

// repeated is a store that is asked twice to revoke a key, as it is where an answer
// is lost and no number tells a repetition from another write. Meanwhile it is done.
type repeated struct {
	*fakeStore
	meanwhile func()
}

func (s *repeated) UpdateKey(ctx context.Context, r Record) error {
	err := s.fakeStore.UpdateKey(ctx, r)
	if next := s.meanwhile; err == nil && next != nil && r.revoked() {
		s.meanwhile = nil
		next()
		return s.fakeStore.UpdateKey(ctx, r)
	}
	return err
}

// TestK6_ARevocationThatIsRepeatedIsNoOther has another replica erase the key before
// the repetition, for which it tells the event: that is this call's own all the same.
func TestK6_ARevocationThatIsRepeatedIsNoOther(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	w.pass(t, time.Minute)
	kid := w.active(t)
	other := newReplica(t, w.store, w.vault, testPolicy(), &w.now)
	w.Keeper.store = &repeated{w.store, func() { other.poll(t) }}
	if err := w.Revoke(t.Context(), kid, "stolen"); err != nil {
		t.Errorf("Revoke: %v", err)
	}
	if n := w.log.count(audit.KeyRevoked, audit.Failure) + other.log.count(audit.KeyRevoked, audit.Failure); n != 0 {
		t.Errorf("%d failures are recorded", n)
	}
	if n := w.log.count(audit.KeyRevoked, audit.Success) + other.log.count(audit.KeyRevoked, audit.Success); n != 1 {
		t.Errorf("%d revocations are recorded", n)
	}
	if r := w.store.get(kid); len(r.Sealed) > 0 || !r.Decision.Free() {
		t.Errorf("the other replica has done nothing: %+v", r)
	}
	if err := w.Revoke(t.Context(), kid, "stolen"); !errors.Is(err, errRevoked) {
		t.Errorf("once more: %v", err)
	}
}
