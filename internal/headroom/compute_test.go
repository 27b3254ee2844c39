package headroom

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
)

// TestThreadsAreUsedAgain computes often, and at most three times at once; some of
// it in a bubble, which ends.
func TestThreadsAreUsedAgain(t *testing.T) {
	const atOnce = 3
	for range 50 {
		synctest.Test(t, func(*testing.T) {
			var all sync.WaitGroup
			for range atOnce {
				all.Go(func() { Compute(func() {}) })
			}
			all.Wait()
		})
	}
	if n := len(idle); n == 0 || n > atOnce {
		t.Errorf("%d threads for %d computations at once", n, atOnce)
	}
}

func TestAPanicGoesOnInTheCaller(t *testing.T) {
	broken := errors.New("broken")
	defer func() {
		if p := recover(); p != broken {
			t.Errorf("recovered %v; want %v", p, broken)
		}
	}()
	Compute(func() { panic(broken) })
	t.Error("the caller went on")
}
