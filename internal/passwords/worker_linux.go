package passwords

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// niceness is by how much a worker is "nicer" (nice(2)) than the server: beside
// threads that compute all the time it gets a tenth of what they get.
const niceness = 10

// apart is a process group of its own: what the terminal sends is for the server.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// giveWay lowers the priority of this process, which is a process group of its
// own, and bars it from ever gaining a privilege. Where that is forbidden it
// computes all the same.
func giveWay() {
	// exe, as which it was started, would tell an operator nothing.
	_ = os.WriteFile("/proc/self/comm", []byte("keyturn-hash"), 0)
	if now, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0); err == nil {
		// The system call itself counts from 20 down. Each thread has a niceness;
		// for the group all are set.
		_ = syscall.Setpriority(syscall.PRIO_PGRP, 0, 20-now+niceness)
	}
	_, _, _ = syscall.AllThreadsSyscall6(syscall.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
}
