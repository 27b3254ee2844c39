package storetest

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/store"
)

func (s *suite) clients() []test {
	return []test{
		{"every field comes back", s.clientRoundTrip},
		{"odd strings come back", s.clientOddStrings},
		{"unknown", s.clientUnknown},
		{"taken id", s.clientTaken},
		{"of many with one id one is created", s.clientTakenRace},
		{"pages", s.clientPages},
		{"ReplaceClient and RemoveClient", s.replaceClient},
		{"of many replacements of one state one is made", s.replaceClientRace},
		{"an unborn client is none, and holds its id", s.unbornClient},
	}
}

func clientByID(t *testing.T, st store.Store, id string) clients.Client {
	t.Helper()
	c, err := st.ClientByID(t.Context(), id)
	ok(t, err)
	return c
}

func (s *suite) clientRoundTrip(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	full := sampleClient("full")
	full.Disabled = true
	public := clients.Client{ID: "public", Public: true, Scope: []string{}, Grants: []string{"password"}}
	for _, c := range []clients.Client{full, public, {ID: "bare"}} {
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
		is(t, err, clients.ErrNotFound)
		_, err = st.HeldClient(ctx, id)
		is(t, err, clients.ErrNotFound)
		is(t, st.ReplaceClient(ctx, sampleClient(id), sampleClient(id)), clients.ErrNotFound)
		is(t, st.RemoveClient(ctx, sampleClient(id)), clients.ErrNotFound)
	}
	same(t, "the other client", clientByID(t, st, "web"), sampleClient("web"))
}

func (s *suite) clientTaken(t *testing.T) {
	st, ctx := s.fresh(t), t.Context()
	ok(t, st.CreateClient(ctx, sampleClient("web")))
	is(t, st.CreateClient(ctx, clients.Client{ID: "web"}), clients.ErrExists)
	same(t, "the first client", clientByID(t, st, "web"), sampleClient("web"))
}

func (s *suite) clientTakenRace(t *testing.T) {
	stores, ctx := s.replicas(t, 2), t.Context()
	var wins atomic.Int64
	race(30, func(i int) {
		switch err := stores[i%2].CreateClient(ctx, sampleClient("web")); {
		case err == nil:
			wins.Add(1)
		case !errors.Is(err, clients.ErrExists):
			t.Errorf("error is %v; want %v", err, clients.ErrExists)
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
