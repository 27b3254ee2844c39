package keys

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// Whatever any replica may have signed and is valid still, every copy of a key set
// that is still in force verifies, and so does every copy that could be fetched now.
func TestK1_KeySignsOnlyOnceEveryCacheHoldsIt(t *testing.T) { simulate(t, everyCopyVerifies) }

func everyCopyVerifies(s *simulation) {
	for _, kid := range s.live() {
		for held, until := range s.copies {
			if !strings.Contains(held, kid) {
				s.fatalf("a token of key %d is live until %v, and a copy that lacks the key until %v (now %v)",
					s.store.get(kid).Seq, s.tokens[kid], until, s.now)
			}
		}
	}
}

func TestK1_PublishLead(t *testing.T) { simulate(t, leadIsKept) }

func leadIsKept(s *simulation) {
	for _, r := range s.store.records {
		if least := s.leastLead(r); !s.hurried(r.KID) && r.Seq%ringSpan > 0 && r.ActivateAt.Sub(r.CreatedAt) < least {
			s.fatalf("key %d signs %v after it was published; the lead is %v", r.Seq, r.ActivateAt.Sub(r.CreatedAt), least)
		}
	}
}

// The first key of a store and an emergency are the two exceptions, and the
// event says so.
func TestK1_EmergencyIsRecorded(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	standby := w.store.records[1].KID
	b := newReplica(t, w.store, w.vault, testPolicy(), &w.now)
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
	for _, c := range []struct{ at, want time.Duration }{
		{0, p.MaxAge},
		{p.Lead - p.Skew - p.MaxAge, p.MaxAge},
		{p.Lead - p.Skew - time.Minute, time.Minute},
		{p.Lead - p.Skew, 0},
		{24 * time.Hour, 0},
	} {
		w.now = start.Add(c.at)
		for _, w.offset = range []time.Duration{-time.Hour, 0, time.Hour} {
			if got := w.ring.Published().MaxAge; got != c.want {
				t.Errorf("after %v: max-age %v, want %v", c.at, got, c.want)
			}
		}
	}
}

// A standby that never signed is published at every moment, turns included.
func TestK2_ThereIsAlwaysAPublishedStandby(t *testing.T) { simulate(t, standbyIsPublished) }

func standbyIsPublished(s *simulation) {
	if !s.settled() {
		return
	}
	for _, r := range s.replicas {
		snap := r.ring.current()
		if snap == nil {
			continue
		}
		for _, ring := range snap.view.rings {
			signing, _ := snap.view.signingKey(ring.number)
			// The ring of what has become the default is on its way out.
			found := ring.number != mainRing && slices.Index(r.policy.Algs, r.policy.ringAlg(ring.number)) <= 0
			for _, k := range snap.view.Keys {
				found = found || k.ring() == ring.number && k.State == Standby && k.Seq >= signing.Seq && k.Published && snap.verifiers[k.KID] != nil
			}
			if !found {
				s.fatalf("no standby at %v beside key %d in ring %d", r.clock(), signing.Seq, ring.number)
			}
		}
	}
}

// A command that dies half way leaves one standby too many, never one too few.
func TestK2_NextStandbyIsMadeFirst(t *testing.T) {
	for name, command := range map[string]func(*world) error{
		"rotate": func(w *world) error { _, err := w.Rotate(t.Context(), ""); return err },
		"revoke": func(w *world) error { return w.Revoke(t.Context(), w.active(t), "stolen") },
	} {
		w := newWorld(t)
		w.poll(t)
		w.pass(t, 20*time.Minute)
		before := append([]Record(nil), w.store.records...)
		writes := 0
		w.store.onWrite = func() { writes++; w.store.readOnly = writes > 2 } // it is made, and its event written
		if err := command(w); !errors.Is(err, errDown) {
			t.Fatalf("%s: %v", name, err)
		}
		if len(w.store.records) != 3 || !reflect.DeepEqual(w.store.records[:2], before) {
			t.Errorf("%s: the first write was not the new standby", name)
		}
	}
}

// A token that was really signed is really verified, by Keyturn and by the copies
// that resource servers hold, until it expires.
func TestK3_KeyIsPublishedWhileItsTokensLive(t *testing.T) { simulate(t, tokensVerify) }

