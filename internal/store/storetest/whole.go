package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/outbox"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

func (s *suite) whole() []test {
	return []test{
		{"Ping", s.ping},
		{"opened empty by many at once", s.openRace},
		{"what is written outlives the store", s.reopen},
		{"a cancelled context is an error", s.cancelled},
		{"a closed store answers with errors", s.closed},
	}
}

func (s *suite) ping(t *testing.T) {
	st := s.fresh(t)
	for range 2 {
		ok(t, st.Ping(t.Context()))
	}
	families, tokens := left(t, st)
	list, err := st.ListUsers(t.Context(), "", 10)
	ok(t, err)
	if families != 0 || tokens != 0 || len(list) != 0 {
		t.Error("a ping left something behind")
	}
}

func (s *suite) openRace(t *testing.T) {
	open, ctx := s.factory.New(t), t.Context()
	stores := make([]store.Store, 8)
	race(len(stores), func(i int) {
		st, err := open(ctx)
		if err != nil {
			t.Errorf("opening: %v", err)
			return
		}
		stores[i] = st
		if err := st.CreateUser(ctx, sampleUser(i)); err != nil {
			t.Errorf("the first write: %v", err)
		}
	})
	for _, st := range stores {
		if st == nil {
			continue
		}
		list, err := st.ListUsers(ctx, "", 100)
		ok(t, err)
		if len(list) != len(stores) {
			t.Errorf("a replica sees %d accounts; want %d", len(list), len(stores))
		}
	}
	for _, st := range stores {
		if st != nil {
			ok(t, st.Close())
		}
	}
}

func (s *suite) reopen(t *testing.T) {
	open, ctx := s.factory.New(t), t.Context()
	want := sampleFamily(1)
	for range 3 {
		st, err := open(ctx)
		ok(t, err)
		if want.Generation == sampleFamily(1).Generation {
			create(t, st, want)
		}
		same(t, "what an earlier store wrote", familyByID(t, st, want.ID), want)
		r := refreshOf(want)
		_, err = rotate(ctx, st, r)
		ok(t, err)
		want = rotated(want, r)
		ok(t, st.Close())
	}
}

// call is one method of a store with arguments that would succeed.
type call struct {
	name string
	do   func(ctx context.Context, st store.Store) error
}

