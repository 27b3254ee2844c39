package headroom

import "runtime"

// onOwnThread has do run on a thread that is do's alone, and never the main one,
// and returns when do has. What is changed of the main thread is what others see
// of the process; and it cannot end, as the other does with do. The caller's
// goroutine must end too.
func onOwnThread(do func()) {
	runtime.LockOSThread()
	if !onMainThread() {
		do()
		return
	}
	// While this goroutine holds the main thread, another gets another.
	locked, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread()
		close(locked)
		do()
	}()
	<-locked
	runtime.UnlockOSThread()
	<-ended
}
