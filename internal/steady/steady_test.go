package steady

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// world is a wall clock that can be set, beside time that elapses.
type world struct {
	wall    time.Time
	elapsed time.Duration
	jumps   []time.Duration
}

func (w *world) pass(d time.Duration) { w.wall, w.elapsed = w.wall.Add(d), w.elapsed+d }

func (w *world) clock(last time.Time) *Clock {
	return New(func() time.Time { return w.wall }, func() time.Duration { return w.elapsed }, last,
		func(by time.Duration) { w.jumps = append(w.jumps, by) })
}

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func TestT1_AWrongMinuteMovesNothing(t *testing.T) {
	w := &world{wall: noon}
	c := w.clock(time.Time{})
	for _, by := range []time.Duration{45 * 24 * time.Hour, -2 * time.Hour} {
		before := len(w.jumps)
		w.wall = w.wall.Add(by)
		for range 8 {
			w.pass(10 * time.Second)
			if got, want := c.Now(), w.wall.Add(-by); !got.Equal(want) {
				t.Fatalf("%s off: %s, want %s", by, got, want)
			}
			if c.Offset() != by {
				t.Fatalf("%s off: told as %s", by, c.Offset())
			}
		}
		w.wall = w.wall.Add(-by)
		if got := c.Now(); !got.Equal(w.wall) || c.Offset() != 0 || len(w.jumps) != before+1 || w.jumps[before] != by {
			t.Errorf("%s off and back: %s, offset %s, jumps %v", by, got, c.Offset(), w.jumps)
		}
	}
	if c.Jumps() != 2 {
		t.Errorf("%d jumps counted", c.Jumps())
	}
}

func TestT1_AnEvenClockIsBelievedInTheEnd(t *testing.T) {
	w := &world{wall: noon}
	// It comes back after three days, as from a long stop.
	c := w.clock(noon.Add(-72 * time.Hour))
	for range int(Confirmation/time.Minute) - 1 {
		w.pass(time.Minute)
		if got, want := c.Now(), w.wall.Add(-72*time.Hour); !got.Equal(want) {
			t.Fatalf("%s after the start: %s, want %s", w.elapsed, got, want)
		}
	}
	w.pass(time.Minute)
	if got := c.Now(); !got.Equal(w.wall) || c.Offset() != 0 {
		t.Errorf("after %s: %s, want %s", w.elapsed, got, w.wall)
	}
	if len(w.jumps) != 1 {
		t.Errorf("told %d times", len(w.jumps))
	}
}

// A clock that was set back while nobody looked has jumped, and what goes by both
// clocks waits for it. When it is right again, all goes on as if nothing had been.
func TestT1_ABeginningInThePast(t *testing.T) {
	w := &world{wall: noon}
	c := w.clock(noon.Add(48 * time.Hour))
	w.pass(time.Minute)
	if got, want := c.Now(), noon.Add(48*time.Hour+time.Minute); !got.Equal(want) || c.Offset() != -48*time.Hour || len(w.jumps) != 1 {
		t.Errorf("%s, off by %s, %d jumps; want %s", got, c.Offset(), len(w.jumps), want)
	}
	if got := c.Earliest(); !got.Equal(w.wall) {
		t.Errorf("the earliest is %s, want %s", got, w.wall)
	}
	w.wall = w.wall.Add(48 * time.Hour)
	if got := c.Now(); !got.Equal(w.wall) || c.Offset() != 0 || !c.Earliest().Equal(w.wall) {
		t.Errorf("set right: %s, want %s", got, w.wall)
	}
}

func TestT1_AClockThatKeepsJumpingIsNotBelieved(t *testing.T) {
	w := &world{wall: noon}
	c := w.clock(time.Time{})
	for n := range 100 {
		w.wall = w.wall.Add(time.Hour)
		w.pass(time.Minute)
		if got, want := c.Now(), noon.Add(w.elapsed); !got.Equal(want) {
			t.Fatalf("after %d jumps: %s, want %s", n+1, got, want)
		}
	}
}

func TestT1_DriftAndShortStopsAreFollowed(t *testing.T) {
	w := &world{wall: noon}
	c := w.clock(noon.Add(-30 * time.Second))
	for range 1000 {
		w.pass(time.Minute)
		w.wall = w.wall.Add(time.Second)
		if !c.Now().Equal(w.wall) {
			t.Fatalf("%s, want %s", c.Now(), w.wall)
		}
	}
	if len(w.jumps) != 0 {
		t.Errorf("%d jumps told", len(w.jumps))
	}
}

// Steps that no single look calls a jump do not add up unseen, in either direction: the
// clock follows a minute in fifteen at most.
func TestT1_SmallStepsDoNotAddUp(t *testing.T) {
	for _, step := range []time.Duration{30 * time.Second, -30 * time.Second, 2 * time.Second} {
		w := &world{wall: noon}
		c := w.clock(time.Time{})
		for range 360 {
			w.wall = w.wall.Add(step)
			w.pass(10 * time.Second)
			c.Now()
		}
		if off, most := c.Now().Sub(noon.Add(w.elapsed)), Tolerance+time.Duration(w.elapsed/Confirmation)*Tolerance; off.Abs() > most {
			t.Errorf("steps of %s: %s off after %s, want %s at most", step, off, w.elapsed, most)
		}
		if len(w.jumps) == 0 {
			t.Errorf("steps of %s: told nobody", step)
		}
		// It runs evenly from then on, and is believed in the end.
		for range 16 {
			w.pass(time.Minute)
			c.Now()
		}
		if got := c.Now(); !got.Equal(w.wall) || c.Offset() != 0 {
			t.Errorf("steps of %s, and even since: %s, want %s", step, got, w.wall)
		}
	}
}

// Whatever a wall clock does, one that is wrong for less than Confirmation at a
// stretch never moves the Clock further than Tolerance from elapsed time.
func TestT1_AnyClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{wall: noon}
		c := w.clock(time.Time{})
		for range rapid.IntRange(1, 30).Draw(t, "stretches") {
			by := time.Duration(rapid.Int64Range(int64(-1000*time.Hour), int64(1000*time.Hour)).Draw(t, "off"))
			if by.Abs() <= Tolerance {
				continue
			}
			w.wall = w.wall.Add(by)
			for left := time.Duration(rapid.Int64Range(1, int64(Confirmation-1)).Draw(t, "for")); left > 0; left -= time.Minute {
				w.pass(min(left, time.Minute))
				if off := c.Now().Sub(noon.Add(w.elapsed)).Abs(); off > 0 {
					t.Fatalf("%s off elapsed time", off)
				}
			}
			w.wall = w.wall.Add(-by)
			w.pass(time.Second)
			c.Now()
		}
	})
}
