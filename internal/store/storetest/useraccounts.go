package storetest

import (
	"testing"
	"time"
)

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
