package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/users"
)

func (s *suite) users() []test {
	return []test{
		{"every field comes back", s.userRoundTrip},
		{"odd strings come back", s.userOddStrings},
		{"unknown", s.userUnknown},
		{"taken names", s.userTaken},
		{"accounts without an address", s.userWithoutAddress},
		{"of many with one address one is created", s.userTakenRace},
		{"pages", s.userPages},
		{"HashKinds", s.hashKinds},
		{"ReplaceUser", s.replaceUser},
		{"ReplaceUser taken", s.replaceTaken},
		{"of many replacements of one state one is made", s.replaceUserRace},
		{"RemoveUser", s.removeUser},
		{"an unborn account is none, and holds its names", s.unbornUser},
		{"PendingUsers", s.pendingUsers},
		{"RehashPassword", s.rehashPassword},
		{"UsersToDelete", s.usersToDelete},
		{"Settle and Unsettled", s.settle},
	}
}

func userByID(t *testing.T, st store.Store, id string) users.User {
	t.Helper()
	u, err := st.UserByID(t.Context(), id)
	ok(t, err)
	return u
}

func (s *suite) userRoundTrip(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	full := sampleUser(1)
	full.Disabled, full.Unsettled, full.DeleteAt, full.Factors.Required = true, true, epoch.Add(time.Hour), true
	bare := users.User{UID: uid(2), EmailKey: "bare@example.com"}
	alsoBare := users.User{UID: uid(3), EmailKey: "bare2@example.com"} // no username either
	for _, u := range []users.User{full, bare, alsoBare} {
		ok(t, st.CreateUser(ctx, u))
		same(t, "by id", userByID(t, st, u.UID), u)
		got, err := st.UserByEmailKey(ctx, u.EmailKey)
		ok(t, err)
		same(t, "by e-mail", got, u)
	}
	fine := sampleUser(4)
	fine.CreatedAt = fine.CreatedAt.Add(999 * time.Microsecond).In(time.FixedZone("", 3600))
	ok(t, st.CreateUser(ctx, fine))
	fine.CreatedAt = epoch
	same(t, "times are UTC, cut to milliseconds", userByID(t, st, fine.UID), fine)
}

func (s *suite) userOddStrings(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	for i, text := range odd {
		u := sampleUser(i)
		u.Email, u.EmailKey, u.Username, u.UsernameKey = text, text, text, text
		u.FirstName, u.LastName, u.PasswordHash = text, text, text
		u.Roles, u.Claims = []string{text, text}, text
		ok(t, st.CreateUser(ctx, u))
		got, err := st.UserByEmailKey(ctx, text)
		ok(t, err)
		same(t, "odd string", got, u)
	}
}

func (s *suite) userUnknown(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	ok(t, st.CreateUser(ctx, sampleUser(1)))
	_, err := st.UserByID(ctx, uid(9))
	is(t, err, users.ErrNotFound)
	_, err = st.UserByID(ctx, "")
	is(t, err, users.ErrNotFound)
	_, err = st.UserByEmailKey(ctx, "User1@Example.com")
	is(t, err, users.ErrNotFound)
	_, err = st.HeldUser(ctx, uid(9))
	is(t, err, users.ErrNotFound)
	is(t, st.ReplaceUser(ctx, sampleUser(9), sampleUser(9)), users.ErrNotFound)
	is(t, st.RemoveUser(ctx, sampleUser(9)), users.ErrNotFound)
	ok(t, st.RehashPassword(ctx, uid(9), "a", "b"))
	ok(t, st.Settle(ctx, uid(9), 7))
	same(t, "the other account", userByID(t, st, uid(1)), sampleUser(1))
}

