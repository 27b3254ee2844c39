package headroom

import (
	"context"
	"runtime"
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
			scheduler{}.restore()
			before := runtime.GOMAXPROCS(0)
			scheduler{}.raise(5)
			if got := runtime.GOMAXPROCS(0); got != before+5 {
				t.Errorf("raised from %d to %d", before, got)
			}
			scheduler{}.restore()
			if got := runtime.GOMAXPROCS(0); got != before || setting == "3" && got != 3 {
				t.Errorf("%d processors at the end, %d before", got, before)
			}
		})
	}
	runtime.SetDefaultGOMAXPROCS()
}
