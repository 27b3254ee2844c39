package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// held is what a record holds while a decision is under way.
func held(version int64, unborn bool) decision.Held {
	return decision.Held{Version: version, Unborn: unborn, SlotID: "5a.1", Slot: []byte{0, 1, '{', 255}}
}

// unbornFamily is the sample as a login leaves it until its event is written.
func unbornFamily(n int) oauth.Family {
	f := sampleFamily(n)
	f.Held = held(0, true)
	return f
}

// replaceUser takes an account from state to state, every field each time.
func (s *suite) replaceUser(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	was := sampleUser(1)
	ok(t, st.CreateUser(ctx, was))
	ok(t, st.CreateUser(ctx, sampleUser(2)))
	full := users.User{
		Email: "New@Example.com", EmailKey: "new@example.com", Username: "New", UsernameKey: "new", FirstName: "A $x.y", LastName: "",
		Roles: []string{`b"c`}, Claims: `{"x":[1,{"$y":"."}]}`, PasswordHash: "h", ResetHash: []byte{9}, ResetExpiresAt: epoch,
		Disabled: true, Epoch: 8, CreatedAt: epoch.Add(time.Hour), UpdatedAt: epoch.Add(2 * time.Hour),
		PasswordChangedAt: epoch.Add(3 * time.Hour), Held: held(0, false),
	}
	bare := users.User{EmailKey: "bare@example.com", UpdatedAt: epoch.Add(3 * time.Hour), Held: decision.Held{Slot: []byte("free")}}
	for _, next := range []users.User{full, bare, full, was} {
		next.UID = was.UID
		ok(t, st.ReplaceUser(ctx, was, next))
		next.Version = was.Version + 1
		same(t, "stored", userByID(t, st, uid(1)), next)
		got, err := st.HeldUser(ctx, uid(1))
		ok(t, err)
		same(t, "held", got, next)
		byKey, err := st.UserByEmailKey(ctx, next.EmailKey)
		ok(t, err)
		same(t, "by its address", byKey, next)
		older, other := next, next
		older.Version--
		other.UpdatedAt = other.UpdatedAt.Add(time.Millisecond)
		for _, seen := range []users.User{was, older, other} {
			is(t, st.ReplaceUser(ctx, seen, full), users.ErrConflict)
			is(t, st.RemoveUser(ctx, seen), users.ErrConflict)
		}
		same(t, "after refusals", userByID(t, st, uid(1)), next)
		was = next
	}
	same(t, "the other account", userByID(t, st, uid(2)), sampleUser(2))
	again := full
	again.UID, again.Held = uid(3), decision.Held{}
	ok(t, st.CreateUser(ctx, again)) // the former names are free
}

func (s *suite) replaceTaken(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	mine, other := sampleUser(1), sampleUser(2)
	ok(t, st.CreateUser(ctx, mine))
	ok(t, st.CreateUser(ctx, other))
	ok(t, st.CreateUser(ctx, users.User{UID: uid(3), EmailKey: "bare@example.com"}))
	email, name := mine, mine
	email.EmailKey, email.FirstName = other.EmailKey, "not stored"
	name.UsernameKey, name.FirstName = other.UsernameKey, "not stored"
	is(t, st.ReplaceUser(ctx, mine, email), users.ErrEmailTaken)
	is(t, st.ReplaceUser(ctx, mine, name), users.ErrUsernameTaken)
	same(t, "the account after refusals", userByID(t, st, mine.UID), mine)
	none := mine
	none.Username, none.UsernameKey = "", ""
	ok(t, st.ReplaceUser(ctx, mine, none)) // beside an account that has none either
}

func (s *suite) replaceUserRace(t *testing.T) {
	stores, ctx := s.replicas(t, 2), t.Context()
	ok(t, stores[0].CreateUser(ctx, sampleUser(1)))
	var wins atomic.Int64
	race(50, func(i int) {
		next := sampleUser(1)
		next.Epoch = int64(100 + i)
		switch err := stores[i%2].ReplaceUser(ctx, sampleUser(1), next); {
		case err == nil:
			wins.Add(1)
		case !errors.Is(err, users.ErrConflict):
			t.Errorf("error is %v; want %v", err, users.ErrConflict)
		}
	})
	s.wonOnce(t, wins.Load())
	if got := userByID(t, stores[1], uid(1)).Version; got != 1 {
		t.Errorf("Version is %d; want 1", got)
	}
}

