package oauth_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/store/sqlite"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
)

// clock is a clock that stands until it is moved.
type clock struct {
	mu sync.Mutex
	t  time.Time
	// off is how wrong it is.
	off time.Duration
}

func newClock() *clock { return &clock{t: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t.Add(c.off)
}

// steady is the time that elapsed time confirms.
func (c *clock) steady() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) jump(off time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off = off
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func openStore(t *testing.T) oauth.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "keyturn.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newMasters(t testing.TB, lines ...string) *keys.Masters {
	t.Helper()
	if len(lines) == 0 {
		lines = []string{newMasterLine(t)}
	}
	m, err := keys.ParseMasters([]byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func newMasterLine(t testing.TB) string {
	t.Helper()
	line, err := keys.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	return line
}

type fixture struct {
	*oauth.Families
	clock *clock
	store oauth.Store
	ctx   context.Context
}

func newFixture(t *testing.T, change func(*oauth.Settings)) *fixture {
	settings := testSettings
	if change != nil {
		change(&settings)
	}
	c, s := newClock(), openStore(t)
	for _, id := range []string{app.ID, "other"} {
		client := app
		client.ID = id
		if err := s.CreateClient(t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
	ctx := audit.WithRequest(t.Context(), audit.Request{ID: "r", IP: "192.0.2.1", UserAgent: "test"})
	return &fixture{oauth.NewFamilies(s, newMasters(t), settings, c.now, c.steady), c, s, ctx}
}

func (f *fixture) login(t *testing.T) (oauth.Family, string) {
	t.Helper()
	fam, token, err := f.Start(f.ctx, app, "uid-1", "ada@example.com", []string{"openid", "email"}, []string{"https://api.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return fam, token
}

// spend refreshes and fails the test unless that works.
func (f *fixture) spend(t *testing.T, token string) string {
	t.Helper()
	_, next, err := f.Refresh(f.ctx, token, app.ID, "")
	if err != nil {
		t.Fatalf("refresh: %v", err)
	}
	return next
}

// refuse refreshes and fails the test unless it is refused for the reason.
func (f *fixture) refuse(t *testing.T, token, clientID, reason string) oauth.Refusal {
	t.Helper()
	_, _, err := f.Refresh(f.ctx, token, clientID, "")
	no, ok := oauth.RefusalOf(err)
	if !ok || no.Reason != reason {
		t.Fatalf("refresh: got %v, want a refusal for %s", err, reason)
	}
	return no
}

func (f *fixture) family(t *testing.T, id string) oauth.Family {
	t.Helper()
	fam, err := f.store.FamilyByID(f.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return fam
}
