package inspect_test

import (
	"context"
	"crypto"
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/inspect"
	"github.com/keyturn/keyturn/internal/store/mongodb"
	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
	"github.com/keyturn/keyturn/internal/store/sqlite"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

var now = time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func onBothStores(t *testing.T, test func(t *testing.T, s store.Store)) {
	for name, open := range map[string]func(*testing.T) (store.Store, error){
		"SQLite": func(t *testing.T) (store.Store, error) {
			return sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "keyturn.db"))
		},
		"MongoDB": func(t *testing.T) (store.Store, error) {
			return mongodb.Open(t.Context(), mongotest.URI(t), mongodb.Options{AcceptRisk: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := open(t)
			must(t, err)
			t.Cleanup(func() { must(t, s.Close()) })
			test(t, s)
		})
	}
}

func newMasters(t *testing.T) *keys.Masters {
	t.Helper()
	line, err := keys.NewMaster()
	must(t, err)
	m, err := keys.ParseMasters([]byte(line))
	must(t, err)
	return m
}

// addKey stores a signing key whose private half masters seal.
func addKey(t *testing.T, s store.Store, masters *keys.Masters, seq int64, spoil func(sealed []byte)) string {
	t.Helper()
	private, sealed, err := masters.Vault().Make(t.Context(), "ES256")
	must(t, err)
	if spoil != nil {
		spoil(sealed)
	}
	sum, err := (&jose.JSONWebKey{Key: private.Public()}).Thumbprint(crypto.SHA256)
	must(t, err)
	kid := base64.RawURLEncoding.EncodeToString(sum)
	must(t, s.CreateKey(t.Context(), keys.Record{
		Seq: seq, KID: kid, Alg: "ES256", Public: []byte("{}"), Sealed: sealed, CreatedAt: now, ActivateAt: now, TokenTTL: time.Hour,
	}))
	return kid
}

func family(id, user, client, master string) oauth.Family {
	later := now.Add(time.Hour)
	return oauth.Family{
		ID: id, UserID: user, ClientID: client, MasterID: master, Salt: []byte{1}, Scope: []string{"openid"},
		RotatedAt: now, AuthTime: now, CreatedAt: now, IdleExpiresAt: later, ExpiresAt: later, PurgeAt: later,
	}
}

// TestRecordsThatDoNotFit has one of everything that can be wrong, beside what
// looks like it and is in order.
func TestRecordsThatDoNotFit(t *testing.T) {
	onBothStores(t, func(t *testing.T, s store.Store) {
		ctx := t.Context()
		given, lost := newMasters(t), newMasters(t)
		must(t, s.CreateUser(ctx, users.User{UID: "u1", Email: "a@example.com", EmailKey: "a@example.com", CreatedAt: now, UpdatedAt: now}))
		must(t, s.CreateClient(ctx, clients.Client{ID: "app", Public: true, CreatedAt: now, UpdatedAt: now}))
		addKey(t, s, given, 0, nil)
		ended, expired := family("ended", "gone", "gone", lost.Primary()), family("expired", "gone", "gone", lost.Primary())
		ended.RevokedAt, expired.IdleExpiresAt = now, now
		for _, f := range []oauth.Family{family("whole", "u1", "app", given.Primary()), ended, expired} {
			must(t, s.CreateFamily(ctx, f))
		}
		check(t, s, given)

		foreign := addKey(t, s, lost, 1, nil)
		spoilt := addKey(t, s, given, 2, func(sealed []byte) { sealed[len(sealed)-1] ^= 1 })
		for _, f := range []oauth.Family{
			family("no-user", "u2", "app", given.Primary()), family("no-client", "u1", "web", given.Primary()),
			family("no-master", "u1", "app", lost.Primary()),
		} {
			must(t, s.CreateFamily(ctx, f))
		}
		check(t, s, given,
			[]string{"signing keys", lost.Primary(), foreign}, []string{"signing keys", "do not open", spoilt},
			[]string{"live sessions", lost.Primary(), "no-master"}, []string{"accounts that do not exist", "no-user of u2"},
			[]string{"clients that do not exist", "no-client of web"})
		check(t, s, nil, []string{"no-user of u2"}, []string{"no-client of web"})
	})
}

// check looks for what is wrong: a sentence with all of each list of words, and
// no other.
func check(t *testing.T, s store.Store, masters *keys.Masters, want ...[]string) {
	t.Helper()
	got, err := inspect.Records(t.Context(), s, masters, now, func(string, int64, int64) {})
	must(t, err)
	if len(got) != len(want) {
		t.Errorf("found %q; want %q", got, want)
	}
	for _, words := range want {
		found := false
		for _, sentence := range got {
			all := true
			for _, w := range words {
				all = all && strings.Contains(sentence, w)
			}
			found = found || all
		}
		if !found {
			t.Errorf("%q say nothing of %q", got, words)
		}
	}
}

// growing is a store on which a server works: an account is made, and logged
// into, after the accounts were listed.
type growing struct {
	store.Store
	t *testing.T
}

func (g growing) ListUsers(ctx context.Context, after string, limit int) ([]users.User, error) {
	page, err := g.Store.ListUsers(ctx, after, limit)
	if len(page) == 0 {
		must(g.t, g.CreateUser(ctx, users.User{UID: "new", Email: "n@example.com", EmailKey: "n@example.com", CreatedAt: now, UpdatedAt: now}))
		must(g.t, g.CreateFamily(ctx, family("first", "new", "app", "")))
	}
	return page, err
}

func TestAStoreInUseIsNotWrong(t *testing.T) {
	onBothStores(t, func(t *testing.T, s store.Store) {
		must(t, s.CreateClient(t.Context(), clients.Client{ID: "app", Public: true, CreatedAt: now, UpdatedAt: now}))
		check(t, growing{s, t}, nil)
	})
}

// TestManyAreCounted names some and counts the rest.
func TestManyAreCounted(t *testing.T) {
	onBothStores(t, func(t *testing.T, s store.Store) {
		must(t, s.CreateClient(t.Context(), clients.Client{ID: "app", Public: true, CreatedAt: now, UpdatedAt: now}))
		for n := range 13 {
			must(t, s.CreateFamily(t.Context(), family(string(rune('a'+n)), "u2", "app", "")))
		}
		check(t, s, nil, []string{"a of u2", "j of u2 and 3 more ("})
	})
}
