package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/store"
)

func (s *suite) denylist() []test {
	return []test{
		{"DenyToken and TokenDenied", s.deny},
		{"denied by many at once", s.denyRace},
		{"a token is denied as long as the longest promise", s.denyExpiry},
		{"DeniedTokens pages", s.denyPages},
	}
}

func denied(t *testing.T, st store.Store, jti string) bool {
	t.Helper()
	is, err := st.TokenDenied(t.Context(), jti)
	ok(t, err)
	return is
}

func (s *suite) deny(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	for _, jti := range append([]string{"jti-1"}, odd...) {
		if denied(t, st, jti) {
			t.Errorf("%q is denied before it was", jti)
		}
		for range 2 {
			ok(t, st.DenyToken(ctx, jti, epoch.Add(time.Hour)))
			if !denied(t, st, jti) {
				t.Errorf("%q is not denied", jti)
			}
		}
	}
	if denied(t, st, "") || denied(t, st, "JTI-1") {
		t.Error("another token is denied")
	}
}

func (s *suite) denyRace(t *testing.T) {
	stores, ctx := s.replicas(t, 2), t.Context()
	race(40, func(i int) {
		if err := stores[i%2].DenyToken(ctx, fmt.Sprintf("jti-%d", i/20), epoch.Add(time.Hour)); err != nil {
			t.Errorf("denying: %v", err)
		}
	})
	if !denied(t, stores[0], "jti-0") || !denied(t, stores[1], "jti-1") {
		t.Error("a token is not denied")
	}
}

func (s *suite) denyExpiry(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	soon, late := epoch.Add(time.Hour), epoch.Add(3*time.Hour)
	for jti, expiries := range map[string][]time.Time{"later": {soon, late}, "sooner": {late, soon}} {
		for _, at := range expiries {
			ok(t, st.DenyToken(ctx, jti, at))
		}
	}
	_, err := st.Sweep(ctx, epoch.Add(2*time.Hour), 100)
	ok(t, err)
	if !denied(t, st, "later") || !denied(t, st, "sooner") {
		t.Error("a token was let off early")
	}
}

func (s *suite) denyPages(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	var want []store.DeniedToken
	for n := range 5 {
		want = append(want, store.DeniedToken{JTI: uid(n), ExpireAt: epoch.Add(time.Duration(n) * time.Hour)})
	}
	for _, n := range []int{3, 0, 4, 2, 1} {
		ok(t, st.DenyToken(ctx, want[n].JTI, want[n].ExpireAt))
	}
	var seen []store.DeniedToken
	after := ""
	for {
		page, err := st.DeniedTokens(ctx, after, 2)
		ok(t, err)
		if len(page) > 2 {
			t.Fatalf("a page of 2 has %d tokens", len(page))
		}
		if len(page) == 0 {
			break
		}
		seen = append(seen, page...)
		after = page[len(page)-1].JTI
	}
	same(t, "the pages", seen, want)
	none, err := st.DeniedTokens(ctx, "", 0)
	ok(t, err)
	same(t, "a page of none", none, nil)
}
