package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/mongodb"
	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
	"github.com/keyturn/keyturn/internal/store/sqlite"
	"github.com/keyturn/keyturn/internal/store/storetest"
	"github.com/keyturn/keyturn/internal/store/transfer"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

func silent(string, int64, int64) {}

// now is when the copies begin, long before anything that fill stores expires.
var now = time.Now().UTC().Truncate(time.Millisecond)

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
	s, err := mongodb.Open(t.Context(), mongotest.URI(t), mongodb.Options{AcceptRisk: true})
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
	must(t, s.CreateClient(ctx, clients.Client{ID: "shop", Grants: []string{"password"}, SecretHash: []byte{1, 2}, AccessTTL: time.Minute, CreatedAt: at, UpdatedAt: at}))
	must(t, s.CreateClient(ctx, clients.Client{ID: "page", Public: true, Scope: []string{"openid"}, CreatedAt: at, UpdatedAt: at}))
	for i := range 512 {
		must(t, s.CreateFamily(ctx, oauth.Family{
			ID: fmt.Sprintf("f%04d", i), ClientID: "shop", UserID: "u1", Scope: []string{"openid"}, Salt: []byte{byte(i)}, MasterID: "m", Generation: int64(i),
			RotatedAt: at, AuthTime: at, CreatedAt: at, IdleExpiresAt: at, ExpiresAt: at, PurgeAt: at,
		}))
	}
	must(t, s.CreateKey(ctx, keys.Record{Seq: 0, KID: "k0", Alg: "ES256", Public: []byte("{}"), CreatedAt: at, ActivateAt: at, Archived: true}))
	must(t, s.CreateKey(ctx, keys.Record{Seq: 1, KID: "k1", Alg: "ES256", Public: []byte("{}"), Sealed: []byte{9}, CreatedAt: at, ActivateAt: at, TokenTTL: time.Hour}))
	must(t, s.DenyToken(ctx, oauth.DeniedToken{JTI: "jti", ExpireAt: at}))
	must(t, s.AnnounceHashKind(ctx, "$kind$", at))
	must(t, s.SetAnchor(ctx, audit.Anchor{Chain: "c", Seq: 4, Hash: "h", Node: "n", At: at}))
}

// move copies, compares, and returns what the copy wrote and kept in all.
func move(t *testing.T, from, to store.Store) (written, kept int64) {
	t.Helper()
	done, err := transfer.Copy(t.Context(), from, to, now, silent)
	must(t, err)
	_, err = transfer.Compare(t.Context(), from, to, now, silent)
	must(t, err)
	for _, k := range done {
		written, kept = written+k.Written, kept+k.Kept
	}
	return written, kept
}

// filled is how many records fill stores.
const filled = 2 + 2 + 3 + 512 + 1 + 1

func TestCopyThereAndBack(t *testing.T) {
	first, second, third := openSQLite(t), openMongoDB(t), openSQLite(t)
	fill(t, first)
	move(t, first, second)
	if written, kept := move(t, second, third); written != filled || kept != 0 {
		t.Errorf("%d records were written and %d kept; want %d and none", written, kept, filled)
	}
	if kinds, err := third.HashKinds(t.Context()); err != nil || !slices.Equal(kinds, []string{"$kind$"}) {
		t.Errorf("the kinds of hashes are %v, %v", kinds, err)
	}
	here, err := transfer.Digest(t.Context(), first, now, silent)
	must(t, err)
	there, err := transfer.Compare(t.Context(), first, third, now, silent)
	must(t, err)
	for i, d := range there {
		want := map[string]int64{"keys": 2, "clients": 2, "users": 3, "sessions": 512, "denied tokens": 1, "audit anchors": 1}[d.Kind]
		if d.Count != want || d != here[i] {
			t.Errorf("%+v; want %d, and the same as %+v", d, want, here[i])
		}
	}
}

