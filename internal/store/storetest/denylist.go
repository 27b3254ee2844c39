package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/oauth"
)

func (s *suite) denylist() []test {
	return []test{
		{"DenyToken and TokenDenied", s.deny},
		{"denied by many at once", s.denyRace},
		{"a token is denied as long as the longest promise", s.denyExpiry},
		{"DeniedTokens pages", s.denyPages},
		{"SpendToken spends once", s.spend},
		{"of many that spend one token one does", s.spendRace},
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

func (s *suite) spend(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	for _, id := range append([]string{"assertion 1"}, odd...) {
		ok(t, st.SpendToken(ctx, id, epoch.Add(time.Hour)))
		is(t, st.SpendToken(ctx, id, epoch.Add(2*time.Hour)), oauth.ErrTokenSpent)
		if !denied(t, st, id) {
			t.Errorf("%q is spent and not denied", id)
		}
	}
	ok(t, st.DenyToken(ctx, "denied", epoch.Add(time.Hour)))
	is(t, st.SpendToken(ctx, "denied", epoch.Add(time.Hour)), oauth.ErrTokenSpent)
	_, err := st.Sweep(ctx, epoch.Add(time.Hour), 100)
	ok(t, err)
	ok(t, st.SpendToken(ctx, "assertion 1", epoch.Add(3*time.Hour)))
}

func (s *suite) spendRace(t *testing.T) {
	stores, ctx := s.replicas(t, 3), t.Context()
	var wins atomic.Int64
	race(30, func(i int) {
		switch err := stores[i%3].SpendToken(ctx, "assertion 1", epoch.Add(time.Hour)); {
		case err == nil:
			wins.Add(1)
		case !errors.Is(err, oauth.ErrTokenSpent):
			t.Errorf("error is %v; want %v", err, oauth.ErrTokenSpent)
		}
	})
	if n := wins.Load(); n != 1 {
		t.Errorf("one token was spent %d times", n)
	}
}