func (s *suite) userTaken(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	first := sampleUser(1)
	ok(t, st.CreateUser(ctx, first))

	email := sampleUser(2)
	email.EmailKey = first.EmailKey
	is(t, st.CreateUser(ctx, email), users.ErrEmailTaken)

	name := sampleUser(2)
	name.UsernameKey = first.UsernameKey
	is(t, st.CreateUser(ctx, name), users.ErrUsernameTaken)

	both := sampleUser(2)
	both.EmailKey, both.UsernameKey = first.EmailKey, first.UsernameKey
	if err := st.CreateUser(ctx, both); !errors.Is(err, users.ErrEmailTaken) && !errors.Is(err, users.ErrUsernameTaken) {
		t.Errorf("both taken: error is %v", err)
	}

	again := sampleUser(2)
	again.UID = first.UID
	if err := st.CreateUser(ctx, again); err == nil {
		t.Error("a second account with the same uid was created")
	}

	all, err := st.ListUsers(ctx, "", 10)
	ok(t, err)
	same(t, "what is there", all, []users.User{first})
	ok(t, st.CreateUser(ctx, sampleUser(2))) // a refusal leaves nothing behind
}

// Accounts without an address stand beside each other; each is found by its
// username, and by it alone.
func (s *suite) userWithoutAddress(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	var all []users.User
	for n := range 3 {
		u := sampleUser(n)
		u.Email, u.EmailKey = "", ""
		ok(t, st.CreateUser(ctx, u))
		got, err := st.UserByUsernameKey(ctx, u.UsernameKey)
		ok(t, err)
		same(t, "by username", got, u)
		all = append(all, u)
	}
	listed, err := st.ListUsers(ctx, "", 10)
	ok(t, err)
	same(t, "listed", listed, all)
	for _, key := range []string{"", "nobody", all[0].UID} {
		_, err := st.UserByUsernameKey(ctx, key)
		is(t, err, users.ErrNotFound)
		_, err = st.UserByEmailKey(ctx, key)
		is(t, err, users.ErrNotFound)
	}
	again := sampleUser(3)
	again.Email, again.EmailKey, again.UsernameKey = "", "", all[0].UsernameKey
	is(t, st.CreateUser(ctx, again), users.ErrUsernameTaken)
	next := all[0]
	next.Email, next.EmailKey = "A@example.com", "a@example.com"
	ok(t, st.ReplaceUser(ctx, all[0], next))
	got, err := st.UserByEmailKey(ctx, next.EmailKey)
	ok(t, err)
	same(t, "its uid", got.UID, next.UID)
	back := got
	back.Email, back.EmailKey = "", ""
	ok(t, st.ReplaceUser(ctx, got, back))
	_, err = st.UserByEmailKey(ctx, next.EmailKey)
	is(t, err, users.ErrNotFound)
}

func (s *suite) userTakenRace(t *testing.T) {
	stores, ctx := s.replicas(t, 2), t.Context()
	var wins atomic.Int64
	race(50, func(i int) {
		u := sampleUser(i)
		u.EmailKey = "same@example.com"
		switch err := stores[i%2].CreateUser(ctx, u); {
		case err == nil:
			wins.Add(1)
		case !errors.Is(err, users.ErrEmailTaken):
			t.Errorf("error is %v; want %v", err, users.ErrEmailTaken)
		}
	})
	if wins.Load() != 1 {
		t.Errorf("%d accounts were created with one address", wins.Load())
	}
}

func (s *suite) userPages(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	for _, n := range []int{5, 3, 1, 4, 2} {
		ok(t, st.CreateUser(ctx, sampleUser(n)))
	}
	var seen []string
	after := ""
	for {
		page, err := st.ListUsers(ctx, after, 2)
		ok(t, err)
		if len(page) > 2 {
			t.Fatalf("a page of 2 has %d accounts", len(page))
		}
		if len(page) == 0 {
			break
		}
		for _, u := range page {
			seen = append(seen, u.UID)
		}
		after = seen[len(seen)-1]
	}
	same(t, "order of the pages", seen, []string{uid(1), uid(2), uid(3), uid(4), uid(5)})
	none, err := st.ListUsers(ctx, "", 0)
	ok(t, err)
	same(t, "a page of none", none, nil)
}

