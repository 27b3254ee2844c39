package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/oauth"
)

func (s *suite) revocations() []test {
	return []test{
		{"RevokeFamily", s.revoke},
		{"RevokeFamily of one family by many, one ends it", s.revokeRace},
		{"F6_nothing rotates once RevokeFamily returned", s.revokeBeatsRotate},
		{"F6_nothing rotates once RevokeFamiliesOfUser returned", s.revokeAllBeatsRotate},
		{"F7_RevokeFamiliesOfUser", s.revokeOfUser},
		{"F7_RevokeFamiliesOfClient", s.revokeOfClient},
		{"F7_RevokeFamiliesAmong", s.revokeAmong},
	}
}

func (s *suite) revoke(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	want := create(t, st, sampleFamily(1))
	other := create(t, st, sampleFamily(2))
	expired := sampleFamily(3)
	expired.IdleExpiresAt = epoch
	create(t, st, expired)

	want.RevokedAt, want.RevokeReason = epoch.Add(time.Hour), "logout"
	for i, reason := range []string{"logout", "reuse", "logout"} {
		ended, err := st.RevokeFamily(ctx, want.ID, want.RevokedAt.Add(time.Duration(i)*time.Hour), reason)
		ok(t, err)
		if ended != (i == 0) {
			t.Errorf("call %d reports %t", i, ended)
		}
		same(t, "the ended family keeps its first reason", familyByID(t, st, want.ID), want)
	}
	_, err := rotate(ctx, st, refreshOf(want))
	is(t, err, errRefused)

	ended, err := st.RevokeFamily(ctx, expired.ID, epoch.Add(time.Hour), "logout")
	ok(t, err)
	if !ended {
		t.Error("an expired family could not be ended")
	}
	same(t, "the other family", familyByID(t, st, other.ID), other)
}

func (s *suite) revokeRace(t *testing.T) {
	stores, ctx := s.replicas(t, 2), t.Context()
	f := create(t, stores[0], sampleFamily(1))
	var wins atomic.Int64
	race(50, func(i int) {
		ended, err := stores[i%2].RevokeFamily(ctx, f.ID, epoch, "logout")
		if err != nil {
			t.Errorf("revoking: %v", err)
		}
		if ended {
			wins.Add(1)
		}
	})
	s.wonOnce(t, wins.Load())
}

// chain refreshes f again and again, each time presenting the token that the
// last refresh gave, until it is refused. after tells whether the revocation
// has returned; it reports how many refreshes that began later succeeded.
func chain(ctx context.Context, t *testing.T, st store.Store, f oauth.Family, after func() bool) (late int) {
	for {
		over := after()
		got, err := rotate(ctx, st, refreshOf(f))
		if errors.Is(err, errRefused) {
			return late
		}
		if err != nil {
			t.Errorf("rotating: %v", err)
			return late
		}
		if over {
			if late++; late == 5 {
				return late
			}
		}
		f = got
	}
}

// beaten runs chains on families 0 to n-1, of which some replica's revoke ends
// all, and holds the store to F6.
func (s *suite) beaten(t *testing.T, n int, revoke func(st store.Store) error) {
	stores, ctx := s.replicas(t, 2), t.Context()
	for i := range n {
		create(t, stores[0], sampleFamily(i))
	}
	var returned atomic.Bool
	var late atomic.Int64
	started := make(chan struct{}, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			st := stores[i%2]
			f, err := rotate(ctx, st, refreshOf(sampleFamily(i)))
			if err != nil {
				t.Errorf("rotating: %v", err)
			}
			started <- struct{}{}
			late.Add(int64(chain(ctx, t, st, f, returned.Load)))
		})
	}
	for range n {
		<-started
	}
	ok(t, revoke(stores[1]))
	returned.Store(true)
	wg.Wait()
	if late.Load() > 0 && !s.factory.LosesUpdates {
		t.Errorf("%d refreshes that began after the revocation succeeded", late.Load())
	}
	if s.factory.LosesUpdates {
		ok(t, revoke(stores[0])) // nothing races with this one
	}
	for i := range n {
		f := familyByID(t, stores[0], uid(i))
		if f.RevokedAt.IsZero() {
			t.Errorf("family %d is alive", i)
		}
		_, err := rotate(ctx, stores[i%2], refreshOf(f))
		is(t, err, errRefused)
	}
}

func (s *suite) revokeBeatsRotate(t *testing.T) {
	for range 5 {
		s.beaten(t, 1, func(st store.Store) error {
			_, err := st.RevokeFamily(t.Context(), uid(0), epoch, "logout")
			return err
		})
	}
}

func (s *suite) revokeAllBeatsRotate(t *testing.T) {
	for range 2 {
		s.beaten(t, 8, func(st store.Store) error {
			_, err := st.RevokeFamiliesOfUser(t.Context(), "user-1", "", epoch, "password_changed")
			return err
		})
	}
}