func (s *suite) removeUser(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	ok(t, st.CreateUser(ctx, sampleUser(1)))
	ok(t, st.CreateUser(ctx, sampleUser(2)))
	ok(t, st.CreateUser(ctx, users.User{UID: uid(3), EmailKey: "bare@example.com"}))
	taken := func(key string, want bool) {
		t.Helper()
		u, err := st.UserByUsernameKey(ctx, key)
		if err != nil {
			is(t, err, users.ErrNotFound)
		}
		same(t, "taken: "+key, u.UsernameKey == key && err == nil, want)
	}
	taken("user1", true)
	taken("User1", false)
	taken("", false)
	ok(t, st.RemoveUser(ctx, sampleUser(1)))
	_, err := st.HeldUser(ctx, uid(1))
	is(t, err, users.ErrNotFound)
	is(t, st.RemoveUser(ctx, sampleUser(1)), users.ErrNotFound)
	taken("user1", false)
	same(t, "the other account", userByID(t, st, uid(2)), sampleUser(2))
	again := sampleUser(1)
	again.UID = uid(4)
	ok(t, st.CreateUser(ctx, again)) // its names are free again
}

func (s *suite) unbornUser(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	u := sampleUser(1)
	u.Held, u.Unsettled = held(0, true), true
	ok(t, st.CreateUser(ctx, u))
	_, err := st.UserByID(ctx, u.UID)
	is(t, err, users.ErrNotFound)
	_, err = st.UserByEmailKey(ctx, u.EmailKey)
	is(t, err, users.ErrNotFound)
	all, err := st.ListUsers(ctx, "", 10)
	ok(t, err)
	_, err = st.UserByUsernameKey(ctx, u.UsernameKey)
	is(t, err, users.ErrNotFound)
	if len(all) > 0 || len(unsettledUsers(t, ctx, st, 10)) > 0 {
		t.Errorf("listed %v", all)
	}
	ok(t, st.RehashPassword(ctx, u.UID, u.PasswordHash, "h"))
	ok(t, st.Settle(ctx, u.UID, u.Epoch))
	got, err := st.HeldUser(ctx, u.UID)
	ok(t, err)
	same(t, "held", got, u)
	other := sampleUser(2)
	other.EmailKey = u.EmailKey
	is(t, st.CreateUser(ctx, other), users.ErrEmailTaken)
	other = sampleUser(2)
	other.UsernameKey = u.UsernameKey
	is(t, st.CreateUser(ctx, other), users.ErrUsernameTaken)
	born := sampleUser(1)
	ok(t, st.ReplaceUser(ctx, u, born))
	born.Version = 1
	same(t, "born", userByID(t, st, u.UID), born)
}

func (s *suite) pendingUsers(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	for n := range 5 {
		u := sampleUser(n)
		if n > 1 {
			u.Held = held(0, n == 4)
		}
		ok(t, st.CreateUser(ctx, u))
	}
	pendingOf(t, st.PendingUsers, func(u users.User) string { return u.UID })
	u := sampleUser(2)
	u.Held = held(0, false)
	ok(t, st.ReplaceUser(ctx, u, sampleUser(2)))
	left, err := st.PendingUsers(ctx, 10)
	ok(t, err)
	if len(left) != 2 {
		t.Errorf("%d are left", len(left))
	}
}

// pendingOf checks that the records 2, 3 and 4 are listed, and no others.
func pendingOf[T any](t *testing.T, list func(context.Context, int) ([]T, error), id func(T) string) {
	t.Helper()
	all, err := list(t.Context(), 10)
	ok(t, err)
	seen := map[string]bool{}
	for _, r := range all {
		seen[id(r)] = true
	}
	same(t, "pending", seen, map[string]bool{uid(2): true, uid(3): true, uid(4): true})
	for limit, want := range []int{0, 1, 2} {
		some, err := list(t.Context(), limit)
		ok(t, err)
		if len(some) != want {
			t.Errorf("%d of at most %d", len(some), limit)
		}
	}
}

