package storetest

import (
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/store"
)

func (s *suite) anchors() []test {
	return []test{
		{"A2_a head never moves back", s.anchorMonotonic},
		{"A2_the highest of many at once stays", s.anchorRace},
	}
}

func allAnchors(t *testing.T, st store.Store) []audit.Anchor {
	t.Helper()
	list, err := st.Anchors(t.Context())
	ok(t, err)
	return list
}

func (s *suite) anchorMonotonic(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	same(t, "an empty store", allAnchors(t, st), nil)
	ok(t, st.SetAnchor(ctx, sampleAnchor("b", -1))) // announced before its first line
	same(t, "announced", allAnchors(t, st), []audit.Anchor{sampleAnchor("b", -1)})
	ok(t, st.SetAnchor(ctx, sampleAnchor("b", 5)))
	ok(t, st.SetAnchor(ctx, sampleAnchor("a", 9)))
	ok(t, st.SetAnchor(ctx, sampleAnchor("a", -1))) // a chain announced again
	same(t, "oldest first", allAnchors(t, st), []audit.Anchor{sampleAnchor("b", 5), sampleAnchor("a", 9)})

	lower, equal := sampleAnchor("b", 4), sampleAnchor("b", 5)
	equal.Hash, equal.Node = "forged", "elsewhere"
	ok(t, st.SetAnchor(ctx, lower))
	ok(t, st.SetAnchor(ctx, equal))
	same(t, "after lower ones", allAnchors(t, st), []audit.Anchor{sampleAnchor("b", 5), sampleAnchor("a", 9)})

	next := sampleAnchor("b", 12)
	next.Node = odd[0]
	ok(t, st.SetAnchor(ctx, next))
	same(t, "after a higher one", allAnchors(t, st), []audit.Anchor{sampleAnchor("a", 9), next})
}

func (s *suite) anchorRace(t *testing.T) {
	stores, ctx := s.replicas(t, 2), t.Context()
	const n = 40
	race(n, func(i int) {
		if err := stores[i%2].SetAnchor(ctx, sampleAnchor("c", int64(i+1))); err != nil {
			t.Errorf("anchoring: %v", err)
		}
	})
	got := allAnchors(t, stores[0])
	if s.factory.LosesUpdates {
		if len(got) != 1 {
			t.Errorf("%d heads of one chain", len(got))
		}
		return
	}
	same(t, "the head", got, []audit.Anchor{sampleAnchor("c", n)})
}
