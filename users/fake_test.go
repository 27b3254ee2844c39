package users

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/internal/throttle"
)

// errDown is what a fake answers that is switched off.
var errDown = errors.New("down")

// memory is a Store, Counters, Sessions and audit.Recorder for tests.
type memory struct {
	mu           sync.Mutex
	users        map[string]User
	counters     map[string]int64
	kinds        map[string]time.Time
	failAnnounce bool
	emails       map[string]string // uid -> address in its sessions
	events       []audit.Event
	sessions     map[string][]string // uid -> session ids
	ended        []string            // reasons, in order
	claims       map[string]string   // uid -> what sessions bear

	storeDown, countersDown, sessionsDown, countDown, auditDown bool
	// onRead runs, unlocked, after an account was read; onReplace before one
	// is replaced.
	onRead    func()
	onReplace func(seen, next User)
}

func newMemory() *memory {
	return &memory{users: map[string]User{}, counters: map[string]int64{}, sessions: map[string][]string{}, kinds: map[string]time.Time{}, emails: map[string]string{}, claims: map[string]string{}}
}

func (m *memory) CreateUser(_ context.Context, u User) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.storeDown {
		return errDown
	}
	for _, other := range m.users {
		if u.EmailKey != "" && other.EmailKey == u.EmailKey {
			return ErrEmailTaken
		}
		if u.UsernameKey != "" && other.UsernameKey == u.UsernameKey {
			return ErrUsernameTaken
		}
	}
	m.users[u.UID] = u
	return nil
}

func (m *memory) find(match func(User) bool) (User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.storeDown {
		return User{}, errDown
	}
	for _, u := range m.users {
		if !u.Unborn && match(u) {
			return u, nil
		}
	}
	return User{}, ErrNotFound
}

func (m *memory) UserByID(_ context.Context, uid string) (User, error) {
	return m.find(func(u User) bool { return u.UID == uid })
}

func (m *memory) UserByEmailKey(_ context.Context, key string) (User, error) {
	u, err := m.find(func(u User) bool { return u.EmailKey == key && key != "" })
	if m.onRead != nil {
		m.onRead()
	}
	return u, err
}

func (m *memory) ListUsers(_ context.Context, after string, limit int) ([]User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.storeDown {
		return nil, errDown
	}
	var page []User
	for _, uid := range slices.Sorted(maps.Keys(m.users)) {
		if uid > after && len(page) < limit && !m.users[uid].Unborn {
			page = append(page, m.users[uid])
		}
	}
	return page, nil
}

func (m *memory) change(uid string, f func(u *User) error) (User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.storeDown {
		return User{}, errDown
	}
	u, ok := m.users[uid]
	if !ok {
		return User{}, ErrNotFound
	}
	if err := f(&u); err != nil {
		return User{}, err
	}
	m.users[uid] = u
	return u, nil
}

// HeldUser finds unborn accounts too.
func (m *memory) HeldUser(_ context.Context, uid string) (User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.storeDown {
		return User{}, errDown
	}
	u, ok := m.users[uid]
	if !ok {
		return User{}, ErrNotFound
	}
	return u, nil
}

func (m *memory) ReplaceUser(_ context.Context, seen, next User) error {
	if m.onReplace != nil {
		m.onReplace(seen, next)
	}
	_, err := m.change(seen.UID, func(u *User) error {
		if u.Version != seen.Version || !u.UpdatedAt.Equal(seen.UpdatedAt) {
			return ErrConflict
		}
		for _, other := range m.users {
			switch {
			case other.UID == u.UID:
			case next.EmailKey != "" && other.EmailKey == next.EmailKey:
				return ErrEmailTaken
			case next.UsernameKey != "" && other.UsernameKey == next.UsernameKey:
				return ErrUsernameTaken
			}
		}
		*u = next
		u.UID, u.Version = seen.UID, seen.Version+1
		return nil
	})
	return err
}

func (m *memory) RemoveUser(_ context.Context, seen User) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	u, ok := m.users[seen.UID]
	switch {
	case m.storeDown:
		return errDown
	case !ok:
		return ErrNotFound
	case u.Version != seen.Version:
		return ErrConflict
	}
	delete(m.users, seen.UID)
	return nil
}