func (s *suite) replaceClient(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	was := sampleClient("web")
	ok(t, st.CreateClient(ctx, was))
	ok(t, st.CreateClient(ctx, sampleClient("other")))
	full := clients.Client{
		ID: "web", Name: "Web", Public: true, JWKSURI: "https://new.example.com/jwks", Grants: []string{"client_credentials"}, Scope: []string{"a", "b"},
		DefaultScope: []string{"b"}, Audience: []string{"urn:new"}, Claims: []string{"tier"}, Introspects: []string{"urn:b"},
		TokenEndpointAudience: true, RequiresPAR: true, ThirdParty: true, AccessTTL: time.Second, RefreshIdleTTL: time.Minute,
		RefreshTTL: time.Hour, RetryWindow: clients.RetryWindow(time.Minute), Disabled: true, CreatedAt: epoch.Add(time.Minute), UpdatedAt: epoch.Add(time.Hour), Held: held(0, false),
	}
	bare := clients.Client{ID: "web", CreatedAt: epoch, UpdatedAt: epoch.Add(2 * time.Hour)}
	for _, next := range []clients.Client{full, bare, full, was} {
		ok(t, st.ReplaceClient(ctx, was, next))
		next.Version = was.Version + 1
		same(t, "stored", clientByID(t, st, "web"), next)
		got, err := st.HeldClient(ctx, "web")
		ok(t, err)
		same(t, "held", got, next)
		older, other := next, next
		older.Version--
		other.UpdatedAt = other.UpdatedAt.Add(time.Millisecond)
		for _, seen := range []clients.Client{was, older, other} {
			is(t, st.ReplaceClient(ctx, seen, full), clients.ErrChanged)
			is(t, st.RemoveClient(ctx, seen), clients.ErrChanged)
		}
		same(t, "after refusals", clientByID(t, st, "web"), next)
		was = next
	}
	ok(t, st.RemoveClient(ctx, was))
	_, err := st.HeldClient(ctx, "web")
	is(t, err, clients.ErrNotFound)
	same(t, "the other client", clientByID(t, st, "other"), sampleClient("other"))
	ok(t, st.CreateClient(ctx, sampleClient("web")))
}

func (s *suite) replaceClientRace(t *testing.T) {
	stores, ctx := s.replicas(t, 2), t.Context()
	ok(t, stores[0].CreateClient(ctx, sampleClient("web")))
	var wins atomic.Int64
	race(20, func(i int) {
		next := sampleClient("web")
		next.UpdatedAt = next.UpdatedAt.Add(time.Duration(i+1) * time.Millisecond)
		switch err := stores[i%2].ReplaceClient(ctx, sampleClient("web"), next); {
		case err == nil:
			wins.Add(1)
		case !errors.Is(err, clients.ErrChanged):
			t.Errorf("error is %v; want %v", err, clients.ErrChanged)
		}
	})
	s.wonOnce(t, wins.Load())
}

func (s *suite) unbornClient(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	c := sampleClient("web")
	c.Held = held(0, true)
	ok(t, st.CreateClient(ctx, c))
	_, err := st.ClientByID(ctx, "web")
	is(t, err, clients.ErrNotFound)
	all, err := st.ListClients(ctx, "", 10)
	ok(t, err)
	same(t, "listed", all, nil)
	is(t, st.CreateClient(ctx, sampleClient("web")), clients.ErrExists)
	ok(t, st.CreateFamily(ctx, sampleFamily(1)))
	if _, err := st.RotateFamily(ctx, uid(1), "web", func(_ oauth.Family, by clients.Client) (*oauth.Rotation, error) {
		same(t, "what a refresh is shown", by, clients.Client{})
		return nil, errRefused
	}); !errors.Is(err, errRefused) {
		t.Error(err)
	}
	pending, err := st.PendingClients(ctx, 10)
	ok(t, err)
	same(t, "pending", pending, []clients.Client{c})
	born := sampleClient("web")
	ok(t, st.ReplaceClient(ctx, c, born))
	born.Version = 1
	same(t, "born", clientByID(t, st, "web"), born)
}