// crowd stores 130 families of user-1 and client web, every fifth of which had
// ended before and one of which had expired, and some of others.
func crowd(t *testing.T, st store.Store) (live int) {
	t.Helper()
	for n := range 130 {
		f := sampleFamily(n)
		if n%5 == 0 {
			f.RevokedAt, f.RevokeReason = epoch, "logout"
		} else {
			live++
		}
		if n == 7 {
			f.IdleExpiresAt = epoch
		}
		create(t, st, f)
	}
	for n := range 3 {
		f := sampleFamily(1000 + n)
		f.UserID, f.ClientID = "user-2", "app"
		create(t, st, f)
	}
	return live
}

// allRevoked checks, after crowd and a revocation of all but spared, every
// family there is.
func allRevoked(t *testing.T, st store.Store, spared string, at time.Time, reason string) {
	t.Helper()
	all, err := st.AllFamilies(t.Context(), "", 1000)
	ok(t, err)
	if len(all) != 133 {
		t.Errorf("%d families; want 133", len(all))
	}
	for n, f := range all {
		switch {
		case f.UserID == "user-2" || f.ID == spared:
			if !f.RevokedAt.IsZero() || f.RevokeReason != "" {
				t.Errorf("family %s was ended", f.ID)
			}
		case n%5 == 0:
			if !f.RevokedAt.Equal(epoch) || f.RevokeReason != "logout" {
				t.Errorf("family %s, ended before, has reason %q", f.ID, f.RevokeReason)
			}
		default:
			if !f.RevokedAt.Equal(at) || f.RevokeReason != reason {
				t.Errorf("family %s has RevokedAt %v, reason %q", f.ID, f.RevokedAt, f.RevokeReason)
			}
		}
	}
}

func (s *suite) revokeOfUser(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	live := crowd(t, st)
	at := epoch.Add(time.Hour)
	for i, want := range []int{live - 1, 0} {
		n, err := st.RevokeFamiliesOfUser(ctx, "user-1", uid(3), at.Add(time.Duration(i)*time.Hour), "password_changed")
		ok(t, err)
		if n != want {
			t.Errorf("call %d ended %d families; want %d", i, n, want)
		}
	}
	allRevoked(t, st, uid(3), at, "password_changed")
	n, err := st.RevokeFamiliesOfUser(ctx, "user-1", "", at, "password_changed")
	ok(t, err)
	if n != 1 {
		t.Errorf("the last one: %d families; want 1", n)
	}
	allRevoked(t, st, "", at, "password_changed")
}

func (s *suite) revokeOfClient(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	live := crowd(t, st)
	at := epoch.Add(time.Hour)
	for i, want := range []int{live, 0} {
		n, err := st.RevokeFamiliesOfClient(ctx, "web", at.Add(time.Duration(i)*time.Hour), "client_disabled")
		ok(t, err)
		if n != want {
			t.Errorf("call %d ended %d families; want %d", i, n, want)
		}
	}
	allRevoked(t, st, "", at, "client_disabled")
}

// revokeAmong holds a selection to what it names, unborn families among it.
func (s *suite) revokeAmong(t *testing.T) {
	all := map[string]oauth.Family{}
	for i, name := range []string{"named", "unborn", "another login", "no login", "another client", "another user", "spared"} {
		all[name] = sampleFamily(i + 1)
	}
	alter := func(name string, by func(f *oauth.Family)) {
		f := all[name]
		by(&f)
		all[name] = f
	}
	unborn := unbornFamily(2)
	alter("unborn", func(f *oauth.Family) { f.Held = unborn.Held })
	alter("another login", func(f *oauth.Family) { f.LoginID = uid(98) })
	alter("no login", func(f *oauth.Family) { f.LoginID = "" })
	alter("another client", func(f *oauth.Family) { f.ClientID = "app" })
	alter("another user", func(f *oauth.Family) { f.UserID = "user-2" })
	alter("spared", func(f *oauth.Family) { f.Scope = []string{"openid", "offline_access"} })
	for _, c := range []struct {
		among oauth.Among
		ends  []string
	}{
		{oauth.Among{UserID: "user-1", LoginID: uid(99), Sparing: "offline_access"}, []string{"named", "unborn", "another client"}},
		{oauth.Among{UserID: "user-1", ClientID: "web"}, []string{"named", "unborn", "another login", "no login", "spared"}},
		{oauth.Among{UserID: "user-1", ClientID: "web", LoginID: uid(99)}, []string{"named", "unborn", "spared"}},
		{oauth.Among{UserID: "user-3", LoginID: uid(99)}, nil},
	} {
		st, ctx := s.fresh(t), t.Context()
		for _, f := range all {
			ok(t, st.CreateFamily(ctx, f))
		}
		for _, want := range []int{len(c.ends), 0} {
			n, err := st.RevokeFamiliesAmong(ctx, c.among, epoch.Add(time.Hour), "logout")
			ok(t, err)
			if n != want {
				t.Errorf("%+v ended %d families; want %d", c.among, n, want)
			}
		}
		for name, f := range all {
			now, err := st.HeldFamily(ctx, f.ID)
			ok(t, err)
			if ended := !now.RevokedAt.IsZero(); ended != slices.Contains(c.ends, name) || ended && now.RevokeReason != "logout" {
				t.Errorf("%+v: %s has RevokedAt %v, reason %q", c.among, name, now.RevokedAt, now.RevokeReason)
			}
		}
	}
}