func (m *memory) PendingUsers(_ context.Context, limit int) ([]User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []User
	for _, u := range m.users {
		if u.SlotID != "" && len(found) < limit {
			found = append(found, u)
		}
	}
	return found, nil
}

func (m *memory) UserByUsernameKey(_ context.Context, key string) (User, error) {
	u, err := m.find(func(u User) bool { return u.UsernameKey == key && key != "" })
	if m.onRead != nil {
		m.onRead()
	}
	return u, err
}

func (m *memory) RehashPassword(_ context.Context, uid, from, to string) error {
	_, err := m.change(uid, func(u *User) error {
		if u.PasswordHash == from && u.Free() {
			u.PasswordHash = to
			u.Version++
		}
		return nil
	})
	return err
}

func (m *memory) Settle(_ context.Context, uid string, epoch int64) error {
	_, err := m.change(uid, func(u *User) error {
		u.Unsettled = u.Unsettled && u.Epoch != epoch
		return nil
	})
	return err
}

func (m *memory) UsersToDelete(context.Context, time.Time, int) ([]User, error) { return nil, nil }

func (m *memory) Unsettled(_ context.Context, limit int) ([]User, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []User
	for _, u := range m.users {
		if u.Unsettled && len(found) < limit {
			found = append(found, u)
		}
	}
	return found, nil
}

func (m *memory) AddCount(_ context.Context, key string, n int64, _ time.Time) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.countersDown {
		return 0, errDown
	}
	m.counters[key] += n
	return m.counters[key], nil
}

func (m *memory) Counts(_ context.Context, keys []string) ([]int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.countersDown {
		return nil, errDown
	}
	counts := make([]int64, len(keys))
	for i, key := range keys {
		counts[i] = m.counters[key]
	}
	return counts, nil
}

func (m *memory) ResetCounts(_ context.Context, keys []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		delete(m.counters, key)
	}
	return nil
}

func (m *memory) Record(_ context.Context, e audit.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.auditDown {
		return errDown
	}
	m.events = append(m.events, e)
	return nil
}

// lastEvent returns the one event that was written since the last call.
func (m *memory) lastEvent(t *testing.T) audit.Event {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.events) != 1 {
		t.Fatalf("%d events were written, want exactly one: %+v", len(m.events), m.events)
	}
	e := m.events[0]
	m.events = nil
	if err := audittest.Check(e); err != nil {
		t.Error(err)
	}
	return e
}

// clock is a clock that tests turn.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// cheap is for tests that are not about cost.
var cheap = passwords.Params{MemoryKiB: 32, Time: 1, Threads: 1}

const (
	goodPassword  = "violet harbour at noon"
	otherPassword = "nine lanterns on a hill"
	wrongPassword = "not the right one, sorry"
)

// What the throttle lets pass before it slows, and two networks.
const (
	freeOfPair    = 5
	freeOfNetwork = 100
	home          = "192.0.2.7"
	abroad        = "198.51.100.9"
)

// fixture is a Service over memory, with one account.
type fixture struct {
	*Service
	mem   *memory
	clock *clock
	ada   User
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	mem, clk := newMemory(), newClock()
	hasher, err := passwords.NewHasher(cheap, 4)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewService(Service{
		Store: mem, Hasher: hasher, Sessions: mem, Audit: mem, Now: clk.now,
		Throttle: throttle.New(mem, clk.now),
	})
	if err != nil {
		t.Fatal(err)
	}
	ada, err := s.Add(t.Context(), NewUser{Email: "Ada@Example.org", Password: goodPassword})
	if err != nil {
		t.Fatal(err)
	}
	mem.events = nil
	ada = mem.users[ada.UID]
	return &fixture{Service: s, mem: mem, clock: clk, ada: ada}
}

func from(ctx context.Context, ip string) context.Context {
	return audit.WithRequest(ctx, audit.Request{IP: ip})
}

func wantReason(t *testing.T, err error, reason string) {
	t.Helper()
	no := refusal.Of(err)
	if !refusal.Is(err, refusal.BadCredentials) || no.Reason.String() != reason || err.Error() != "Invalid email or password" {
		t.Fatalf("got %#v, want bad credentials for %s", err, reason)
	}
}

// stored returns an account without what it holds of decisions.
func (f *fixture) stored(uid string) User { return bare(f.mem.users[uid]) }

func bare(u User) User {
	u.Held = decision.Held{}
	return u
}
