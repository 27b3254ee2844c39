package headroom

import "sync"

// Compute runs do on a thread to which the operating system prefers those that
// serve short requests, and returns when do has. A panic of do goes on in the
// caller; it must not call runtime.Goexit. There are as many such threads as there
// ever were computations at once.
//
// A thread still gets a share of a busy machine (a tenth of what another thread
// gets): the collector, which stops all threads for a moment, must not wait for
// long for one that is not let run.
func Compute(do func()) {
	t := takeThread()
	t.work <- do
	panicked := <-t.ended
	t.give()
	if panicked != nil {
		panic(panicked)
	}
}

// thread is a goroutine with an operating system's thread of its own.
type thread struct {
	work  chan func()
	ended chan any // what the work panicked with, or nil
}

var (
	threads sync.Mutex
	idle    []*thread
	wanted  = make(chan struct{})
	made    = make(chan *thread)
)

// Threads are not begun by who first needs them, and so are no part of it: a
// test's bubble would wait for their end.
func init() {
	go func() {
		for range wanted {
			t := &thread{work: make(chan func()), ended: make(chan any)}
			go onOwnThread(t.run)
			made <- t
		}
	}()
}

func takeThread() *thread {
	threads.Lock()
	defer threads.Unlock()
	if last := len(idle) - 1; last >= 0 {
		t := idle[last]
		idle = idle[:last]
		return t
	}
	wanted <- struct{}{}
	return <-made
}

func (t *thread) give() {
	threads.Lock()
	defer threads.Unlock()
	idle = append(idle, t)
}

func (t *thread) run() {
	giveWay()
	for do := range t.work {
		t.ended <- outcome(do)
	}
}

func outcome(do func()) (panicked any) {
	defer func() { panicked = recover() }()
	do()
	return nil
}
