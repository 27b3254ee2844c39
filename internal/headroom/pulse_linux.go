package headroom

import (
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// pulseInterval is how long a thread that has woken waits, at the most,
	// for the kernel to look again whose turn it is.
	pulseInterval = 500 * time.Microsecond
	// pulseSlice is the time that a pulse asks the kernel for, the shortest
	// there is: whoever asks for less goes before whoever asks for more.
	pulseSlice = 100 * time.Microsecond
)

// pulse is a thread on each core that does nothing but wake, briefly.
//
// Linux compares threads when one wakes, and then not before the next tick, up to
// 4 ms later, unless another one wakes or the running one sleeps, which a hash does
// not. A thread that had run a few microseconds more than its share when it last
// slept (waiting for the disk, say) loses the comparison, though an instant later
// it would win. A refresh sleeps and wakes half a dozen times. A pulse has the
// kernel compare again, and costs the hashes some hundredths of their time.
type pulse struct {
	stop chan struct{}
	all  sync.WaitGroup
}

// pulseCores returns the cores that the process may use, if n threads that compute
// can hold all of them. A process may use many cores and be allowed the time of a
// few: then some are free, and nobody waits for a tick.
func pulseCores(n int) []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil || set.Count() > n {
		return nil
	}
	var cores []int
	for core := 0; len(cores) < set.Count(); core++ {
		if set.IsSet(core) {
			cores = append(cores, core)
		}
	}
	return cores
}

// startPulse begins a pulse on each of the cores. Each takes one of the processors
// of Go's scheduler.
func startPulse(cores []int) *pulse {
	p := &pulse{stop: make(chan struct{})}
	for _, core := range cores {
		p.all.Go(func() { onOwnThread(func() { p.run(core) }) })
	}
	return p
}

// end returns when all have ended.
func (p *pulse) end() {
	close(p.stop)
	p.all.Wait()
}

func (p *pulse) run(core int) {
	var here unix.CPUSet
	here.Set(core)
	if unix.SchedSetaffinity(0, &here) != nil {
		return // forbidden, or the core was taken away
	}
	// Kernels before 6.12 know no slices, and give it what they give all others.
	attr := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Flags: unix.SCHED_FLAG_KEEP_POLICY, Runtime: uint64(pulseSlice)}
	if nice, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0); err == nil {
		attr.Nice = int32(20 - nice)
	}
	_ = unix.SchedSetAttr(0, attr, 0)
	interval := unix.NsecToTimespec(int64(pulseInterval))
	for {
		select {
		case <-p.stop:
			return
		default:
		}
		// Raw, so that Go's scheduler has no part in it: the thread keeps its
		// processor asleep, and need not look for one each time it wakes. Where
		// the collector wants it to stop, its signal ends the sleep.
		_, _, _ = syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&interval)), 0, 0)
	}
}
