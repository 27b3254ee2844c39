package storetest

import (
	"testing"
	"time"

	"github.com/keyturn/keyturn/users"
)

func (s *suite) setReset(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	want := sampleUser(1)
	ok(t, st.CreateUser(ctx, want))
	ok(t, st.CreateUser(ctx, sampleUser(2)))
	step := func(what string, hash []byte, expires time.Time) {
		t.Helper()
		want.ResetHash, want.ResetExpiresAt = hash, expires
		want.UpdatedAt = want.UpdatedAt.Add(time.Hour)
		got, err := st.SetReset(ctx, want.UID, hash, expires, want.UpdatedAt)
		ok(t, err)
		same(t, what+": returned", got, want)
		same(t, what+": stored", userByID(t, st, want.UID), want)
	}
	step("another token", []byte{9, 9}, epoch.Add(time.Minute))
	step("no token", nil, time.Time{})
	step("a token again", []byte{8}, epoch.Add(time.Hour))
	same(t, "the other account", userByID(t, st, uid(2)), sampleUser(2))
}

func (s *suite) setClaims(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	want := sampleUser(1)
	ok(t, st.CreateUser(ctx, want))
	ok(t, st.CreateUser(ctx, sampleUser(2)))
	step := func(what string, roles []string, claims string) {
		t.Helper()
		want.Roles, want.Claims = roles, claims
		want.UpdatedAt = want.UpdatedAt.Add(time.Hour)
		got, err := st.SetClaims(ctx, want.UID, roles, claims, want.UpdatedAt)
		ok(t, err)
		same(t, what+": returned", got, want)
		same(t, what+": stored", userByID(t, st, want.UID), want)
	}
	step("others", []string{"a", `b"c`}, `{"x":[1,{"$y":"."}]}`)
	step("none", nil, "")
	step("some again", []string{"a"}, "")
	same(t, "the other account", userByID(t, st, uid(2)), sampleUser(2))
}

func (s *suite) deleteUser(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	ok(t, st.CreateUser(ctx, sampleUser(1)))
	ok(t, st.CreateUser(ctx, sampleUser(2)))
	ok(t, st.CreateUser(ctx, users.User{UID: uid(3), EmailKey: "bare@example.com"}))
	taken := func(key string, want bool) {
		t.Helper()
		got, err := st.UsernameTaken(ctx, key)
		ok(t, err)
		same(t, "taken: "+key, got, want)
	}
	taken("user1", true)
	taken("User1", false)
	taken("", false)
	ok(t, st.DeleteUser(ctx, uid(1)))
	_, err := st.UserByID(ctx, uid(1))
	is(t, err, users.ErrNotFound)
	is(t, st.DeleteUser(ctx, uid(1)), users.ErrNotFound)
	taken("user1", false)
	same(t, "the other account", userByID(t, st, uid(2)), sampleUser(2))
	again := sampleUser(1)
	again.UID = uid(4)
	ok(t, st.CreateUser(ctx, again)) // its names are free again
}

func (s *suite) familyClaims(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	live, ended, other := sampleFamily(1), sampleFamily(2), sampleFamily(3)
	other.UserID = "user-2"
	create(t, st, live)
	create(t, st, ended)
	create(t, st, other)
	_, err := st.RevokeFamily(ctx, ended.ID, epoch.Add(time.Hour), "logout")
	ok(t, err)
	set := func(claims string) {
		t.Helper()
		n, err := st.SetFamilyClaims(ctx, "user-1", claims)
		ok(t, err)
		same(t, "how many", n, 1)
		live.Claims = claims
		same(t, "the live family", familyByID(t, st, live.ID), live)
	}
	set(`{"roles":["reader"]}`)
	set("")
	set(`{"a":"b"}`)
	same(t, "another user's family", familyByID(t, st, other.ID), other)
	same(t, "an ended family's claims", familyByID(t, st, ended.ID).Claims, ended.Claims)
	n, err := st.SetFamilyClaims(ctx, "nobody", "{}")
	ok(t, err)
	same(t, "families of nobody", n, 0)
	r := refreshOf(live)
	got, err := rotate(ctx, st, r)
	ok(t, err)
	same(t, "claims after a rotation", got.Claims, live.Claims)
	same(t, "claims stored after a rotation", familyByID(t, st, live.ID).Claims, live.Claims)
}
