package storetest

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/store"
)

func (s *suite) sweep() []test {
	return []test{
		{"removes what has expired and nothing else", s.sweepExpired},
		{"A3_leaves a session that owes an event", s.sweepOwing},
		{"respects its limit", s.sweepLimit},
		{"removes spent proofs that have expired", s.sweepProofs},
		{"by several replicas at once", s.sweepRace},
	}
}

// litter stores n families, denied tokens and counters each that have expired
// at now.
func litter(t *testing.T, st store.Store, now time.Time, n int) {
	t.Helper()
	ctx := t.Context()
	past := now.Add(-time.Minute)
	for i := range n {
		f := sampleFamily(1000 + i)
		f.PurgeAt = past
		create(t, st, f)
		ok(t, st.DenyToken(ctx, deniedUntil(fmt.Sprintf("old-%d", i), past)))
		_, err := st.AddCount(ctx, fmt.Sprintf("old-%d", i), 1, past)
		ok(t, err)
	}
}

// left returns how many families and denied tokens are stored.
func left(t *testing.T, st store.Store) (families, tokens int) {
	t.Helper()
	f, err := st.AllFamilies(t.Context(), "", 1000)
	ok(t, err)
	d, err := st.DeniedTokens(t.Context(), "", 1000)
	ok(t, err)
	return len(f), len(d)
}

func (s *suite) sweepExpired(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	now := epoch.Add(24 * time.Hour)
	soon := now.Add(time.Millisecond)
	live := sampleFamily(1)
	live.PurgeAt = soon
	ended := sampleFamily(2) // ended and expired, but not yet to be removed
	ended.RevokedAt, ended.ExpiresAt, ended.IdleExpiresAt, ended.PurgeAt = epoch, epoch, epoch, soon
	create(t, st, live)
	create(t, st, ended)
	ok(t, st.DenyToken(ctx, deniedUntil("live", soon)))
	_, err := st.AddCount(ctx, "live", 4, soon)
	ok(t, err)
	ok(t, st.CreateUser(ctx, sampleUser(1)))
	ok(t, st.CreateClient(ctx, sampleClient("web")))
	ok(t, st.CreateKey(ctx, sampleKey(0)))
	ok(t, st.SetAnchor(ctx, sampleAnchor("c", 1)))
	litter(t, st, now, 3)

	n, err := st.Sweep(ctx, now, 100)
	ok(t, err)
	if n != 9 {
		t.Errorf("%d records removed; want 9", n)
	}
	same(t, "the live family", familyByID(t, st, live.ID), live)
	same(t, "the ended family", familyByID(t, st, ended.ID), ended)
	if f, d := left(t, st); f != 2 || d != 1 {
		t.Errorf("%d families and %d denied tokens are left; want 2 and 1", f, d)
	}
	if !denied(t, st, "live") || denied(t, st, "old-0") {
		t.Error("the wrong tokens are denied")
	}
	counts, err := st.Counts(ctx, []string{"live", "old-0", "old-1", "old-2"})
	ok(t, err)
	same(t, "counters", counts, []int64{4, 0, 0, 0})
	same(t, "the account", userByID(t, st, uid(1)), sampleUser(1))
	same(t, "the client", clientByID(t, st, "web"), sampleClient("web"))
	if len(allKeys(t, st)) != 1 || len(allAnchors(t, st)) != 1 {
		t.Error("a key or an anchor was removed")
	}
}

// sweepOwing sweeps an expired session before and after the event of its end is
// written.
func (s *suite) sweepOwing(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	f := sampleFamily(1)
	f.PurgeAt, f.RevokedAt, f.RevokeReason, f.TellEnd, f.Held = epoch, epoch, "logout", false, held(0, false)
	create(t, st, f)
	for _, want := range []int{0, 1} {
		if n, err := st.Sweep(ctx, epoch, 100); n != want || err != nil {
			t.Errorf("%d were swept (%v); want %d", n, err, want)
		}
		if want == 0 {
			done := f
			done.SlotID, done.Slot = "", nil
			ok(t, st.HoldFamily(ctx, f, done))
		}
	}
}

func (s *suite) sweepLimit(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	litter(t, st, epoch, 5)
	for i, want := range []struct{ removed, families, tokens int }{{6, 3, 3}, {6, 1, 1}, {3, 0, 0}, {0, 0, 0}} {
		n, err := st.Sweep(ctx, epoch, 2)
		ok(t, err)
		f, d := left(t, st)
		if n != want.removed || f != want.families || d != want.tokens {
			t.Errorf("sweep %d removed %d and left %d families, %d tokens; want %+v", i, n, f, d, want)
		}
	}
}

// sweepProofs has a proof that lasts longer than one made after it. Their IDs are as
// package dpop makes them.
func (s *suite) sweepProofs(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	proofs := []string{"dpop 6b0a1000 A", "dpop 6b0a1001 B", "dpop 6b0a1002 C"}
	for i, at := range []time.Time{epoch, epoch.Add(time.Millisecond), epoch.Add(-time.Hour)} {
		ok(t, st.DenyToken(ctx, deniedUntil(proofs[i], at)))
	}
	for _, want := range []int{2, 0} {
		if n, err := st.Sweep(ctx, epoch, 100); n != want || err != nil {
			t.Errorf("%d were swept (%v); want %d", n, err, want)
		}
	}
	if denied(t, st, proofs[0]) || !denied(t, st, proofs[1]) || denied(t, st, proofs[2]) {
		t.Error("the wrong proofs count as spent")
	}
}

func (s *suite) sweepRace(t *testing.T) {
	stores, ctx := s.replicas(t, 3), t.Context()
	litter(t, stores[0], epoch, 10)
	var removed atomic.Int64
	race(6, func(i int) {
		n, err := stores[i%3].Sweep(ctx, epoch, 100)
		if err != nil {
			t.Errorf("sweeping: %v", err)
		}
		removed.Add(int64(n))
	})
	if f, d := left(t, stores[0]); f != 0 || d != 0 {
		t.Errorf("%d families and %d denied tokens are left", f, d)
	}
	if n := removed.Load(); n != 30 && !s.factory.LosesUpdates {
		t.Errorf("%d removals were counted; want 30", n)
	}
}
