package headroom

import "runtime"

// Compute runs do on a thread of its own, to which the operating system prefers
// those that serve short requests, and returns when do has. It takes some ten
// microseconds longer. A panic of do goes on in the caller.
//
// The thread still gets a share of a busy machine (a tenth of what another
// thread gets): the collector, which stops all threads for a moment, must not
// wait for long for one that is not let run.
func Compute(do func()) {
	ended := make(chan any, 1)
	go func() {
		// Never unlocked: so the thread ends, and its priority with it.
		runtime.LockOSThread()
		giveWay()
		defer func() { ended <- recover() }()
		do()
	}()
	if panicked := <-ended; panicked != nil {
		panic(panicked)
	}
}
