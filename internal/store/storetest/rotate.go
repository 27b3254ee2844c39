package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/oauth"
)

func (s *suite) rotations() []test {
	return []test{
		{"F1_RotateFamily moves the family on by one", s.rotate},
		{"F1_RotateFamily shows what there is and writes nothing undecided", s.rotateUndecided},
		{"F1_no step is lost", s.rotateCounting},
		{"a rotation spends its token once", s.rotateSpending},
		{"F1_a family behind the token is brought up", s.rotateBehind},
		{"F1_of 100 refreshes of one token one succeeds", s.rotateRace},
		{"F1_refreshes of other families do not disturb each other", s.rotateMany},
	}
}

func (s *suite) rotate(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	want := create(t, st, sampleFamily(1))
	other := create(t, st, sampleFamily(2))
	for range 5 {
		r := refreshOf(want)
		r.MasterID += fmt.Sprint(want.Generation)
		r.At = want.RotatedAt.Add(time.Minute)
		if want.Generation == 6 {
			r.ExpiresAt = want.ExpiresAt.Add(-time.Hour)
		}
		want = rotated(want, r)
		got, err := rotate(ctx, st, r)
		ok(t, err)
		same(t, "returned", got, want)
		same(t, "stored", familyByID(t, st, want.ID), want)
	}
	same(t, "the other family", familyByID(t, st, other.ID), other)
}

// rotateUndecided holds a store to what decide says, and to what it shows decide.
func (s *suite) rotateUndecided(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	f := create(t, st, sampleFamily(1))
	web := sampleClient("web")
	ok(t, st.CreateClient(ctx, web))
	for _, c := range []struct {
		familyID, clientID string
		family             oauth.Family
		client             clients.Client
	}{
		{f.ID, web.ID, f, web},
		{f.ID, "nobody", f, clients.Client{}},
		{uid(9), web.ID, oauth.Family{}, web},
		{"", "", oauth.Family{}, clients.Client{}},
	} {
		for _, err := range []error{nil, errRefused} {
			got, answer := st.RotateFamily(ctx, c.familyID, c.clientID, func(seen oauth.Family, by clients.Client) (*oauth.Rotation, error) {
				same(t, "the family shown", seen, c.family)
				same(t, "the client shown", by, c.client)
				return nil, err
			})
			if answer != err {
				t.Errorf("error is %v; want %v as it is", answer, err)
			}
			if err == nil {
				same(t, "returned", got, c.family)
			}
		}
	}
	_, err := st.RotateFamily(ctx, uid(9), web.ID, func(oauth.Family, clients.Client) (*oauth.Rotation, error) {
		r := refreshOf(f)
		return &r.Rotation, nil
	})
	is(t, err, oauth.ErrNoFamily)
	same(t, "nothing changes", familyByID(t, st, f.ID), f)
}

// rotateCounting has many move one family on from wherever they find it: no
// step may be lost, and none taken by whoever was told that it failed.
func (s *suite) rotateCounting(t *testing.T) {
	stores, ctx := s.replicas(t, 2), t.Context()
	f := create(t, stores[0], sampleFamily(1))
	var steps atomic.Int64
	race(40, func(i int) {
		_, err := stores[i%2].RotateFamily(ctx, f.ID, f.ClientID, func(seen oauth.Family, _ clients.Client) (*oauth.Rotation, error) {
			next := refreshOf(seen)
			return &next.Rotation, nil
		})
		// A store may give up on one that is overtaken again and again.
		if err == nil {
			steps.Add(1)
		}
	})
	moved := familyByID(t, stores[0], f.ID).Generation - f.Generation
	if moved != steps.Load() && !s.factory.LosesUpdates || moved == 0 {
		t.Errorf("the family moved on by %d; %d were told that it did", moved, steps.Load())
	}
}

// rotateSpending has two families rotated with one token that counts once, and one
// of them again with another.
func (s *suite) rotateSpending(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	a, b := create(t, st, sampleFamily(1)), create(t, st, sampleFamily(2))
	first, second := refreshOf(a), refreshOf(b)
	first.Spends = oauth.DeniedToken{JTI: "proof 1", ExpireAt: epoch.Add(2 * time.Hour)}
	second.Spends = oauth.DeniedToken{JTI: "proof 1", ExpireAt: epoch.Add(3 * time.Hour)}
	_, err := rotate(ctx, st, first)
	ok(t, err)
	same(t, "rotated", familyByID(t, st, a.ID), rotated(a, first))
	is(t, st.DenyToken(ctx, first.Spends), oauth.ErrTokenDenied)
	_, err = rotate(ctx, st, second)
	is(t, err, oauth.ErrTokenDenied)
	same(t, "not rotated", familyByID(t, st, b.ID), b)
	second.Spends.JTI = "proof 2"
	_, err = rotate(ctx, st, second)
	ok(t, err)
	same(t, "rotated with another", familyByID(t, st, b.ID), rotated(b, second))
	first.Presented, first.Spends.JTI = a.Generation+1, "proof 3"
	_, err = st.RotateFamily(ctx, a.ID, a.ClientID, func(oauth.Family, clients.Client) (*oauth.Rotation, error) {
		return &first.Rotation, errRefused
	})
	is(t, err, errRefused)
	if denied(t, st, "proof 3") {
		t.Error("a refresh that was refused has spent its proof")
	}
	// One that leaves the family as it is spends nothing else, and is refused as decided
	// unless its proof was used before.
	a = familyByID(t, st, a.ID)
	for _, refused := range []error{nil, errRefused} {
		stays := oauth.Rotation{Stays: true, Spends: oauth.DeniedToken{JTI: fmt.Sprint("stays ", refused), ExpireAt: epoch.Add(2 * time.Hour)}}
		for _, want := range []error{refused, oauth.ErrTokenDenied} {
			got, err := st.RotateFamily(ctx, a.ID, a.ClientID, func(oauth.Family, clients.Client) (*oauth.Rotation, error) { return &stays, refused })
			is(t, err, want)
			if err == nil {
				same(t, "returned", got, a)
			}
		}
	}
	same(t, "as it was", familyByID(t, st, a.ID), a)
	_, err = st.Sweep(ctx, epoch.Add(2*time.Hour), 100)
	ok(t, err)
	if denied(t, st, "proof 1") {
		t.Error("a spent proof is kept for longer than it has to be")
	}
}

func (s *suite) rotateBehind(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	f := create(t, st, sampleFamily(1))
	r := refreshOf(f)
	r.Presented = f.Generation + 40
	got, err := rotate(ctx, st, r)
	ok(t, err)
	same(t, "returned", got, rotated(f, r))
	same(t, "stored", familyByID(t, st, f.ID), rotated(f, r))
}

func (s *suite) rotateRace(t *testing.T) {
	stores, ctx := s.replicas(t, 3), t.Context()
	f := create(t, stores[0], sampleFamily(1))
	for round := range 3 {
		r := refreshOf(f)
		r.At = f.RotatedAt.Add(time.Minute)
		want := rotated(f, r)
		var wins atomic.Int64
		race(100, func(i int) {
			got, err := rotate(ctx, stores[i%3], r)
			switch {
			case err == nil:
				wins.Add(1)
				same(t, "what a winner sees", got, want)
			case !errors.Is(err, errRefused):
				t.Errorf("error is %v; want %v", err, errRefused)
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
			r := refreshOf(f)
			r.IP = fmt.Sprintf("192.0.2.%d", n)
			got, err := rotate(ctx, stores[step%2], r)
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
