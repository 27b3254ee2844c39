package storetest

import (
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/outbox"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

func (s *suite) puts() []test {
	return []test{
		{"Put stores every field of every kind", s.putAll},
		{"Put takes the place of what is there", s.putOver},
		{"Put lets names pass from account to account", s.putSwapped},
		{"Check finds nothing wrong with a store", s.checkSound},
	}
}

// everything is a record or more of each kind, unlike what a Create makes.
func everything() store.Records {
	disabled := sampleUser(2)
	disabled.Disabled, disabled.Unsettled, disabled.Username, disabled.UsernameKey = true, true, "", ""
	ended := sampleFamily(2)
	ended.RevokedAt, ended.RevokeReason, ended.Generation = epoch, "logout", 99
	archived := sampleKey(1)
	archived.Archived, archived.Version, archived.Sealed = true, 12, nil
	gone := sampleClient("gone")
	gone.Disabled = true
	return store.Records{
		Users:    []users.User{sampleUser(1), disabled},
		Clients:  []clients.Client{gone, sampleClient("web")},
		Families: []oauth.Family{sampleFamily(1), ended},
		Keys:     []keys.Record{sampleKey(0), archived},
		Denied:   []oauth.DeniedToken{deniedUntil("a", epoch), owing("b", epoch.Add(time.Hour))},
		Messages: []outbox.Message{sampleMessage(1), takenUp(sampleMessage(2))},
	}
}

func (s *suite) holds(t *testing.T, st store.Store, want store.Records) {
	t.Helper()
	got := contentsOf(t, st)
	same(t, "accounts", got.Users, want.Users)
	same(t, "clients", got.Clients, want.Clients)
	same(t, "families", got.Families, want.Families)
	same(t, "messages", got.Messages, want.Messages)
	same(t, "denied tokens", got.Denied, want.Denied)
	same(t, "keys", append(got.Keys, got.Archived...), want.Keys)
	sizes, err := st.Sizes(t.Context())
	ok(t, err)
	same(t, "sizes", sizes, store.Sizes{
		Users: int64(len(want.Users)), Clients: int64(len(want.Clients)),
		Families: int64(len(want.Families)), Denied: int64(len(want.Denied)),
	})
}

func (s *suite) putAll(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	ok(t, st.Put(ctx, store.Records{}))
	s.holds(t, st, store.Records{})
	for range 2 {
		ok(t, st.Put(ctx, everything()))
		s.holds(t, st, everything())
	}
}

func (s *suite) putOver(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	ok(t, st.Put(ctx, everything()))
	next := everything()
	next.Users[0].PasswordHash, next.Users[0].Epoch = "other", 8
	next.Clients[1].Scope = []string{"other"}
	next.Families[0].Generation, next.Families[0].RevokedAt, next.Families[0].RevokeReason = 1, epoch, "reuse"
	next.Families[1].RevokedAt, next.Families[1].RevokeReason = time.Time{}, "" // as after a restored backup
	next.Keys[0].Sealed, next.Keys[0].Version = nil, 4
	next.Messages[0] = takenUp(next.Messages[0])
	next.Denied[0].ExpireAt = epoch.Add(-time.Hour)
	next.Families = append(next.Families, sampleFamily(3)) // one that is new among those that are not
	ok(t, st.Put(ctx, next))
	s.holds(t, st, next)
	if n, err := st.RevokeFamiliesOfUser(ctx, "user-1", "", epoch, "logout"); n != 2 || err != nil {
		t.Errorf("%d families were live, %v; want 2", n, err)
	}
}

// putSwapped puts accounts whose addresses and usernames went round since: each
// stands where another stood, and one is new.
func (s *suite) putSwapped(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	list := []users.User{sampleUser(1), sampleUser(2), sampleUser(3), sampleUser(4)}
	ok(t, st.Put(ctx, store.Records{Users: list}))
	next := []users.User{sampleUser(1), sampleUser(2), sampleUser(3), sampleUser(5)}
	for i := range 3 {
		from := list[(i+1)%3]
		next[i].Email, next[i].EmailKey = from.Email, from.EmailKey
		next[i].Username, next[i].UsernameKey = from.Username, from.UsernameKey
	}
	for range 2 {
		ok(t, st.Put(ctx, store.Records{Users: next}))
		s.holds(t, st, store.Records{Users: []users.User{next[0], next[1], next[2], sampleUser(4), next[3]}})
	}
}

func (s *suite) checkSound(t *testing.T) {
	st := s.fresh(t)
	furnish(t, st)
	found, err := st.Check(t.Context())
	ok(t, err)
	same(t, "what is wrong", found, nil)
}
