package headroom

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bound returns the cores of this process's threads that may run on one only.
func bound(t *testing.T) []int {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(tasks) == 0 {
		t.Fatalf("no threads: %v", err)
	}
	var cores []int
	for _, task := range tasks {
		text, _ := os.ReadFile(task) // one that has ended is not bound
		_, after, _ := strings.Cut(string(text), "\nCpus_allowed_list:\t")
		list, _, _ := strings.Cut(after, "\n")
		if core, err := strconv.Atoi(list); err == nil {
			cores = append(cores, core)
		}
	}
	slices.Sort(cores)
	return cores
}

// await waits until as many threads are bound to a core as there are cores named.
func await(t *testing.T, cores []int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); ; <-tick.C {
		got := bound(t)
		if slices.Equal(got, cores) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("threads are bound to the cores %v; want %v", got, cores)
		}
	}
}

// TestPulse asks the kernel where threads may run while there is a pulse, and
// afterwards: nothing else is to be bound to a core.
func TestPulse(t *testing.T) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	cores := pulseCores(set.Count())
	if len(cores) != set.Count() {
		t.Fatalf("a pulse on the cores %v; the process may use %d", cores, set.Count())
	}
	if got := pulseCores(set.Count() - 1); got != nil {
		t.Errorf("a pulse on the cores %v, with one left free", got)
	}
	for range 3 {
		p := startPulse(cores)
		if len(cores) > 1 { // where there is one core, all threads are bound to it
			await(t, cores)
		}
		p.end()
		if len(cores) > 1 {
			await(t, nil)
		}
	}
}
