package headroom

import (
	"os"
	"runtime"
	"syscall"
	"testing"
)

// The test below needs the main thread, which only the main goroutine can be sure
// to be on, if it never leaves it.
func init() { runtime.LockOSThread() }

var onMain, given int

func TestMain(m *testing.M) {
	onMain = syscall.Gettid()
	onOwnThread(func() { given = syscall.Gettid() })
	os.Exit(m.Run())
}

// TestNeverTheMainThread says what came of it.
func TestNeverTheMainThread(t *testing.T) {
	if onMain != os.Getpid() {
		t.Fatalf("it was asked for on the thread %d of the process %d", onMain, os.Getpid())
	}
	if given == 0 || given == onMain {
		t.Errorf("it ran on the thread %d; the main one is %d", given, onMain)
	}
}