// calls lists every method that takes a context.
func calls() []call {
	drop := func(_ any, err error) error { return err }
	return []call{
		{"CreateUser", func(ctx context.Context, st store.Store) error { return st.CreateUser(ctx, sampleUser(2)) }},
		{"UserByID", func(ctx context.Context, st store.Store) error { return drop(st.UserByID(ctx, uid(1))) }},
		{"UserByEmailKey", func(ctx context.Context, st store.Store) error {
			return drop(st.UserByEmailKey(ctx, sampleUser(1).EmailKey))
		}},
		{"ListUsers", func(ctx context.Context, st store.Store) error { return drop(st.ListUsers(ctx, "", 1)) }},
		{"UserByUsernameKey", func(ctx context.Context, st store.Store) error {
			return drop(st.UserByUsernameKey(ctx, sampleUser(1).UsernameKey))
		}},
		{"AnnounceHashKind", func(ctx context.Context, st store.Store) error { return st.AnnounceHashKind(ctx, "kind", epoch) }},
		{"HashKinds", func(ctx context.Context, st store.Store) error { return drop(st.HashKinds(ctx)) }},
		{"ForgetHashKind", func(ctx context.Context, st store.Store) error { return st.ForgetHashKind(ctx, "kind", epoch) }},
		{"HeldUser", func(ctx context.Context, st store.Store) error { return drop(st.HeldUser(ctx, uid(1))) }},
		{"ReplaceUser", func(ctx context.Context, st store.Store) error {
			return st.ReplaceUser(ctx, sampleUser(3), sampleUser(3))
		}},
		{"RemoveUser", func(ctx context.Context, st store.Store) error { return st.RemoveUser(ctx, sampleUser(4)) }},
		{"UsersToDelete", func(ctx context.Context, st store.Store) error { return drop(st.UsersToDelete(ctx, epoch, 1)) }},
		{"PendingUsers", func(ctx context.Context, st store.Store) error { return drop(st.PendingUsers(ctx, 1)) }},
		{"RehashPassword", func(ctx context.Context, st store.Store) error {
			return st.RehashPassword(ctx, uid(1), sampleUser(1).PasswordHash, "h")
		}},
		{"Settle", func(ctx context.Context, st store.Store) error { return st.Settle(ctx, uid(1), 7) }},
		{"Unsettled", func(ctx context.Context, st store.Store) error { return drop(st.Unsettled(ctx, 1)) }},
		{"AddCount", func(ctx context.Context, st store.Store) error { return drop(st.AddCount(ctx, "k", 1, epoch)) }},
		{"Counts", func(ctx context.Context, st store.Store) error { return drop(st.Counts(ctx, []string{"k"})) }},
		{"ResetCounts", func(ctx context.Context, st store.Store) error { return st.ResetCounts(ctx, []string{"k"}) }},
		{"CreateClient", func(ctx context.Context, st store.Store) error { return st.CreateClient(ctx, sampleClient("new")) }},
		{"ClientByID", func(ctx context.Context, st store.Store) error { return drop(st.ClientByID(ctx, "web")) }},
		{"ListClients", func(ctx context.Context, st store.Store) error { return drop(st.ListClients(ctx, "", 1)) }},
		{"HeldClient", func(ctx context.Context, st store.Store) error { return drop(st.HeldClient(ctx, "web")) }},
		{"ReplaceClient", func(ctx context.Context, st store.Store) error {
			return st.ReplaceClient(ctx, sampleClient("app"), sampleClient("app"))
		}},
		{"RemoveClient", func(ctx context.Context, st store.Store) error {
			return st.RemoveClient(ctx, sampleClient("old"))
		}},
		{"PendingClients", func(ctx context.Context, st store.Store) error { return drop(st.PendingClients(ctx, 1)) }},
		{"HeldFamily", func(ctx context.Context, st store.Store) error { return drop(st.HeldFamily(ctx, uid(1))) }},
		{"HoldFamily", func(ctx context.Context, st store.Store) error {
			return st.HoldFamily(ctx, unbornFamily(7), sampleFamily(7))
		}},
		{"RemoveFamily", func(ctx context.Context, st store.Store) error { return st.RemoveFamily(ctx, unbornFamily(8)) }},
		{"PendingFamilies", func(ctx context.Context, st store.Store) error { return drop(st.PendingFamilies(ctx, 1)) }},
		{"CreateFamily", func(ctx context.Context, st store.Store) error { return st.CreateFamily(ctx, sampleFamily(2)) }},
		{"FamilyByID", func(ctx context.Context, st store.Store) error { return drop(st.FamilyByID(ctx, uid(1))) }},
		{"RotateFamily", func(ctx context.Context, st store.Store) error {
			return drop(rotate(ctx, st, refreshOf(sampleFamily(1))))
		}},
		{"RevokeFamily", func(ctx context.Context, st store.Store) error {
			return drop(st.RevokeFamily(ctx, uid(1), epoch, "logout"))
		}},
		{"RevokeFamiliesOfUser", func(ctx context.Context, st store.Store) error {
			return drop(st.RevokeFamiliesOfUser(ctx, "user-1", "", epoch, "logout"))
		}},
		{"RevokeFamiliesOfClient", func(ctx context.Context, st store.Store) error {
			return drop(st.RevokeFamiliesOfClient(ctx, "web", epoch, "logout"))
		}},
		{"RevokeFamiliesAmong", func(ctx context.Context, st store.Store) error {
			return drop(st.RevokeFamiliesAmong(ctx, oauth.Among{UserID: "user-1", LoginID: uid(99)}, epoch, "logout"))
		}},
		{"SetFamilyClaims", func(ctx context.Context, st store.Store) error {
			return drop(st.SetFamilyClaims(ctx, "user-1", "{}"))
		}},
		{"SetFamilyEmail", func(ctx context.Context, st store.Store) error {
			return drop(st.SetFamilyEmail(ctx, "user-1", "a@example.com"))
		}},
		{"FamiliesOfUser", func(ctx context.Context, st store.Store) error {
			return drop(st.FamiliesOfUser(ctx, "user-1", epoch, 1))
		}},
		{"UntoldFamilies", func(ctx context.Context, st store.Store) error { return drop(st.UntoldFamilies(ctx, 1)) }},
		{"ToldFamily", func(ctx context.Context, st store.Store) error { return drop(st.ToldFamily(ctx, uid(1))) }},
		{"AddMessage", func(ctx context.Context, st store.Store) error { return st.AddMessage(ctx, sampleMessage(2), 0) }},
		{"DueDestinations", func(ctx context.Context, st store.Store) error {
			return drop(st.DueDestinations(ctx, outbox.Due{At: epoch, Never: epoch}, 1))
		}},
		{"DueMessages", func(ctx context.Context, st store.Store) error {
			return drop(st.DueMessages(ctx, "client web", outbox.Due{At: epoch, Never: epoch}, 1))
		}},
		{"ReplaceMessage", func(ctx context.Context, st store.Store) error {
			return st.ReplaceMessage(ctx, sampleMessage(1), takenUp(sampleMessage(1)))
		}},
		{"RemoveMessage", func(ctx context.Context, st store.Store) error { return st.RemoveMessage(ctx, sampleMessage(3)) }},
		{"Messages", func(ctx context.Context, st store.Store) error { return drop(st.Messages(ctx, "", 1)) }},
		{"DenyToken", func(ctx context.Context, st store.Store) error { return st.DenyToken(ctx, deniedUntil("jti", epoch)) }},
		{"HeldDenied", func(ctx context.Context, st store.Store) error { return drop(st.HeldDenied(ctx, "owing")) }},
		{"HoldDenied", func(ctx context.Context, st store.Store) error {
			return st.HoldDenied(ctx, owing("owing", epoch), deniedUntil("owing", epoch))
		}},
		{"PendingDenied", func(ctx context.Context, st store.Store) error { return drop(st.PendingDenied(ctx, 1)) }},
		{"TokenDenied", func(ctx context.Context, st store.Store) error { return drop(st.TokenDenied(ctx, "jti")) }},
		{"Keys", func(ctx context.Context, st store.Store) error { return drop(st.Keys(ctx)) }},
		{"ArchivedKeys", func(ctx context.Context, st store.Store) error { return drop(st.ArchivedKeys(ctx)) }},
		{"CreateKey", func(ctx context.Context, st store.Store) error { return st.CreateKey(ctx, sampleKey(1)) }},
		{"UpdateKey", func(ctx context.Context, st store.Store) error { return st.UpdateKey(ctx, sampleKey(0)) }},
		{"SetSteadyTime", func(ctx context.Context, st store.Store) error { return st.SetSteadyTime(ctx, epoch) }},
		{"SteadyTime", func(ctx context.Context, st store.Store) error { return drop(st.SteadyTime(ctx)) }},
		{"SetPlace", func(ctx context.Context, st store.Store) error {
			return st.SetPlace(ctx, audit.Place{Host: "h", Sink: "/s", At: epoch})
		}},
		{"Places", func(ctx context.Context, st store.Store) error { return drop(st.Places(ctx)) }},
		{"SetAnchor", func(ctx context.Context, st store.Store) error { return st.SetAnchor(ctx, sampleAnchor("c", 1)) }},
		{"Anchors", func(ctx context.Context, st store.Store) error { return drop(st.Anchors(ctx)) }},
		{"Ping", func(ctx context.Context, st store.Store) error { return st.Ping(ctx) }},
		{"Sweep", func(ctx context.Context, st store.Store) error { return drop(st.Sweep(ctx, epoch, 1)) }},
		{"AllFamilies", func(ctx context.Context, st store.Store) error { return drop(st.AllFamilies(ctx, "", 1)) }},
		{"Put", func(ctx context.Context, st store.Store) error {
			return st.Put(ctx, store.Records{Denied: []oauth.DeniedToken{deniedUntil("put", epoch)}})
		}},
		{"Sizes", func(ctx context.Context, st store.Store) error { return drop(st.Sizes(ctx)) }},
		{"Check", func(ctx context.Context, st store.Store) error { return drop(st.Check(ctx)) }},
		{"DeniedTokens", func(ctx context.Context, st store.Store) error { return drop(st.DeniedTokens(ctx, "", 1)) }},
	}
}

