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
		{"of many that deny one token one does", s.denyRace},
		{"DeniedTokens pages", s.denyPages},
		{"F9_a denial holds its event until it is written", s.heldDenied},
		{"of many that take up a denial one does", s.holdDeniedRace},
		{"PendingDenied lists those that hold a decision", s.pendingDenied},
	}
}

// deniedUntil is an entry of the denylist that holds nothing.
func deniedUntil(jti string, at time.Time) oauth.DeniedToken {
	return oauth.DeniedToken{JTI: jti, ExpireAt: at}
}

// owing is one whose event is owed.
func owing(jti string, at time.Time) oauth.DeniedToken {
	return oauth.DeniedToken{JTI: jti, ExpireAt: at, Held: held(0, false)}
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
		want := deniedUntil(jti, epoch.Add(time.Hour))
		ok(t, st.DenyToken(ctx, want))
		is(t, st.DenyToken(ctx, owing(jti, epoch.Add(2*time.Hour))), oauth.ErrTokenDenied)
		if !denied(t, st, jti) {
			t.Errorf("%q is not denied", jti)
		}
		got, err := st.HeldDenied(ctx, jti)
		ok(t, err)
		same(t, "denied twice", got, want)
	}
	if denied(t, st, "") || denied(t, st, "JTI-1") {
		t.Error("another token is denied")
	}
	_, err := st.Sweep(ctx, epoch.Add(time.Hour), 100)
	ok(t, err)
	ok(t, st.DenyToken(ctx, deniedUntil("jti-1", epoch.Add(3*time.Hour))))
}

func (s *suite) denyRace(t *testing.T) {
	stores, ctx := s.replicas(t, 3), t.Context()
	var wins atomic.Int64
	race(30, func(i int) {
		switch err := stores[i%3].DenyToken(ctx, deniedUntil("one", epoch.Add(time.Hour))); {
		case err == nil:
			wins.Add(1)
		case !errors.Is(err, oauth.ErrTokenDenied):
			t.Errorf("error is %v; want %v", err, oauth.ErrTokenDenied)
		}
	})
	if n := wins.Load(); n != 1 {
		t.Errorf("one token was denied %d times", n)
	}
}

func (s *suite) denyPages(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	var want []oauth.DeniedToken
	for n := range 5 {
		want = append(want, deniedUntil(uid(n), epoch.Add(time.Duration(n)*time.Hour)))
	}
	for _, n := range []int{3, 0, 4, 2, 1} {
		ok(t, st.DenyToken(ctx, want[n]))
	}
	var seen []oauth.DeniedToken
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

// heldDenied follows an entry that owes its event until it is swept.
func (s *suite) heldDenied(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	_, err := st.HeldDenied(ctx, "jti")
	is(t, err, oauth.ErrDeniedChanged)
	first := owing("jti", epoch)
	is(t, st.HoldDenied(ctx, first, first), oauth.ErrDeniedChanged)
	ok(t, st.DenyToken(ctx, first))
	ok(t, st.DenyToken(ctx, owing("other", epoch)))
	if !denied(t, st, "jti") {
		t.Error("a token counts until the event of its denial is written")
	}
	hold := func(what string, want oauth.DeniedToken) {
		t.Helper()
		got, err := st.HeldDenied(ctx, "jti")
		ok(t, err)
		same(t, what, got, want)
		if n, err := st.Sweep(ctx, epoch.Add(time.Hour), 100); n != 0 || err != nil {
			t.Errorf("%s: %d were swept that owe an event (%v)", what, n, err)
		}
	}
	hold("denied", first)
	again := first
	again.SlotID, again.Slot = "5a.2", []byte{7}
	ok(t, st.HoldDenied(ctx, first, again))
	hold("taken up", again)
	done := deniedUntil("jti", epoch)
	for _, seen := range []oauth.DeniedToken{first, done} {
		is(t, st.HoldDenied(ctx, seen, done), oauth.ErrDeniedChanged)
	}
	hold("after refusals", again)
	ok(t, st.HoldDenied(ctx, again, done))
	got, err := st.HeldDenied(ctx, "jti")
	ok(t, err)
	same(t, "told", got, done)
	if n, err := st.Sweep(ctx, epoch.Add(time.Hour), 100); n != 1 || err != nil || denied(t, st, "jti") || !denied(t, st, "other") {
		t.Errorf("%d were swept of the one that owes nothing (%v)", n, err)
	}
}

func (s *suite) holdDeniedRace(t *testing.T) {
	stores, ctx := s.replicas(t, 2), t.Context()
	seen := owing("jti", epoch)
	ok(t, stores[0].DenyToken(ctx, seen))
	var wins atomic.Int64
	race(20, func(i int) {
		next := seen
		next.SlotID = fmt.Sprintf("5a.%d", i+2)
		switch err := stores[i%2].HoldDenied(ctx, seen, next); {
		case err == nil:
			wins.Add(1)
		case !errors.Is(err, oauth.ErrDeniedChanged):
			t.Errorf("error is %v; want %v", err, oauth.ErrDeniedChanged)
		}
	})
	s.wonOnce(t, wins.Load())
}

func (s *suite) pendingDenied(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	for n := range 5 {
		d := deniedUntil(uid(n), epoch)
		if n > 1 {
			d = owing(uid(n), epoch)
		}
		ok(t, st.DenyToken(ctx, d))
	}
	pendingOf(t, st.PendingDenied, func(d oauth.DeniedToken) string { return d.JTI })
	ok(t, st.HoldDenied(ctx, owing(uid(2), epoch), deniedUntil(uid(2), epoch)))
	left, err := st.PendingDenied(ctx, 10)
	ok(t, err)
	if len(left) != 2 {
		t.Errorf("%d are left", len(left))
	}
}