func (s *suite) rehashPassword(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	want := sampleUser(1)
	ok(t, st.CreateUser(ctx, want))
	ok(t, st.RehashPassword(ctx, want.UID, "not the hash", "other"))
	same(t, "after a rehash from another hash", userByID(t, st, want.UID), want)
	ok(t, st.RehashPassword(ctx, want.UID, want.PasswordHash, "better"))
	want.PasswordHash, want.Version = "better", 1
	same(t, "after a rehash", userByID(t, st, want.UID), want)
	pending := want
	pending.SlotID, pending.Slot = "d.0", []byte{1}
	ok(t, st.ReplaceUser(ctx, want, pending))
	ok(t, st.RehashPassword(ctx, want.UID, "better", "best"))
	pending.Version++
	same(t, "under a decision", userByID(t, st, want.UID), pending)
}

func (s *suite) settle(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	for n := range 5 {
		ok(t, st.CreateUser(ctx, sampleUser(n)))
	}
	unsettled := func(limit int) int {
		t.Helper()
		return len(unsettledUsers(t, ctx, st, limit))
	}
	if n := unsettled(10); n != 0 {
		t.Fatalf("%d accounts are unsettled; want none", n)
	}
	for n := range 3 {
		u := sampleUser(n)
		u.Epoch, u.Unsettled = 8, true
		ok(t, st.ReplaceUser(ctx, sampleUser(n), u))
	}
	if n, all := unsettled(2), unsettled(10); n != 2 || all != 3 {
		t.Errorf("%d and %d accounts; want 2 of 3", n, all)
	}
	ok(t, st.Settle(ctx, uid(0), 7)) // an older epoch
	ok(t, st.Settle(ctx, uid(0), 9)) // one that never was
	if n := unsettled(10); n != 3 {
		t.Errorf("%d accounts are unsettled; want 3", n)
	}
	want := userByID(t, st, uid(0))
	ok(t, st.Settle(ctx, uid(0), 8))
	want.Unsettled = false
	want.Version++
	same(t, "settled", userByID(t, st, uid(0)), want)
	for _, u := range unsettledUsers(t, ctx, st, 10) {
		if u.UID == uid(0) {
			t.Error("a settled account is listed")
		}
		same(t, "listed", u, userByID(t, st, u.UID))
	}
	if n := unsettled(0); n != 0 {
		t.Errorf("%d accounts where none was asked for", n)
	}
}

func unsettledUsers(t *testing.T, ctx context.Context, st store.Store, limit int) []users.User {
	t.Helper()
	list, err := st.Unsettled(ctx, limit)
	ok(t, err)
	return list
}

func (s *suite) usersToDelete(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	for n := range 4 {
		u := sampleUser(n)
		if n > 0 {
			u.DeleteAt = epoch.Add(time.Duration(4-n) * time.Hour)
		}
		ok(t, st.CreateUser(ctx, u))
	}
	for _, c := range []struct {
		at    time.Time
		limit int
		want  string
	}{
		{time.Time{}, 10, "[]"}, {epoch.Add(time.Hour - time.Millisecond), 10, "[]"}, {epoch.Add(time.Hour), 10, fmt.Sprint([]string{uid(3)})},
		{epoch.Add(9 * time.Hour), 2, fmt.Sprint([]string{uid(3), uid(2)})}, {epoch.Add(9 * time.Hour), 0, "[]"},
	} {
		list, err := st.UsersToDelete(ctx, c.at, c.limit)
		ok(t, err)
		got := []string{}
		for _, u := range list {
			got = append(got, u.UID)
			same(t, "listed", u, userByID(t, st, u.UID))
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("at %v, %d: %v; want %s", c.at, c.limit, got, c.want)
		}
	}
}
