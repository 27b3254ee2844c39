package storetest

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/oauth"
)

func (s *suite) clients() []test {
	return []test{
		{"every field comes back", s.clientRoundTrip},
		{"odd strings come back", s.clientOddStrings},
		{"unknown", s.clientUnknown},
		{"taken id", s.clientTaken},
		{"of many with one id one is created", s.clientTakenRace},
		{"pages", s.clientPages},
		{"SetClientSecret and DisableClient", s.clientChanges},
		{"UpdateClient", s.clientUpdate},
		{"of many updates of one state one is made", s.clientUpdateRace},
	}
}

func clientByID(t *testing.T, st store.Store, id string) oauth.Client {
	t.Helper()
	c, err := st.ClientByID(t.Context(), id)
	ok(t, err)
	return c
}

func (s *suite) clientRoundTrip(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	full := sampleClient("full")
	full.Disabled = true
	public := oauth.Client{ID: "public", Public: true, Scope: []string{}, Grants: []string{"password"}}
	for _, c := range []oauth.Client{full, public, {ID: "bare"}} {
		ok(t, st.CreateClient(ctx, c))
		same(t, "by id", clientByID(t, st, c.ID), c)
	}
	if hash := clientByID(t, st, "public").SecretHash; hash != nil {
		t.Errorf("a public client has the secret hash %v; want nil", hash)
	}
}

func (s *suite) clientOddStrings(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	for _, text := range odd {
		c := sampleClient(text)
		c.Grants, c.Scope, c.Audience = []string{text, "x"}, []string{text}, []string{"", text, text}
		c.DefaultScope, c.JWKS, c.JWKSURI, c.Claims = []string{text}, text, text, []string{text}
		ok(t, st.CreateClient(ctx, c))
		same(t, "odd string", clientByID(t, st, text), c)
	}
}

func (s *suite) clientUnknown(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	ok(t, st.CreateClient(ctx, sampleClient("web")))
	for _, id := range []string{"", "Web", "web ", "other"} {
		_, err := st.ClientByID(ctx, id)
		is(t, err, oauth.ErrNoClient)
		is(t, st.SetClientSecret(ctx, id, []byte{1}, epoch), oauth.ErrNoClient)
		is(t, st.DisableClient(ctx, id, epoch), oauth.ErrNoClient)
		is(t, st.UpdateClient(ctx, oauth.Client{ID: id}, epoch), oauth.ErrNoClient)
	}
	same(t, "the other client", clientByID(t, st, "web"), sampleClient("web"))
}

func (s *suite) clientTaken(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	ok(t, st.CreateClient(ctx, sampleClient("web")))
	is(t, st.CreateClient(ctx, oauth.Client{ID: "web"}), oauth.ErrClientExists)
	same(t, "the first client", clientByID(t, st, "web"), sampleClient("web"))
}

func (s *suite) clientTakenRace(t *testing.T) {
	stores, ctx := s.replicas(t, 2), t.Context()
	var wins atomic.Int64
	race(30, func(i int) {
		switch err := stores[i%2].CreateClient(ctx, sampleClient("web")); {
		case err == nil:
			wins.Add(1)
		case !errors.Is(err, oauth.ErrClientExists):
			t.Errorf("error is %v; want %v", err, oauth.ErrClientExists)
		}
	})
	if wins.Load() != 1 {
		t.Errorf("%d clients were created with one id", wins.Load())
	}
}

func (s *suite) clientPages(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	for _, id := range []string{"b", "a-2", "a", "C", "a.1"} {
		ok(t, st.CreateClient(ctx, sampleClient(id)))
	}
	var seen []string
	after := ""
	for {
		page, err := st.ListClients(ctx, after, 2)
		ok(t, err)
		if len(page) > 2 {
			t.Fatalf("a page of 2 has %d clients", len(page))
		}
		if len(page) == 0 {
			break
		}
		for _, c := range page {
			same(t, "listed", c, sampleClient(c.ID))
			seen = append(seen, c.ID)
		}
		after = seen[len(seen)-1]
	}
	same(t, "order of the pages", seen, []string{"C", "a", "a-2", "a.1", "b"})
	none, err := st.ListClients(ctx, "", 0)
	ok(t, err)
	same(t, "a page of none", none, nil)
}

