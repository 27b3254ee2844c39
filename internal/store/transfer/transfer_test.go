package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/mongodb"
	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
	"github.com/keyturn/keyturn/internal/store/sqlite"
	"github.com/keyturn/keyturn/internal/store/transfer"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

func silent(string, int) {}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openSQLite(t *testing.T) store.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "keyturn.db"))
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func openMongoDB(t *testing.T) store.Store {
	t.Helper()
	s, err := mongodb.Open(t.Context(), mongotest.URI(t))
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// fill puts more than a page of sessions, and some of everything else, into s.
func fill(t *testing.T, s store.Store) {
	t.Helper()
	ctx := t.Context()
	at := time.Date(2101, 3, 1, 12, 0, 0, 123e6, time.UTC)
	for i := range 3 {
		id := fmt.Sprintf("u%d", i)
		must(t, s.CreateUser(ctx, users.User{UID: id, Email: id + "@Example.com", EmailKey: id + "@example.com", PasswordHash: "$argon2id$x", Epoch: int64(i), CreatedAt: at, UpdatedAt: at, PasswordChangedAt: at}))
	}
	must(t, s.CreateClient(ctx, oauth.Client{ID: "shop", Grants: []string{"password"}, SecretHash: []byte{1, 2}, AccessTTL: time.Minute, CreatedAt: at, UpdatedAt: at}))
	must(t, s.CreateClient(ctx, oauth.Client{ID: "page", Public: true, Scope: []string{"openid"}, CreatedAt: at, UpdatedAt: at}))
	for i := range 512 {
		must(t, s.CreateFamily(ctx, oauth.Family{
			ID: fmt.Sprintf("f%04d", i), ClientID: "shop", UserID: "u1", Scope: []string{"openid"}, Salt: []byte{byte(i)}, MasterID: "m", Generation: int64(i),
			RotatedAt: at, AuthTime: at, CreatedAt: at, IdleExpiresAt: at, ExpiresAt: at, PurgeAt: at,
		}))
	}
	must(t, s.CreateKey(ctx, keys.Record{Seq: 0, KID: "k0", Alg: "ES256", Public: []byte("{}"), CreatedAt: at, ActivateAt: at, Archived: true}))
	must(t, s.CreateKey(ctx, keys.Record{Seq: 1, KID: "k1", Alg: "ES256", Public: []byte("{}"), Sealed: []byte{9}, CreatedAt: at, ActivateAt: at, TokenTTL: time.Hour}))
	must(t, s.DenyToken(ctx, "jti", at))
	must(t, s.SetAnchor(ctx, audit.Anchor{Chain: "c", Seq: 4, Hash: "h", Node: "n", At: at}))
}

func copyAndCompare(ctx context.Context, from, to store.Store) error {
	if err := transfer.Copy(ctx, from, to, silent); err != nil {
		return err
	}
	here, err := transfer.Digest(ctx, from, silent)
	if err != nil {
		return err
	}
	there, err := transfer.Digest(ctx, to, silent)
	if err != nil {
		return err
	}
	return transfer.Compare(here, there)
}

func TestCopyThereAndBack(t *testing.T) {
	first, second, third := openSQLite(t), openMongoDB(t), openSQLite(t)
	fill(t, first)
	must(t, copyAndCompare(t.Context(), first, second))
	must(t, copyAndCompare(t.Context(), second, third))
	again, err := transfer.Digest(t.Context(), third, silent)
	must(t, err)
	for _, d := range again {
		want := map[string]int{"keys": 2, "clients": 2, "users": 3, "sessions": 512, "denied tokens": 1, "audit anchors": 1}[d.Kind]
		if d.Count != want {
			t.Errorf("%d %s, want %d", d.Count, d.Kind, want)
		}
	}
}

func TestATargetWithDataIsRefused(t *testing.T) {
	from, to := openSQLite(t), openSQLite(t)
	fill(t, from)
	must(t, to.DenyToken(t.Context(), "x", time.Now()))
	if err := transfer.Copy(t.Context(), from, to, silent); err == nil || !strings.Contains(err.Error(), "denied tokens") {
		t.Fatalf("got %v", err)
	}
}

func TestADifferenceIsFound(t *testing.T) {
	from, to := openSQLite(t), openSQLite(t)
	fill(t, from)
	must(t, copyAndCompare(t.Context(), from, to))
	_, err := to.SetDisabled(t.Context(), "u2", true, time.Now())
	must(t, err)
	here, err := transfer.Digest(t.Context(), from, silent)
	must(t, err)
	there, err := transfer.Digest(t.Context(), to, silent)
	must(t, err)
	if err := transfer.Compare(here, there); !errors.Is(err, transfer.ErrDiffer) || !strings.Contains(err.Error(), "users") {
		t.Fatalf("got %v", err)
	}
}
