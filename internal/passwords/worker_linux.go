package passwords

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// niceness is a worker's nice(2) value relative to the server. Beside busy
// threads of the server a worker gets a tenth of their time.
const niceness = 10

// room is more than a hash of DefaultParams takes.
const room = 32 << 20

// apart starts the worker in its own process group, so that signals of the
// terminal go to the server alone.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// prepare lowers the priority of this process, which is a process group of its own,
// bars it from gaining privileges, and lets its hashes be in huge pages, which takes
// a twelfth off their processor time. Failures are ignored: the worker computes all
// the same.
func prepare() {
	// The name would otherwise be exe, the file it was started from.
	_ = os.WriteFile("/proc/self/comm", []byte("keyturn-hash"), 0)
	if now, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0); err == nil {
		// The raw system call returns 20 minus the niceness. Niceness is per
		// thread; PRIO_PGRP sets it for all of them.
		_ = syscall.Setpriority(syscall.PRIO_PGRP, 0, 20-now+niceness)
	}
	_, _, _ = syscall.AllThreadsSyscall6(syscall.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	// Nothing is written there. What is collected here is where hashes will be.
	_ = unix.Madvise(make([]byte, room), unix.MADV_HUGEPAGE)
	runtime.GC()
}
