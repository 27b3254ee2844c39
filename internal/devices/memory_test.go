package devices_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/devices"
)

// counters are those of a store, which has removed what is over.
type counters struct {
	now     time.Time
	counts  map[string]int64
	expires map[string]time.Time
	writes  int
	down    bool
}

func (c *counters) AddCount(_ context.Context, key string, n int64, expireAt time.Time) (int64, error) {
	c.writes++
	c.counts[key] += n
	c.expires[key] = expireAt
	return c.counts[key], nil
}

func (c *counters) Counts(_ context.Context, keys []string) (counts []int64, err error) {
	for _, key := range keys {
		if !c.now.Before(c.expires[key]) {
			delete(c.counts, key)
		}
		counts = append(counts, c.counts[key])
	}
	if c.down {
		err = errors.New("the store does not answer")
	}
	return counts, err
}

// TestWhatIsKnownIsForgottenAfterHalfAYear, or up to a year, without being seen, and is
// written once in that time.
func TestWhatIsKnownIsForgottenAfterHalfAYear(t *testing.T) {
	const day = 24 * time.Hour
	home := audit.Request{IP: "2001:db8:1::1", UserAgent: "Shop/1.0 (iPhone)"}
	away := audit.Request{IP: "2001:db9:1::1", UserAgent: "Shop/2.0 (iPhone)"}
	unknown := audit.Request{UserAgent: "Shop/1.0 (iPhone)"}
	for off := range 4 {
		c := &counters{now: time.Unix(0, 0).Add(time.Duration(20_000+off*50) * day), counts: map[string]int64{}, expires: map[string]time.Time{}}
		m := &devices.Memory{Counters: c, Now: func() time.Time { return c.now }}
		use := func(after time.Duration, from audit.Request, want bool) {
			t.Helper()
			c.now = c.now.Add(after)
			s, err := m.Look(t.Context(), "ada", from)
			if err != nil || s.New != want {
				t.Errorf("starting at %d: %+v, %v", off, s, err)
			}
			if err := m.Remember(t.Context(), s); err != nil {
				t.Error(err)
			}
		}
		use(0, home, false) // the first is compared with nothing
		use(day, away, true)
		use(day, away, false)
		use(0, unknown, false)
		c.writes = 0
		for range 100 {
			use(time.Hour, home, false)
		}
		if c.writes > 3 {
			t.Errorf("starting at %d: %d writes", off, c.writes)
		}
		use(90*day, away, false)
		for range 3 {
			use(85*day, home, false)
			use(85*day, home, false)
		}
		use(0, away, true)        // after 510 days
		use(400*day, home, false) // as the first
		if s, err := m.Look(t.Context(), "grace", away); err != nil || s.New {
			t.Errorf("another account: %+v, %v", s, err)
		}
		c.down = true
		if _, err := m.Look(t.Context(), "ada", home); err == nil {
			t.Error("a store that does not answer tells what is new")
		}
	}
}
