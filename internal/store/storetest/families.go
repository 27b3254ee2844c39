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

func (s *suite) families() []test {
	return []test{
		{"every field comes back", s.familyRoundTrip},
		{"odd strings come back", s.familyOddStrings},
		{"unknown", s.familyUnknown},
		{"an id is used once", s.familyTaken},
		{"an id is used once, whoever else is trying", s.familyTakenRace},
		{"FamiliesOfUser", s.familiesOfUser},
		{"SetFamilyClaims", s.familyClaims},
		{"SetFamilyEmail", s.familyEmail},
		{"AllFamilies pages", s.familyPages},
		{"F9_decisions on a family, from its login to its end", s.heldFamilies},
		{"F7_who ends sessions ends those about to begin", s.unbornFamilyEnds},
	}
}

func familyByID(t *testing.T, st store.Store, id string) oauth.Family {
	t.Helper()
	f, err := st.FamilyByID(t.Context(), id)
	ok(t, err)
	return f
}

// create stores f and returns it.
func create(t *testing.T, st store.Store, f oauth.Family) oauth.Family {
	t.Helper()
	ok(t, st.CreateFamily(t.Context(), f))
	return f
}

func (s *suite) familyRoundTrip(t *testing.T) {
	st := s.fresh(t)
	ended := sampleFamily(2)
	ended.RevokedAt, ended.RevokeReason = epoch.Add(time.Hour), "logout"
	expired := sampleFamily(3)
	expired.IdleExpiresAt, expired.ExpiresAt = epoch, epoch
	bare := oauth.Family{ID: uid(4), Scope: []string{}, PurgeAt: epoch}
	for _, f := range []oauth.Family{sampleFamily(1), ended, expired, bare} {
		same(t, "by id", familyByID(t, st, create(t, st, f).ID), f)
	}
}

func (s *suite) familyOddStrings(t *testing.T) {
	st := s.fresh(t)
	for i, text := range odd {
		f := sampleFamily(i)
		f.ClientID, f.UserID, f.Email, f.MasterID = text, text, text, text
		f.Scope, f.Audience = []string{text, "", text}, []string{text}
		f.FirstIP, f.FirstUserAgent, f.LastIP, f.LastUserAgent = text, text, text, text
		same(t, "odd string", familyByID(t, st, create(t, st, f).ID), f)
	}
}

func (s *suite) familyUnknown(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	create(t, st, sampleFamily(1))
	for _, id := range []string{"", uid(9)} {
		_, err := st.FamilyByID(ctx, id)
		is(t, err, oauth.ErrNoFamily)
		r := refreshOf(sampleFamily(1))
		r.familyID = id
		_, err = rotate(ctx, st, r)
		is(t, err, errRefused)
		ended, err := st.RevokeFamily(ctx, id, epoch, "logout")
		ok(t, err)
		if ended {
			t.Errorf("the unknown family %q was ended", id)
		}
	}
	n, err := st.RevokeFamiliesOfUser(ctx, "nobody", "", epoch, "logout")
	ok(t, err)
	m, err := st.RevokeFamiliesOfClient(ctx, "no-client", epoch, "logout")
	ok(t, err)
	if n != 0 || m != 0 {
		t.Errorf("%d and %d families were ended; want none", n, m)
	}
	same(t, "the other family", familyByID(t, st, uid(1)), sampleFamily(1))
}

func (s *suite) familyTaken(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	first := create(t, st, sampleFamily(1))
	second := sampleFamily(1)
	second.UserID = "thief"
	is(t, st.CreateFamily(ctx, second), oauth.ErrFamilyExists)
	second.Unborn = true
	is(t, st.CreateFamily(ctx, second), oauth.ErrFamilyExists)
	same(t, "the first family", familyByID(t, st, first.ID), first)
}

func (s *suite) familyTakenRace(t *testing.T) {
	stores, ctx := s.replicas(t, 3), t.Context()
	var wins atomic.Int64
	race(30, func(i int) {
		switch err := stores[i%3].CreateFamily(ctx, sampleFamily(1)); {
		case err == nil:
			wins.Add(1)
		case !errors.Is(err, oauth.ErrFamilyExists):
			t.Errorf("error is %v; want %v", err, oauth.ErrFamilyExists)
		}
	})
	if n := wins.Load(); n != 1 {
		t.Errorf("one id was used by %d families", n)
	}
}

func (s *suite) familiesOfUser(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	now := epoch.Add(time.Hour)
	for n := range 5 { // 0 is the oldest
		f := sampleFamily(n)
		f.CreatedAt = epoch.Add(time.Duration(n) * time.Minute)
		create(t, st, f)
	}
	for n, change := range []func(f *oauth.Family){
		func(f *oauth.Family) { f.RevokedAt, f.RevokeReason = epoch, "logout" },
		func(f *oauth.Family) { f.IdleExpiresAt = now },
		func(f *oauth.Family) { f.ExpiresAt = now },
		func(f *oauth.Family) { f.UserID = "user-10" },
		func(f *oauth.Family) { f.UserID = "" },
	} {
		f := sampleFamily(100 + n)
		change(&f)
		create(t, st, f)
	}
	list := func(limit int) (ids []string) {
		t.Helper()
		families, err := st.FamiliesOfUser(ctx, "user-1", now, limit)
		ok(t, err)
		for _, f := range families {
			same(t, "listed", f, familyByID(t, st, f.ID))
			ids = append(ids, f.ID)
		}
		return ids
	}
	same(t, "all, newest first", list(100), []string{uid(4), uid(3), uid(2), uid(1), uid(0)})
	same(t, "the newest two", list(2), []string{uid(4), uid(3)})
	same(t, "none", list(0), nil)
}

func (s *suite) familyPages(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	want := map[string]oauth.Family{}
	for _, n := range []int{4, 2, 5, 1, 3} {
		f := sampleFamily(n)
		f.UserID = fmt.Sprintf("user-%d", n)
		if n == 2 {
			f.RevokedAt, f.RevokeReason = epoch, "logout"
		}
		if n == 3 {
			f.ExpiresAt, f.PurgeAt = epoch, epoch
		}
		want[f.ID] = create(t, st, f)
	}
	var seen []string
	after := ""
	for {
		page, err := st.AllFamilies(ctx, after, 2)
		ok(t, err)
		if len(page) > 2 {
			t.Fatalf("a page of 2 has %d families", len(page))
		}
		if len(page) == 0 {
			break
		}
		for _, f := range page {
			same(t, "listed", f, want[f.ID])
			seen = append(seen, f.ID)
		}
		after = seen[len(seen)-1]
	}
	same(t, "order of the pages", seen, []string{uid(1), uid(2), uid(3), uid(4), uid(5)})
	none, err := st.AllFamilies(ctx, "", 0)
	ok(t, err)
	same(t, "a page of none", none, nil)
}
