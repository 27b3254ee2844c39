package storetest

import (
	"testing"
	"time"

	"github.com/keyturn/keyturn/users"
)

func (s *suite) updateUser(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	want := sampleUser(1)
	ok(t, st.CreateUser(ctx, want))
	ok(t, st.CreateUser(ctx, sampleUser(2)))
	step := func(what string, c users.ProfileChange) {
		t.Helper()
		want.UpdatedAt = want.UpdatedAt.Add(time.Hour)
		got, err := st.UpdateUser(ctx, want.UID, c, want.UpdatedAt)
		ok(t, err)
		same(t, what+": returned", got, want)
		same(t, what+": stored", userByID(t, st, want.UID), want)
	}
	text := func(s string) *string { return &s }
	want.Email, want.EmailKey = "New@Example.com", "new@example.com"
	step("the address", users.ProfileChange{Email: &users.Name{Text: want.Email, Key: want.EmailKey}})
	byKey, err := st.UserByEmailKey(ctx, want.EmailKey)
	ok(t, err)
	same(t, "by the new address", byKey, want)
	_, err = st.UserByEmailKey(ctx, sampleUser(1).EmailKey)
	is(t, err, users.ErrNotFound)
	want.Username, want.UsernameKey = "Newname", "newname"
	step("the username", users.ProfileChange{Username: &users.Name{Text: want.Username, Key: want.UsernameKey}})
	want.FirstName, want.LastName = "A $x.y", ""
	step("the names", users.ProfileChange{FirstName: text(want.FirstName), LastName: text("")})
	want.Username, want.UsernameKey = "", ""
	step("no username", users.ProfileChange{Username: &users.Name{}})
	step("nothing", users.ProfileChange{})
	same(t, "the other account", userByID(t, st, uid(2)), sampleUser(2))
	again := sampleUser(1)
	again.UID = uid(3)
	ok(t, st.CreateUser(ctx, again)) // the former names are free
}

func (s *suite) updateTaken(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	mine, other := sampleUser(1), sampleUser(2)
	ok(t, st.CreateUser(ctx, mine))
	ok(t, st.CreateUser(ctx, other))
	ok(t, st.CreateUser(ctx, users.User{UID: uid(3), EmailKey: "bare@example.com"}))
	first := "Not stored"
	takenMail := users.Name{Text: other.Email, Key: other.EmailKey}
	takenName := users.Name{Text: other.Username, Key: other.UsernameKey}
	ownMail := users.Name{Text: "Other case", Key: mine.EmailKey}
	for _, c := range []struct {
		change users.ProfileChange
		want   error
	}{
		{users.ProfileChange{Email: &takenMail, FirstName: &first}, users.ErrEmailTaken},
		{users.ProfileChange{Username: &takenName, FirstName: &first}, users.ErrUsernameTaken},
		{users.ProfileChange{Email: &ownMail, Username: &takenName, FirstName: &first}, users.ErrUsernameTaken},
	} {
		_, err := st.UpdateUser(ctx, mine.UID, c.change, epoch)
		is(t, err, c.want)
	}
	same(t, "the account after refusals", userByID(t, st, mine.UID), mine)
	_, err := st.UpdateUser(ctx, mine.UID, users.ProfileChange{Username: &users.Name{}}, mine.UpdatedAt)
	ok(t, err) // beside an account that has none either
	back := users.Name{Text: mine.Username, Key: mine.UsernameKey}
	_, err = st.UpdateUser(ctx, mine.UID, users.ProfileChange{Username: &back}, mine.UpdatedAt)
	ok(t, err)
	same(t, "the account with its name again", userByID(t, st, mine.UID), mine)
}

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
