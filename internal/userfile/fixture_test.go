package userfile

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/internal/passwords/passwordstest"
	"github.com/keyturn/keyturn/internal/store/sqlite"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

var vectors = passwordstest.Hashes()

const goodPassword = "violet harbour at noon"

// errDown is what fails in tests fails with.
var errDown = errors.New("down")

// events is an audit log for tests.
type events struct {
	mu   sync.Mutex
	all  []audit.Event
	down bool
}

func (e *events) Record(_ context.Context, event audit.Event) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.down {
		return errDown
	}
	e.all = append(e.all, event)
	return nil
}

// fixture is a Service over a store that is empty.
type fixture struct {
	*users.Service
	store  *sqlite.Store
	events *events
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "keyturn.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	hasher, err := passwords.NewHasher(passwords.Params{MemoryKiB: 32, Time: 1, Threads: 1}, 4)
	if err != nil {
		t.Fatal(err)
	}
	log := &events{}
	s, err := users.NewService(users.Service{
		Store: store, Hasher: hasher, Sessions: oauth.SessionEnder{Store: store, Audit: log, Now: time.Now}, Audit: log, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{Service: s, store: store, events: log}
}

// seal gives the fixture a master key.
func (f *fixture) seal(t testing.TB) {
	t.Helper()
	line, err := keys.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	masters, err := keys.ParseMasters([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	f.Sealer = masters.Sealer(users.SealFactors)
}

// withAda has an account for ada@example.org, and no events.
func withAda(t testing.TB) *fixture {
	t.Helper()
	f := newFixture(t)
	if _, err := f.Add(t.Context(), users.NewUser{Email: "ada@example.org", Password: goodPassword}); err != nil {
		t.Fatal(err)
	}
	f.events.all = nil
	return f
}

// accounts returns all accounts, by uid.
func (f *fixture) accounts(t testing.TB) map[string]users.User {
	t.Helper()
	all, err := f.store.ListUsers(t.Context(), "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]users.User{}
	for _, u := range all {
		by[u.UID] = u
	}
	return by
}
