package store

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// heap is a store with expired records, whose sweeps take a while.
type heap struct {
	left   int
	takes  time.Duration
	busy   time.Duration
	breaks error
}

func (h *heap) Sweep(_ context.Context, _ time.Time, limit int) (int, error) {
	time.Sleep(h.takes)
	h.busy += h.takes
	n := min(limit, h.left)
	h.left -= n
	if h.left == 0 && h.breaks != nil {
		return n, h.breaks
	}
	return n, nil
}

// TestSweepAllKeepsUp removes a million records in one go, and leaves the store
// alone for half of the time.
func TestSweepAllKeepsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heap{left: 1_000_000, takes: 5 * time.Millisecond}
		began := time.Now()
		n, err := SweepAll(t.Context(), h, began)
		if n != 1_000_000 || err != nil || h.left != 0 {
			t.Errorf("removed %d, %v; %d are left", n, err, h.left)
		}
		if took := time.Since(began); took < 2*h.busy-h.takes {
			t.Errorf("the store was busy for %v of %v", h.busy, took)
		}
	})
}

// TestSweepAllEnds ends on time, with its context, and with the store.
func TestSweepAllEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		n, err := SweepAll(t.Context(), &heap{left: 1 << 40, takes: time.Second}, began)
		if took := time.Since(began); n == 0 || err != nil || took < sweepFor || took > sweepFor+2*time.Second {
			t.Errorf("without an end: %d, %v after %v", n, err, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5500*time.Millisecond)
		defer cancel()
		began = time.Now()
		if _, err := SweepAll(ctx, &heap{left: 1 << 40, takes: time.Second}, began); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 7*time.Second {
			t.Errorf("with a context that ends: %v after %v", err, time.Since(began))
		}
		broken := errors.New("broken")
		if n, err := SweepAll(t.Context(), &heap{left: 700, breaks: broken}, began); n != 700 || !errors.Is(err, broken) {
			t.Errorf("with a store that breaks: %d, %v", n, err)
		}
	})
}