// TestACopyIsResumed lets the target fail under every batch in turn: repeating
// the copy finishes it, and nothing that stood is written again.
func TestACopyIsResumed(t *testing.T) {
	for name, open := range map[string]func(*testing.T) store.Store{"SQLite": openSQLite, "MongoDB": openMongoDB} {
		for _, fault := range []storetest.Fault{storetest.Fails, storetest.Persists} {
			t.Run(name+", "+fault.String(), func(t *testing.T) {
				t.Parallel()
				from, to := openSQLite(t), storetest.NewFaulty(open(t))
				fill(t, from)
				left, stride := 0, 1
				if name == "MongoDB" {
					stride = 4 // FerretDB takes its time
				}
				for allowed := 0; ; allowed += stride {
					calls := 0
					to.Inject(func(method string) storetest.Fault {
						if method != "Put" && method != "SetAnchor" {
							return storetest.None
						}
						if calls++; calls > allowed {
							return fault
						}
						return storetest.None
					})
					_, err := transfer.Copy(t.Context(), from, to, now, silent)
					if err == nil {
						break
					}
					if !errors.Is(err, storetest.ErrFault) {
						t.Fatal(err)
					}
					if left++; left > 20 {
						t.Fatal("the copy never ends")
					}
				}
				to.Inject(nil)
				if written, kept := move(t, from, to); written != 0 || kept != filled || left == 0 {
					t.Errorf("after %d failures, %d records were written again and %d kept", left, written, kept)
				}
			})
		}
	}
}

// TestACopyCatchesUp copies from a source that goes on working, and again.
func TestACopyCatchesUp(t *testing.T) {
	for name, open := range map[string]func(*testing.T) store.Store{"SQLite": openSQLite, "MongoDB": openMongoDB} {
		t.Run(name, func(t *testing.T) {
			ctx, from, to := t.Context(), openSQLite(t), open(t)
			fill(t, from)
			move(t, from, to)
			_, err := from.RevokeFamily(ctx, "f0007", now, "logout")
			must(t, err)
			must(t, disableUser(ctx, from, "u2"))
			u1, err := from.UserByID(ctx, "u1")
			must(t, err)
			must(t, from.RemoveUser(ctx, u1))
			must(t, from.CreateUser(ctx, users.User{UID: "again", Email: "U1@example.com", EmailKey: "u1@example.com"}))
			page, err := from.ClientByID(ctx, "page")
			must(t, err)
			disabled := page
			disabled.Disabled = true
			must(t, from.ReplaceClient(ctx, page, disabled))
			must(t, from.CreateFamily(ctx, oauth.Family{ID: "f0003-later", PurgeAt: now.AddDate(100, 0, 0)}))
			must(t, from.CreateFamily(ctx, oauth.Family{ID: "gone", PurgeAt: now}))
			must(t, from.UpdateKey(ctx, keys.Record{Seq: 1, KID: "k1", Alg: "ES256", Archived: true}))
			must(t, from.SetAnchor(ctx, audit.Anchor{Chain: "c", Seq: 9, Hash: "h9", Node: "n", At: now}))
			if written, kept := move(t, from, to); written != 7 || kept != filled-6 {
				t.Errorf("%d records were written and %d kept; want 7 and %d", written, kept, filled-6)
			}
			f, err := to.FamilyByID(ctx, "f0007")
			must(t, err)
			if f.RevokeReason != "logout" {
				t.Error("a session that was ended meanwhile lives on in the copy")
			}
		})
	}
}

