package storetest

import (
	"testing"
	"time"
)

func (s *suite) hashKinds(t *testing.T) {
	stores, ctx := s.replicas(t, 2), t.Context()
	at := func(minutes int) time.Time { return epoch.Add(time.Duration(minutes) * time.Minute) }
	know := func(what string, want ...string) {
		t.Helper()
		for _, st := range stores {
			got, err := st.HashKinds(ctx)
			ok(t, err)
			same(t, what, got, want)
		}
	}
	know("before any")
	race(10, func(i int) {
		if err := stores[i%2].AnnounceHashKind(ctx, "$b$", at(10+i)); err != nil {
			t.Error(err)
		}
	})
	if s.factory.LosesUpdates { // the latest may be among what it lost
		ok(t, stores[0].AnnounceHashKind(ctx, "$b$", at(19)))
	}
	ok(t, stores[0].AnnounceHashKind(ctx, "$a$", at(5)))
	ok(t, stores[1].AnnounceHashKind(ctx, "$a$", at(1))) // the later time stands
	know("announced", "$a$", "$b$")
	ok(t, stores[0].ForgetHashKind(ctx, "$a$", at(5)))
	ok(t, stores[0].ForgetHashKind(ctx, "$b$", at(19)))
	ok(t, stores[0].ForgetHashKind(ctx, "$c$", at(99)))
	know("announced later than asked for", "$a$", "$b$")
	ok(t, stores[1].ForgetHashKind(ctx, "$b$", at(20)))
	know("one forgotten", "$a$")
	ok(t, stores[1].AnnounceHashKind(ctx, "$b$", at(0)))
	know("announced again", "$a$", "$b$")
}

func (s *suite) familyEmail(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	live, without, ended, other := sampleFamily(1), sampleFamily(2), sampleFamily(3), sampleFamily(4)
	without.Email, other.UserID = "", "user-2"
	create(t, st, live)
	create(t, st, without)
	create(t, st, ended)
	create(t, st, other)
	_, err := st.RevokeFamily(ctx, ended.ID, epoch.Add(time.Hour), "logout")
	ok(t, err)
	n, err := st.SetFamilyEmail(ctx, "user-1", "new@example.com")
	ok(t, err)
	same(t, "how many", n, 1)
	live.Email = "new@example.com"
	same(t, "the live family", familyByID(t, st, live.ID), live)
	same(t, "a family without an address", familyByID(t, st, without.ID), without)
	same(t, "an ended family's address", familyByID(t, st, ended.ID).Email, ended.Email)
	same(t, "another user's family", familyByID(t, st, other.ID), other)
	got, err := rotate(ctx, st, refreshOf(live))
	ok(t, err)
	same(t, "the address after a rotation", got.Email, live.Email)
	n, err = st.SetFamilyEmail(ctx, "nobody", "x@example.com")
	ok(t, err)
	same(t, "families of nobody", n, 0)
}
