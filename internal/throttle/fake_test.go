package throttle

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// errDown is what a fake answers that is switched off.
var errDown = errors.New("down")

// memory is Counters for tests.
type memory struct {
	mu           sync.Mutex
	counters     map[string]int64
	countersDown bool
}

func newMemory() *memory { return &memory{counters: map[string]int64{}} }

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

func from(ctx context.Context, ip string) context.Context {
	return audit.WithRequest(ctx, audit.Request{IP: ip})
}
