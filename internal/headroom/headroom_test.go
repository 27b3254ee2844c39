package headroom

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

type recorder struct{ now, changes int }

func (r *recorder) raise(by int) { r.now, r.changes = r.now+by, r.changes+1 }
func (r *recorder) restore()     { r.now, r.changes = 0, r.changes+1 }

func TestRoomWhileNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		full := make(chan struct{}, 1)
		var r recorder
		ended := make(chan struct{})
		go func() { keep(ctx, full, 2, &r); close(ended) }()
		after := func(d time.Duration, now, changes int) {
			t.Helper()
			time.Sleep(d) // the bubble's clock
			synctest.Wait()
			if r.now != now || r.changes != changes {
				t.Errorf("%d more processors after %d changes; want %d after %d", r.now, r.changes, now, changes)
			}
		}
		after(time.Hour, 0, 0)
		full <- struct{}{}
		after(0, 2, 1)
		for range 5 {
			after(linger*9/10, 2, 1)
			full <- struct{}{}
		}
		after(2*linger, 0, 2)
		after(time.Hour, 0, 2)
		full <- struct{}{}
		after(0, 2, 3)
		stop()
		<-ended
		if r.now != 0 {
			t.Error("the scheduler was left as Keep had set it")
		}
	})
}

func TestTheSchedulerIsRestored(t *testing.T) {
	for _, setting := range []string{"", "3"} {
		t.Run("GOMAXPROCS="+setting, func(t *testing.T) {
			t.Setenv("GOMAXPROCS", setting)
			var g goRuntime
			g.raise(1)
			g.restore()
			before := runtime.GOMAXPROCS(0)
			want := before + 5 + len(pulseCores(5))
			g.raise(5)
			if got := runtime.GOMAXPROCS(0); got != want {
				t.Errorf("raised from %d to %d; want %d", before, got, want)
			}
			g.restore()
			if got := runtime.GOMAXPROCS(0); got != before || setting == "3" && got != 3 {
				t.Errorf("%d processors at the end, %d before", got, before)
			}
			g.raise(0)
			if got := runtime.GOMAXPROCS(0); got != before {
				t.Errorf("%d processors where none was asked for, %d before", got, before)
			}
			g.restore()
		})
	}
	runtime.SetDefaultGOMAXPROCS()
}

func TestTheCollectorIsRestored(t *testing.T) {
	percent := func(set int) int {
		was := debug.SetGCPercent(set)
		debug.SetGCPercent(was)
		return was
	}
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	for _, c := range []struct{ before, during int }{{100, leanGC}, {400, leanGC}, {leanGC, leanGC}, {20, 20}, {-1, -1}} {
		debug.SetGCPercent(c.before)
		var g goRuntime
		g.raise(1)
		if got := percent(100); got != c.during {
			t.Errorf("with GOGC %d it ran at %d meanwhile; want %d", c.before, got, c.during)
		}
		g.restore()
		if got := percent(100); got != c.before {
			t.Errorf("with GOGC %d it was left at %d", c.before, got)
		}
	}
}