// heldFamilies follows families from their login to their end.
func (s *suite) heldFamilies(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	f := unbornFamily(1)
	ok(t, st.CreateFamily(ctx, f))
	ok(t, st.CreateFamily(ctx, unbornFamily(2)))
	ok(t, st.CreateFamily(ctx, sampleFamily(3)))
	hold := func(what string, want oauth.Family) {
		t.Helper()
		got, err := st.HeldFamily(ctx, want.ID)
		ok(t, err)
		same(t, what, got, want)
	}
	hold("unborn", f)
	_, err := st.FamilyByID(ctx, f.ID)
	is(t, err, oauth.ErrNoFamily)
	live, err := st.FamiliesOfUser(ctx, f.UserID, epoch, 10)
	ok(t, err)
	all, err := st.AllFamilies(ctx, "", 10)
	ok(t, err)
	if len(live) != 1 || len(all) != 1 {
		t.Errorf("%d live, %d in all; want the one that is born", len(live), len(all))
	}
	foreign := f
	foreign.SlotID = "5a.0"
	for _, seen := range []oauth.Family{foreign, sampleFamily(1)} {
		is(t, st.HoldFamily(ctx, seen, sampleFamily(1)), oauth.ErrFamilyChanged)
		is(t, st.RemoveFamily(ctx, seen), oauth.ErrFamilyChanged)
	}
	is(t, st.HoldFamily(ctx, sampleFamily(9), sampleFamily(9)), oauth.ErrNoFamily)
	is(t, st.RemoveFamily(ctx, unbornFamily(9)), oauth.ErrNoFamily)
	is(t, st.RemoveFamily(ctx, sampleFamily(3)), oauth.ErrFamilyChanged) // it is born

	ok(t, st.HoldFamily(ctx, f, sampleFamily(1)))
	hold("born", sampleFamily(1))
	ok(t, st.RemoveFamily(ctx, unbornFamily(2)))
	_, err = st.HeldFamily(ctx, uid(2))
	is(t, err, oauth.ErrNoFamily)

	// What a decision has nothing to do with goes on meanwhile.
	r := refreshOf(sampleFamily(1))
	_, err = rotate(ctx, st, r)
	ok(t, err)
	want := rotated(sampleFamily(1), r)
	ended := want
	ended.RevokedAt, ended.RevokeReason, ended.Held = epoch.Add(time.Hour), "logout", held(0, false)
	ok(t, st.HoldFamily(ctx, sampleFamily(1), ended))
	hold("ended, its event owed", ended)
	pending, err := st.PendingFamilies(ctx, 10)
	ok(t, err)
	same(t, "pending", pending, []oauth.Family{ended})
	free := ended
	free.Held = decision.Held{Slot: []byte("free")}
	ok(t, st.HoldFamily(ctx, ended, free))
	hold("ended, its slot free", free)
	done := ended
	done.Held = decision.Held{}
	ok(t, st.HoldFamily(ctx, free, done))
	hold("ended", done)
	again := done
	again.RevokedAt = time.Time{}
	is(t, st.HoldFamily(ctx, again, ended), oauth.ErrFamilyChanged) // it has ended
}

// unbornFamilyEnds: whoever ends the sessions of a user or a client ends those
// that are about to begin, and they are born ended (F7).
func (s *suite) unbornFamilyEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(st store.Store) (int, error)
	}{
		{"user", func(st store.Store) (int, error) {
			return st.RevokeFamiliesOfUser(t.Context(), "user-1", "", epoch.Add(time.Hour), "logout")
		}},
		{"client", func(st store.Store) (int, error) {
			return st.RevokeFamiliesOfClient(t.Context(), "web", epoch.Add(time.Hour), "logout")
		}},
	} {
		st, f := s.fresh(t), unbornFamily(1)
		ok(t, st.CreateFamily(t.Context(), f))
		n, err := c.end(st)
		ok(t, err)
		same(t, c.name+": ended", n, 1)
		ok(t, st.HoldFamily(t.Context(), f, sampleFamily(1)))
		want := sampleFamily(1)
		want.RevokedAt, want.RevokeReason = epoch.Add(time.Hour), "logout"
		same(t, c.name+": born", familyByID(t, st, f.ID), want)
	}
}
