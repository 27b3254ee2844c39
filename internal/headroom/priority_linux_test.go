package headroom

import (
	"syscall"
	"testing"
)

// TestComputationsGiveWay asks the kernel for the priority of the thread that
// computes, and of one that goes on afterwards.
func TestComputationsGiveWay(t *testing.T) {
	nice := func() int {
		p, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
		if err != nil {
			t.Fatal(err)
		}
		return 20 - p
	}
	before := nice()
	for range 20 {
		var during int
		Compute(func() { during = nice() })
		if want := min(before+yields, 19); during != want {
			t.Errorf("computed at nice %d; want %d", during, want)
		}
		if after := nice(); after != before {
			t.Fatalf("the caller was left at nice %d; it had %d", after, before)
		}
		ended := make(chan int)
		go func() { ended <- nice() }()
		if other := <-ended; other != before {
			t.Fatalf("another goroutine runs at nice %d; want %d", other, before)
		}
	}
}
