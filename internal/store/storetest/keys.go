package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/keys"
)

func (s *suite) keys() []test {
	return []test{
		{"every field comes back", s.keyRoundTrip},
		{"taken sequence number or kid", s.keyTaken},
		{"K5_of many that create one key one wins", s.keyTakenRace},
		{"K5_replicas that start at once on an empty store", s.keyReplicas},
		{"UpdateKey", s.keyUpdate},
		{"UpdateKey is won once per version", s.keyUpdateRace},
	}
}

func allKeys(t *testing.T, st store.Store) []keys.Record {
	t.Helper()
	list, err := st.Keys(t.Context())
	ok(t, err)
	return list
}

func (s *suite) keyRoundTrip(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	same(t, "an empty store", allKeys(t, st), nil)
	revoked := sampleKey(1)
	revoked.Sealed = nil
	revoked.RevokedAt, revoked.RevokeReason = epoch.Add(time.Hour), odd[0]
	revoked.Answers, revoked.EndAt = epoch.Add(time.Minute), epoch.Add(2*time.Minute)
	beside := sampleKey(2<<32 + 1)
	besideArchived := sampleKey(2 << 32)
	besideArchived.Archived = true
	bare := keys.Record{Seq: 2, KID: "bare"}
	archived := []keys.Record{sampleKey(0), sampleKey(3)}
	for i := range archived {
		archived[i].Archived = true
	}
	for _, r := range []keys.Record{archived[1], bare, sampleKey(10), revoked, archived[0], beside, besideArchived} {
		ok(t, st.CreateKey(ctx, r))
	}
	got := allKeys(t, st)
	same(t, "by Seq", got, []keys.Record{revoked, bare, sampleKey(10), beside})
	if len(got) == 4 && got[0].Sealed != nil {
		t.Errorf("an erased private half comes back as %v; want nil", got[0].Sealed)
	}
	old, err := st.ArchivedKeys(ctx)
	ok(t, err)
	same(t, "archived, by Seq", old, append(archived, besideArchived))
}

func (s *suite) keyTaken(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	ok(t, st.CreateKey(ctx, sampleKey(1)))
	seq, kid := sampleKey(2), sampleKey(2)
	seq.Seq = 1
	kid.KID = sampleKey(1).KID
	is(t, st.CreateKey(ctx, sampleKey(1)), keys.ErrKeyExists)
	is(t, st.CreateKey(ctx, seq), keys.ErrKeyExists)
	is(t, st.CreateKey(ctx, kid), keys.ErrKeyExists)
	same(t, "what is there", allKeys(t, st), []keys.Record{sampleKey(1)})

	gone := sampleKey(1)
	gone.Archived = true
	ok(t, st.UpdateKey(ctx, gone))
	is(t, st.CreateKey(ctx, seq), keys.ErrKeyExists) // archived ones count too
}

func (s *suite) keyTakenRace(t *testing.T) {
	stores, ctx := s.replicas(t, 4), t.Context()
	for seq := range int64(3) {
		var wins atomic.Int64
		race(20, func(i int) {
			r := sampleKey(seq)
			r.KID = fmt.Sprintf("kid-%d-%d", seq, i)
			switch err := stores[i%4].CreateKey(ctx, r); {
			case err == nil:
				wins.Add(1)
			case !errors.Is(err, keys.ErrKeyExists):
				t.Errorf("error is %v; want %v", err, keys.ErrKeyExists)
			}
		})
		if wins.Load() != 1 {
			t.Errorf("%d keys were created with one sequence number", wins.Load())
		}
	}
	for _, st := range stores {
		same(t, "every replica sees the same", allKeys(t, st), allKeys(t, stores[0]))
	}
	if n := len(allKeys(t, stores[0])); n != 3 {
		t.Errorf("%d keys; want 3", n)
	}
}

func (s *suite) keyUpdate(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	ok(t, st.CreateKey(ctx, sampleKey(0)))
	ok(t, st.CreateKey(ctx, sampleKey(1)))

	r := sampleKey(1)
	r.Public, r.Sealed = []byte(`{"kty":"OKP"}`), nil
	r.ActivateAt, r.TokenTTL, r.Margin, r.Lead = epoch.Add(time.Hour), 2*time.Hour, time.Hour, 3*time.Hour
	r.RevokedAt, r.RevokeReason = epoch.Add(2*time.Hour), "lost"
	ok(t, st.UpdateKey(ctx, r))
	stale := r // still says version 1
	r.Version = 2
	same(t, "after an update", allKeys(t, st), []keys.Record{sampleKey(0), r})

	stale.RevokeReason = "stale"
	is(t, st.UpdateKey(ctx, stale), keys.ErrConflict)
	stale.Version = 3
	is(t, st.UpdateKey(ctx, stale), keys.ErrConflict)
	is(t, st.UpdateKey(ctx, sampleKey(9)), keys.ErrNoKey)
	same(t, "after refused updates", allKeys(t, st), []keys.Record{sampleKey(0), r})

	r.Archived = true
	ok(t, st.UpdateKey(ctx, r))
	r.Version = 3
	same(t, "after archiving", allKeys(t, st), []keys.Record{sampleKey(0)})
	old, err := st.ArchivedKeys(ctx)
	ok(t, err)
	same(t, "archived", old, []keys.Record{r})
}

func (s *suite) keyUpdateRace(t *testing.T) {
	stores, ctx := s.replicas(t, 2), t.Context()
	ok(t, stores[0].CreateKey(ctx, sampleKey(0)))
	var wins atomic.Int64
	race(50, func(i int) {
		r := sampleKey(0)
		r.TokenTTL += time.Duration(i) * time.Second
		switch err := stores[i%2].UpdateKey(ctx, r); {
		case err == nil:
			wins.Add(1)
		case !errors.Is(err, keys.ErrConflict):
			t.Errorf("error is %v; want %v", err, keys.ErrConflict)
		}
	})
	s.wonOnce(t, wins.Load())
	if v := allKeys(t, stores[0])[0].Version; v != 2 {
		t.Errorf("Version is %d; want 2", v)
	}
}