func (s *suite) clientChanges(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	want := sampleClient("web")
	ok(t, st.CreateClient(ctx, want))
	ok(t, st.CreateClient(ctx, sampleClient("other")))

	want.SecretHash, want.UpdatedAt = []byte{7, 7, 7}, epoch.Add(time.Hour)
	ok(t, st.SetClientSecret(ctx, "web", want.SecretHash, want.UpdatedAt))
	same(t, "after SetClientSecret", clientByID(t, st, "web"), want)

	want.Disabled, want.UpdatedAt = true, epoch.Add(2*time.Hour)
	ok(t, st.DisableClient(ctx, "web", want.UpdatedAt))
	same(t, "after DisableClient", clientByID(t, st, "web"), want)
	ok(t, st.DisableClient(ctx, "web", want.UpdatedAt))
	same(t, "after a second DisableClient", clientByID(t, st, "web"), want)
	same(t, "the other client", clientByID(t, st, "other"), sampleClient("other"))
}

func (s *suite) clientUpdate(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	old := sampleClient("web")
	ok(t, st.CreateClient(ctx, old))
	ok(t, st.CreateClient(ctx, sampleClient("other")))
	ok(t, st.DisableClient(ctx, "web", old.UpdatedAt))

	want := oauth.Client{
		ID: "web", JWKSURI: "https://new.example.com/jwks", Grants: []string{"client_credentials"}, Scope: []string{"a", "b"},
		DefaultScope: []string{"b"}, Audience: []string{"urn:new"}, Claims: []string{"tier"}, AccessTTL: time.Second, RefreshIdleTTL: time.Minute,
		RefreshTTL: time.Hour, Disabled: true, CreatedAt: old.CreatedAt, UpdatedAt: old.UpdatedAt.Add(time.Second),
	}
	given := want
	// What it does not change.
	given.Disabled, given.Public, given.CreatedAt = false, true, epoch.Add(time.Hour)
	is(t, st.UpdateClient(ctx, given, old.UpdatedAt.Add(time.Millisecond)), oauth.ErrClientChanged)
	ok(t, st.UpdateClient(ctx, given, old.UpdatedAt))
	same(t, "after UpdateClient", clientByID(t, st, "web"), want)
	is(t, st.UpdateClient(ctx, given, old.UpdatedAt), oauth.ErrClientChanged)

	bare := oauth.Client{ID: "web", Disabled: true, CreatedAt: old.CreatedAt, UpdatedAt: want.UpdatedAt.Add(time.Second)}
	ok(t, st.UpdateClient(ctx, bare, want.UpdatedAt))
	same(t, "after an update that empties", clientByID(t, st, "web"), bare)
	same(t, "the other client", clientByID(t, st, "other"), sampleClient("other"))
}

func (s *suite) clientUpdateRace(t *testing.T) {
	stores, ctx := s.replicas(t, 2), t.Context()
	old := sampleClient("web")
	ok(t, stores[0].CreateClient(ctx, old))
	var wins atomic.Int64
	race(20, func(i int) {
		next := old
		next.UpdatedAt = old.UpdatedAt.Add(time.Duration(i+1) * time.Millisecond)
		switch err := stores[i%2].UpdateClient(ctx, next, old.UpdatedAt); {
		case err == nil:
			wins.Add(1)
		case !errors.Is(err, oauth.ErrClientChanged):
			t.Errorf("error is %v; want %v", err, oauth.ErrClientChanged)
		}
	})
	if n := wins.Load(); n != 1 && !s.factory.LosesUpdates {
		t.Errorf("%d updates of one state were made", n)
	}
}
