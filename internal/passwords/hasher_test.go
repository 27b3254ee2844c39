package passwords

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn/internal/refusal"
)

// cheap is for tests that are not about cost.
var cheap = Params{MemoryKiB: 32, Time: 1, Threads: 1}

const (
	goodPassword  = "violet harbour at noon"
	wrongPassword = "not the right one, sorry"
)

func newHasher(t testing.TB, concurrency int) *Hasher {
	t.Helper()
	h, err := NewHasher(cheap, concurrency)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// take takes a slot.
func take(t *testing.T, h *Hasher) computer {
	t.Helper()
	slot, err := h.acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slot
}

func TestU2_OnlySoManyHashAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t, 2)
		slot := take(t, h)
		take(t, h)
		done := make(chan error, 1)
		go func() {
			_, err := h.Hash(t.Context(), goodPassword)
			done <- err
		}()
		synctest.Wait()
		if s := h.Stats(); s.InFlight != 2 || s.Waiting != 1 || s.Computed != 0 {
			t.Fatalf("with both slots taken: %+v", s)
		}
		h.release(slot)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if s := h.Stats(); s.InFlight != 1 || s.Waiting != 0 || s.Computed != 1 {
			t.Errorf("after one slot was freed: %+v", s)
		}
	})
}

func TestU2_BusyAfterPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t, 1)
		take(t, h)
		begin := time.Now()
		_, err := h.Verify(t.Context(), "", goodPassword, true, nil)
		if !refusal.Is(err, refusal.Busy) || refusal.Of(err).RetryAfter < time.Second {
			t.Fatalf("got %v, want Busy with a time to retry after", err)
		}
		if waited := time.Since(begin); waited != patience {
			t.Errorf("waited %s, want %s", waited, patience)
		}
		if s := h.Stats(); s.Refused != 1 || s.Computed != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestU2_BusyAtOnceWhenTheQueueIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHasher(t, 1)
		take(t, h)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range waitersPerSlot {
			wg.Go(func() {
				if err := h.Dummy(ctx, goodPassword, nil); !errors.Is(err, context.Canceled) {
					t.Errorf("a cancelled wait ended with %v", err)
				}
			})
		}
		synctest.Wait()
		begin := time.Now()
		if err := h.Dummy(ctx, goodPassword, nil); !refusal.Is(err, refusal.Busy) || time.Since(begin) != 0 {
			t.Errorf("behind a full queue: %v after %s", err, time.Since(begin))
		}
		cancel()
		wg.Wait()
		if s := h.Stats(); s.Waiting != 0 {
			t.Errorf("%d still wait", s.Waiting)
		}
	})
}

func TestNewHasherRefuses(t *testing.T) {
	if _, err := NewHasher(Params{}, 1); err == nil {
		t.Error("zero parameters were accepted")
	}
	for _, concurrency := range []int{-1, MaxConcurrency + 1} {
		if _, err := NewHasher(cheap, concurrency); err == nil {
			t.Errorf("a concurrency of %d was accepted", concurrency)
		}
	}
	if h, err := NewHasher(cheap, 0); err != nil || cap(h.slots) < 1 {
		t.Errorf("the default: %v", err)
	}
}

// Whoever comes when as many wait as may is told so before anything is done.
func TestU2_ACrowdIsToldAtOnce(t *testing.T) {
	t.Parallel()
	h := newHasher(t, 2)
	h.waiting.Add(h.queue())
	if err := h.Crowded(); !refusal.Is(err, refusal.Busy) || refusal.Of(err).RetryAfter <= 0 || h.Stats().Refused != 1 {
		t.Errorf("with as many waiting as may: %v", err)
	}
	h.waiting.Add(-1)
	if err := h.Crowded(); err != nil {
		t.Errorf("with one place to wait in: %v", err)
	}
	zero := &Hasher{}
	_, err := zero.Verify(t.Context(), "", goodPassword, true, nil)
	if !refusal.Is(err, refusal.Busy) || !refusal.Is(zero.Crowded(), refusal.Busy) || zero.Stats().Computed != 0 {
		t.Errorf("a Hasher without a place: %v", err)
	}
}