// furnish stores the records that calls work on.
func furnish(t *testing.T, st store.Store) {
	t.Helper()
	ctx := t.Context()
	ok(t, st.CreateUser(ctx, sampleUser(1)))
	ok(t, st.CreateUser(ctx, sampleUser(3)))
	ok(t, st.CreateUser(ctx, sampleUser(4)))
	for _, id := range []string{"web", "app", "old"} {
		ok(t, st.CreateClient(ctx, sampleClient(id)))
	}
	create(t, st, sampleFamily(1))
	create(t, st, unbornFamily(7))
	create(t, st, unbornFamily(8))
	ok(t, st.DenyToken(ctx, owing("owing", epoch)))
	ok(t, st.AddMessage(ctx, sampleMessage(1), 0))
	ok(t, st.AddMessage(ctx, sampleMessage(3), 0))
	ok(t, st.CreateKey(ctx, sampleKey(0)))
}

func (s *suite) cancelled(t *testing.T) {
	st := s.fresh(t)
	furnish(t, st)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range calls() {
		if err := c.do(ctx, st); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error is %v; want %v", c.name, err, context.Canceled)
		}
	}
	same(t, "the account", userByID(t, st, uid(1)), sampleUser(1))
	same(t, "the client", clientByID(t, st, "web"), sampleClient("web"))
	same(t, "the family", familyByID(t, st, uid(1)), sampleFamily(1))
	_, err := st.UserByID(t.Context(), uid(2))
	is(t, err, users.ErrNotFound)
	_, err = st.ClientByID(t.Context(), "new")
	is(t, err, clients.ErrNotFound)
	if denied(t, st, "jti") || len(allKeys(t, st)) != 1 || len(allAnchors(t, st)) != 0 {
		t.Error("a cancelled write was done")
	}
	for _, c := range calls() {
		if err := c.do(t.Context(), st); err != nil {
			t.Errorf("%s, not cancelled: %v", c.name, err)
		}
	}
}

func (s *suite) closed(t *testing.T) {
	st, err := s.factory.New(t)(t.Context())
	ok(t, err)
	furnish(t, st)
	ok(t, st.Close())
	for _, c := range calls() {
		if err := c.do(t.Context(), st); err == nil {
			t.Errorf("%s: a closed store answered", c.name)
		}
	}
}
