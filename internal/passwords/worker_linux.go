package passwords

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// niceness is a worker's nice(2) value relative to the server. Beside busy
// threads of the server a worker gets a tenth of their time.
const niceness = 10

// apart starts the worker in its own process group, so that signals of the
// terminal go to the server alone.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// giveWay lowers the priority of this process, which is a process group of its
// own, and bars it from gaining privileges. Failures are ignored: the worker
// computes all the same.
func giveWay() {
	// The name would otherwise be exe, the file it was started from.
	_ = os.WriteFile("/proc/self/comm", []byte("keyturn-hash"), 0)
	if now, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0); err == nil {
		// The raw system call returns 20 minus the niceness. Niceness is per
		// thread; PRIO_PGRP sets it for all of them.
		_ = syscall.Setpriority(syscall.PRIO_PGRP, 0, 20-now+niceness)
	}
	_, _, _ = syscall.AllThreadsSyscall6(syscall.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
}