func tokensVerify(s *simulation) {
	s.signed = slices.DeleteFunc(s.signed, func(token signature) bool { return !s.now.Before(token.expiry) })
	live := s.live()
	for _, token := range s.signed {
		if !slices.Contains(live, token.kid) {
			continue
		}
		for _, r := range s.replicas {
			if !r.serving || r.ring.Published().MaxAge <= 0 {
				continue
			}
			if _, _, err := r.ring.Verify(token.compact, "at+jwt"); err != nil {
				s.fatalf("a token of key %d that expires at %v is refused at %v: %v", s.store.get(token.kid).Seq, token.expiry, s.now, err)
			}
		}
	}
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

func TestK3_KeyIsPublishedNoLongerThanNeeded(t *testing.T) { simulate(t, keysLeave) }

func keysLeave(s *simulation) {
	if !s.settled() {
		return
	}
	for _, r := range s.replicas {
		set := published(r.ring)
		if r.serving && len(set) == 0 {
			s.t.Fatal("the set is empty")
		}
		for _, k := range newView(s.store.records, r.policy, r.clock(), nil).Keys {
			// It may have seen the turn, by either clock, a poll and the
			// drift after its time.
			limit := k.ExpireAt.Add(2*r.policy.Poll + s.drift + s.onePoll())
			if !k.ExpireAt.IsZero() && set[k.KID] && r.clock().After(limit) {
				s.fatalf("key %d expired at %v and is still published at %v", k.Seq, k.ExpireAt, r.clock())
			}
		}
	}
}

func TestK4_PrivateHalfIsErased(t *testing.T) { simulate(t, privateHalvesAreErased) }

func privateHalvesAreErased(s *simulation) {
	if !s.settled() {
		return
	}
	for _, r := range s.replicas {
		// It has polled twice since the key retired, or since it began, and
		// since the time for erasing came.
		since := later(r.started, s.changed)
		for _, k := range newView(s.store.records, r.policy, s.now, nil).Keys {
			due := later(since, k.RetireAt).Add(4*r.policy.Poll + r.policy.Skew + s.onePoll())
			if !k.RetireAt.IsZero() && s.now.After(due) && len(s.store.get(k.KID).Sealed) > 0 {
				s.fatalf("key %d retired at %v and its private half is there at %v", k.Seq, k.RetireAt, s.now)
			}
		}
	}
}

func TestK4_ErasureIsRecordedOnceAndMemoryForgets(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	first := w.active(t)
	b := newReplica(t, w.store, w.vault, testPolicy(), &w.now)
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
func TestK5_ViewIsAPureFunction(t *testing.T) { simulate(t, viewIsPure) }

func viewIsPure(s *simulation) {
	before := append([]Record(nil), s.store.records...)
	a := newView(s.store.records, s.policy, s.now, nil)
	shuffled := append([]Record(nil), s.store.records...)
	for i := range shuffled {
		j := len(shuffled) - 1 - i
		if i < j {
			shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
		}
	}
	if b := newView(shuffled, s.policy, s.now, nil); !reflect.DeepEqual(a, b) {
		s.t.Fatalf("views differ:\n%+v\n%+v", a, b)
	}
	if !reflect.DeepEqual(before, s.store.records) {
		s.t.Fatal("a view changed the records")
	}
	if !a.Until.IsZero() {
		for _, at := range []time.Time{a.Since, a.Until.Add(-time.Millisecond)} {
			b := newView(s.store.records, s.policy, at, nil)
			a.Duties, b.Duties = nil, nil
			if !reflect.DeepEqual(a, b) {
				s.t.Fatalf("the view of %v does not hold at %v", s.now, at)
			}
		}
	}
}

func TestK5_TurnHappensOnTimeInAnOutage(t *testing.T) {
	w := newWorld(t)
	w.poll(t)
	b := newReplica(t, w.store, w.vault, testPolicy(), &w.now)
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
	w.now = standby.ActivateAt.Add(w.policy.TokenTTL + w.policy.margin())
	if w.active(t) != standby.KID || !published(w.ring)[first] {
		t.Error("the key was dropped on hearsay")
	}
	w.store.down = false
	w.poll(t)
	if published(w.ring)[first] {
		t.Error("the key is still published after the read that confirmed its end")
	}
}
