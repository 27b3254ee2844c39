package storetest

import (
	"fmt"
	"testing"
	"time"
)

func (s *suite) counters() []test {
	return []test{
		{"AddCount, Counts, ResetCounts", s.counts},
		{"odd names", s.countsOddNames},
		{"U4_no concurrent addition is lost", s.countsRace},
		{"a counter lives as long as the longest promise", s.countsExpiry},
	}
}

func (s *suite) counts(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	expire := epoch.Add(time.Hour)
	for i, step := range []struct {
		key     string
		n, want int64
	}{{"a", 1, 1}, {"a", 1, 2}, {"b", 5, 5}, {"a", 40, 42}, {"a", -2, 40}, {"b", 0, 5}, {"zero", 0, 0}} {
		got, err := st.AddCount(ctx, step.key, step.n, expire)
		ok(t, err)
		if got != step.want {
			t.Errorf("step %d: %d; want %d", i, got, step.want)
		}
	}
	counts := func(want []int64, keys ...string) {
		t.Helper()
		got, err := st.Counts(ctx, keys)
		ok(t, err)
		same(t, fmt.Sprintf("counts of %q", keys), got, want)
	}
	counts([]int64{5, 0, 40}, "b", "unknown", "a")
	counts([]int64{40, 40}, "a", "a")
	counts(nil)
	ok(t, st.ResetCounts(ctx, nil))
	ok(t, st.ResetCounts(ctx, []string{"a", "unknown"}))
	counts([]int64{0, 5}, "a", "b")
	got, err := st.AddCount(ctx, "a", 1, expire)
	ok(t, err)
	if got != 1 {
		t.Errorf("after a reset: %d; want 1", got)
	}
}

func (s *suite) countsOddNames(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	want := make([]int64, len(odd))
	for i, key := range odd {
		want[i] = int64(i + 1)
		_, err := st.AddCount(ctx, key, want[i], epoch)
		ok(t, err)
	}
	got, err := st.Counts(ctx, odd)
	ok(t, err)
	same(t, "counts", got, want)
	ok(t, st.ResetCounts(ctx, odd))
	got, err = st.Counts(ctx, odd)
	ok(t, err)
	same(t, "counts after a reset", got, make([]int64, len(odd)))
}

func (s *suite) countsRace(t *testing.T) {
	stores, ctx := s.replicas(t, 2), t.Context()
	const n = 100
	race(n, func(i int) {
		if _, err := stores[i%2].AddCount(ctx, "k", 3, epoch); err != nil {
			t.Errorf("adding: %v", err)
		}
	})
	got, err := stores[0].Counts(ctx, []string{"k"})
	ok(t, err)
	if got[0] != 3*n && !(s.factory.LosesUpdates && got[0] > 0) {
		t.Errorf("the counter is %d; want %d", got[0], 3*n)
	}
}

func (s *suite) countsExpiry(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	soon, late := epoch.Add(time.Hour), epoch.Add(3*time.Hour)
	for key, expiries := range map[string][]time.Time{"later": {soon, late}, "sooner": {late, soon}} {
		for _, at := range expiries {
			_, err := st.AddCount(ctx, key, 1, at)
			ok(t, err)
		}
	}
	_, err := st.Sweep(ctx, epoch.Add(2*time.Hour), 100)
	ok(t, err)
	got, err := st.Counts(ctx, []string{"later", "sooner"})
	ok(t, err)
	same(t, "counts", got, []int64{2, 2})
}
