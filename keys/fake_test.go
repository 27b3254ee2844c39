package keys

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

var errDown = errors.New("store is down")

// fakeStore keeps the Store's promises in memory.
type fakeStore struct {
	mu      sync.Mutex
	records []Record
	reads   int
	writes  int
	// down fails every call, readOnly every write; lost makes writes that
	// take effect report failure.
	down, readOnly, lost bool
	// onWrite, if set, runs at the beginning of each write.
	onWrite func()
}

func (s *fakeStore) list(archived bool) ([]Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.down {
		return nil, errDown
	}
	var out []Record
	for _, r := range s.records {
		if r.Archived == archived {
			out = append(out, r)
		}
	}
	return out, nil
}

func (s *fakeStore) Keys(context.Context) ([]Record, error)         { return s.list(false) }
func (s *fakeStore) ArchivedKeys(context.Context) ([]Record, error) { return s.list(true) }

func (s *fakeStore) write(change func() error) error {
	if s.onWrite != nil {
		s.onWrite()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down || s.readOnly {
		return errDown
	}
	if err := change(); err != nil {
		return err
	}
	s.writes++
	if s.lost {
		return errDown
	}
	return nil
}

func (s *fakeStore) CreateKey(_ context.Context, r Record) error {
	return s.write(func() error {
		for _, other := range s.records {
			if other.Seq == r.Seq || other.KID == r.KID {
				return ErrKeyExists
			}
		}
		s.records = append(s.records, r)
		slices.SortFunc(s.records, func(a, b Record) int { return int(a.Seq - b.Seq) })
		return nil
	})
}

func (s *fakeStore) UpdateKey(_ context.Context, r Record) error {
	return s.write(func() error {
		i := find(s.records, r.KID)
		switch {
		case i < 0:
			return ErrNoKey
		case s.records[i].Version != r.Version:
			return ErrConflict
		}
		r.Version++
		s.records[i] = r
		return nil
	})
}

func (s *fakeStore) get(kid string) Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.records[find(s.records, kid)]
}

// recorder keeps events, or fails.
type recorder struct {
	mu     sync.Mutex
	events []audit.Event
	err    error
}

func (r *recorder) Record(_ context.Context, e audit.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	r.events = append(r.events, e)
	return nil
}

// count returns how many events of one action and outcome there are.
func (r *recorder) count(a audit.Action, o audit.Outcome) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, e := range r.events {
		if e.Action == a && e.Outcome == o {
			n++
		}
	}
	return n
}

var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func testPolicy() Policy {
	return Policy{
		Algs: []string{ES256}, Interval: time.Hour, Lead: 10 * time.Minute, Poll: 15 * time.Second,
		Skew: 5 * time.Second, MaxAge: 5 * time.Minute, TokenTTL: 20 * time.Minute,
	}
}

// testMasters makes n fresh master keys.
func testMasters(t testing.TB, n int) *Masters {
	t.Helper()
	var lines []string
	for range n {
		line, err := NewMaster()
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	m, err := ParseMasters([]byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// replica is a Keeper with a clock of its own.
type replica struct {
	*Keeper
	at     *time.Time
	offset time.Duration
	log    *recorder
	errs   []error
}

func newReplica(t testing.TB, s Store, vault Vault, p Policy, at *time.Time) *replica {
	t.Helper()
	r := &replica{at: at, log: &recorder{}}
	k, err := NewKeeper(Options{
		Store: s, Vault: vault, Policy: p, Audit: r.log,
		Now:     func() time.Time { return at.Add(r.offset) },
		Elapsed: func() time.Duration { return at.Sub(start) },
		OnError: func(err error) { r.errs = append(r.errs, err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Keeper = k
	return r
}

func (r *replica) poll(t testing.TB) {
	t.Helper()
	if err := r.Poll(context.Background()); err != nil {
		t.Fatalf("Poll: %v", err)
	}
}

// world is one store, one clock and one replica.
type world struct {
	store *fakeStore
	vault Vault
	now   time.Time
	*replica
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{store: &fakeStore{}, vault: testMasters(t, 1).Vault(), now: start}
	w.replica = newReplica(t, w.store, w.vault, testPolicy(), &w.now)
	return w
}

// pass lets time pass, polling as the server does.
func (w *world) pass(t testing.TB, d time.Duration) {
	t.Helper()
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(min(w.policy.Poll, end.Sub(w.now)))
		w.poll(t)
	}
}

func (w *world) active(t testing.TB) string {
	t.Helper()
	info, err := w.ring.Active()
	if err != nil {
		t.Fatal(err)
	}
	return info.KID
}

// published returns the kids that a ring publishes.
func published(r *Ring) map[string]bool {
	set := make(map[string]bool)
	if s := r.current(); s != nil {
		for kid := range s.verifiers {
			set[kid] = true
		}
	}
	return set
}
