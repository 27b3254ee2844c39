package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/oauth"
)

func (s *suite) rotations() []test {
	return []test{
		{"F1_RotateFamily moves the family on by one", s.rotate},
		{"F1_each condition holds by itself", s.rotateConditions},
		{"F1_a family behind the token is brought up", s.rotateBehind},
		{"F1_of 100 refreshes of one token one succeeds", s.rotateRace},
		{"F1_refreshes of other families do not disturb each other", s.rotateMany},
	}
}

func (s *suite) rotate(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	want := create(t, st, sampleFamily(1))
	other := create(t, st, sampleFamily(2))
	for range 3 {
		r := rotationOf(want)
		r.MasterID += fmt.Sprint(want.Generation)
		r.At = want.RotatedAt.Add(time.Minute)
		want = rotated(want, r)
		got, err := st.RotateFamily(ctx, r)
		ok(t, err)
		same(t, "returned", got, want)
		same(t, "stored", familyByID(t, st, want.ID), want)
	}
	same(t, "the other family", familyByID(t, st, other.ID), other)
}

func (s *suite) rotateConditions(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	at := rotationOf(sampleFamily(0)).At
	for i, c := range []struct {
		name   string
		family func(f *oauth.Family)
		ask    func(r *oauth.Rotation)
	}{
		{"another client", nil, func(r *oauth.Rotation) { r.ClientID = "other" }},
		{"no client", nil, func(r *oauth.Rotation) { r.ClientID = "" }},
		{"generation above the presented by one", nil, func(r *oauth.Rotation) { r.Presented-- }},
		{"generation far above the presented", nil, func(r *oauth.Rotation) { r.Presented = 0 }},
		{"revoked", func(f *oauth.Family) { f.RevokedAt, f.RevokeReason = at.Add(-time.Minute), "logout" }, nil},
		{"revoked in the future", func(f *oauth.Family) { f.RevokedAt, f.RevokeReason = at.Add(time.Minute), "logout" }, nil},
		{"idle too long, to the millisecond", func(f *oauth.Family) { f.IdleExpiresAt = at }, nil},
		{"idle too long", func(f *oauth.Family) { f.IdleExpiresAt = at.Add(-time.Minute) }, nil},
		{"expired, to the millisecond", func(f *oauth.Family) { f.ExpiresAt = at }, nil},
		{"expired", func(f *oauth.Family) { f.ExpiresAt = at.Add(-time.Minute) }, nil},
	} {
		f := sampleFamily(i)
		if c.family != nil {
			c.family(&f)
		}
		create(t, st, f)
		r := rotationOf(f)
		if c.ask != nil {
			c.ask(&r)
		}
		if _, err := st.RotateFamily(ctx, r); !errors.Is(err, oauth.ErrNotRotated) {
			t.Errorf("%s: error is %v; want %v", c.name, err, oauth.ErrNotRotated)
		}
		same(t, c.name+": nothing changes", familyByID(t, st, f.ID), f)
	}

	last := sampleFamily(100)
	last.IdleExpiresAt, last.ExpiresAt = at.Add(time.Millisecond), at.Add(time.Millisecond)
	create(t, st, last)
	_, err := st.RotateFamily(ctx, rotationOf(last))
	ok(t, err) // a millisecond is left
}

func (s *suite) rotateBehind(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	f := create(t, st, sampleFamily(1))
	r := rotationOf(f)
	r.Presented = f.Generation + 40
	got, err := st.RotateFamily(ctx, r)
	ok(t, err)
	same(t, "returned", got, rotated(f, r))
	same(t, "stored", familyByID(t, st, f.ID), rotated(f, r))
}

func (s *suite) rotateRace(t *testing.T) {
	stores, ctx := s.replicas(t, 3), t.Context()
	f := create(t, stores[0], sampleFamily(1))
	for round := range 3 {
		r := rotationOf(f)
		r.At = f.RotatedAt.Add(time.Minute)
		want := rotated(f, r)
		var wins atomic.Int64
		race(100, func(i int) {
			got, err := stores[i%3].RotateFamily(ctx, r)
			switch {
			case err == nil:
				wins.Add(1)
				same(t, "what a winner sees", got, want)
			case !errors.Is(err, oauth.ErrNotRotated):
				t.Errorf("error is %v; want %v", err, oauth.ErrNotRotated)
			}
		})
		s.wonOnce(t, wins.Load())
		f = familyByID(t, stores[round], f.ID)
		same(t, "after the race", f, want)
	}
}

func (s *suite) rotateMany(t *testing.T) {
	stores, ctx := s.replicas(t, 2), t.Context()
	const families, steps = 24, 5
	for n := range families {
		create(t, stores[0], sampleFamily(n))
	}
	race(families, func(n int) {
		f := sampleFamily(n)
		for step := range steps {
			r := rotationOf(f)
			r.IP = fmt.Sprintf("192.0.2.%d", n)
			got, err := stores[step%2].RotateFamily(ctx, r)
			if err != nil {
				t.Errorf("family %d, step %d: %v", n, step, err)
				return
			}
			f = rotated(f, r)
			same(t, "returned", got, f)
			// Another replica sees what was acknowledged.
			seen, err := stores[(step+1)%2].FamilyByID(ctx, f.ID)
			if err != nil {
				t.Errorf("family %d, step %d: %v", n, step, err)
				return
			}
			same(t, "seen by the other replica", seen, f)
		}
	})
}
