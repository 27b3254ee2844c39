package throttle

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// lockstep is Counters whose readers all wait for each other, so that what each
// of them does next rests on the same counts.
type lockstep struct {
	*memory
	cond    *sync.Cond
	readers int
	waiting int
	round   int
}

func (l *lockstep) Counts(ctx context.Context, keys []string) ([]int64, error) {
	counts, err := l.memory.Counts(ctx, keys)
	l.cond.L.Lock()
	defer l.cond.L.Unlock()
	if l.waiting++; l.waiting == l.readers {
		l.waiting = 0
		l.round++
		l.cond.Broadcast()
	}
	for round := l.round; l.waiting > 0 && round == l.round; {
		l.cond.Wait()
	}
	return counts, err
}

func (l *lockstep) AddCount(ctx context.Context, key string, n int64, expireAt time.Time) (int64, error) {
	defer runtime.Gosched()
	return l.memory.AddCount(ctx, key, n, expireAt)
}

// flood begins 200 attempts at once and returns how many may be judged.
func (g guesser) flood(account, ip string) int64 {
	const many = 200
	at := New(&lockstep{memory: g.mem, cond: sync.NewCond(new(sync.Mutex)), readers: many}, g.clock.now)
	var judged atomic.Int64
	var wg sync.WaitGroup
	for range many {
		wg.Go(func() {
			if _, err := at.Begin(from(g.Context(), ip), account); err == nil {
				judged.Add(1)
			}
		})
	}
	wg.Wait()
	return judged.Load()
}

func TestU4_GuessesAtOnceAreCountedOneByOne(t *testing.T) {
	g := newGuesser(t)
	flood := func() int64 { return g.flood("ada", home) }
	// It may be none: the network's gate is as narrow for 200 at once, and an
	// attempt that is early at one gate may be late at the other.
	if n := flood(); n > perPair.free {
		t.Errorf("%d of 200 guesses at once were judged, %d are free", n, perPair.free)
	} else if seen := g.seenBy(perPair, "ada", networkOf(home)); seen != n {
		t.Errorf("%d guesses were judged and %d charged", n, seen)
	}
	for range perPair.free {
		g.try("ada", home)
		g.clock.advance(time.Minute)
	}
	for range 5 {
		g.clock.advance(15 * time.Minute)
		before := g.seenBy(perPair, "ada", networkOf(home))
		if n := flood(); n != 1 {
			t.Errorf("%d of 200 guesses at once were judged where one is due", n)
		}
		if after := g.seenBy(perPair, "ada", networkOf(home)); after != before+1 {
			t.Errorf("one guess was judged and %d charged", after-before)
		}
	}
}

// Attempts that rest on different counts, because one read them a moment later,
// do not pass side by side.
func TestU4_OneTurnWhateverTheCount(t *testing.T) {
	g := newGuesser(t)
	passed := 0
	for n := perPair.free; n < perPair.free+20; n++ {
		gate := newGate(perPair, g.clock.now(), "ada", home)
		first, err := gate.takeTurn(t.Context(), g.mem, n)
		if err != nil {
			t.Fatal(err)
		}
		if first {
			passed++
		}
	}
	if passed != 1 {
		t.Errorf("%d attempts passed in one moment", passed)
	}
}

// The delay that a failure earned stays due when older failures are forgotten.
func TestU4_DelayOutlivesOlderFailures(t *testing.T) {
	g := newGuesser(t)
	for i := range perNetwork.free + 3 {
		if _, wait := g.try(fmt.Sprint(i), home); wait != 0 {
			g.clock.advance(wait)
			g.try(fmt.Sprint(i), home)
		}
	}
	// All of these are in the window before now, and weigh less every second.
	g.clock.at = g.clock.at.Truncate(time.Hour).Add(time.Hour)
	for range 6 {
		_, wait := g.try("x", home)
		g.clock.advance(wait)
		g.try("x", home)
	}
	_, wait := g.try("x", home)
	for seen := g.seenBy(perNetwork, networkOf(home)); wait > 0; {
		g.clock.advance(time.Second)
		if wait -= time.Second; wait <= 0 {
			break
		}
		if a, _ := g.try("y", home); a != nil {
			t.Fatalf("let in %s early; %d failures then, %d now", wait, seen, g.seenBy(perNetwork, networkOf(home)))
		}
	}
}