// TestATargetInUseIsRefused names targets that are no copies of the source: not
// one record of theirs may be touched.
func TestATargetInUseIsRefused(t *testing.T) {
	for name, use := range map[string]func(t *testing.T, from, to store.Store){
		"it has records of its own": func(t *testing.T, _, to store.Store) {
			must(t, to.DenyToken(t.Context(), oauth.DeniedToken{JTI: "x", ExpireAt: now.Add(time.Hour)}))
		},
		"it is another deployment": func(t *testing.T, _, to store.Store) {
			fill(t, to)
			must(t, to.SetAnchor(t.Context(), audit.Anchor{Chain: "other", Seq: 1}))
		},
		"a server has worked on the copy": func(t *testing.T, from, to store.Store) {
			move(t, from, to)
			must(t, to.SetAnchor(t.Context(), audit.Anchor{Chain: "new", Seq: -1}))
		},
		"a command has gone on in the copy": func(t *testing.T, from, to store.Store) {
			move(t, from, to)
			must(t, to.SetAnchor(t.Context(), audit.Anchor{Chain: "c", Seq: 5}))
		},
		"a server has run on the copy": func(t *testing.T, from, to store.Store) {
			move(t, from, to)
			must(t, to.SetSteadyTime(t.Context(), now))
		},
		"it has a client that the source has not": func(t *testing.T, from, to store.Store) {
			move(t, from, to)
			must(t, to.CreateClient(t.Context(), clients.Client{ID: "a"}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := openSQLite(t), openSQLite(t)
			fill(t, from)
			use(t, from, to)
			_, err := from.RevokeFamily(t.Context(), "f0000", now, "logout")
			must(t, err)
			before, err := transfer.Digest(t.Context(), to, now, silent)
			must(t, err)
			if _, err := transfer.Copy(t.Context(), from, to, now, silent); !errors.Is(err, transfer.ErrNotACopy) {
				t.Errorf("error is %v; want %v", err, transfer.ErrNotACopy)
			}
			after, err := transfer.Digest(t.Context(), to, now, silent)
			must(t, err)
			if !slices.Equal(before, after) {
				t.Error("the target was changed")
			}
		})
	}
}

func disableUser(ctx context.Context, s store.Store, uid string) error {
	u, err := s.UserByID(ctx, uid)
	if err != nil {
		return err
	}
	disabled := u
	disabled.Disabled = true
	return s.ReplaceUser(ctx, u, disabled)
}

func TestADifferenceIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		change func(ctx context.Context, to store.Store) error
		says   string
	}{
		"changed": {func(ctx context.Context, to store.Store) error {
			return disableUser(ctx, to, "u2")
		}, `users, after 2: the stores differ: they have not the same of "u2"`},
		"added": {func(ctx context.Context, to store.Store) error {
			return to.CreateFamily(ctx, oauth.Family{ID: "f0511x", PurgeAt: now.Add(time.Hour)})
		}, `sessions, after 512: the stores differ: only the second has "f0511x"`},
		"missing": {func(ctx context.Context, to store.Store) error {
			_, err := to.Sweep(ctx, now.AddDate(200, 0, 0), 1000)
			return err
		}, `sessions, after 0: the stores differ: only the first has "f0000"`},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := openSQLite(t), openSQLite(t)
			fill(t, from)
			move(t, from, to)
			must(t, c.change(t.Context(), to))
			if _, err := transfer.Compare(t.Context(), from, to, now, silent); !errors.Is(err, transfer.ErrDiffer) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error is %v; want %s", err, c.says)
			}
		})
	}
}

// TestWhatHasExpiredDoesNotCount compares a store that was swept with one that
// was not.
func TestWhatHasExpiredDoesNotCount(t *testing.T) {
	from, to := openSQLite(t), openSQLite(t)
	fill(t, from)
	move(t, from, to)
	must(t, to.CreateFamily(t.Context(), oauth.Family{ID: "old", PurgeAt: now}))
	must(t, to.DenyToken(t.Context(), oauth.DeniedToken{JTI: "old", ExpireAt: now}))
	_, err := transfer.Compare(t.Context(), from, to, now, silent)
	must(t, err)
}

// TestACopyOutlastsTheSweeper has records expire while a copy runs, and the one
// store sweep them and the other not: neither the copy nor the comparison minds.
func TestACopyOutlastsTheSweeper(t *testing.T) {
	first, second := openSQLite(t), openSQLite(t)
	fill(t, first)
	move(t, first, second)
	soon := now.Add(time.Millisecond)
	must(t, second.CreateFamily(t.Context(), oauth.Family{ID: "f0007x", PurgeAt: soon}))
	must(t, second.DenyToken(t.Context(), oauth.DeniedToken{JTI: "soon", ExpireAt: soon}))
	for time.Now().Before(soon) {
		runtime.Gosched()
	}
	move(t, first, second)
	if _, err := transfer.Compare(t.Context(), second, first, now, silent); err != nil {
		t.Error(err)
	}
}
