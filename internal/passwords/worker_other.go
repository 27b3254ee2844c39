//go:build !linux && !windows

package passwords

import "syscall"

// niceness is a worker's nice(2) value relative to the server.
const niceness = 10

// apart starts the worker in its own process group, so that signals of the
// terminal go to the server alone.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// prepare lowers the priority of this process. Failures are ignored: the worker
// computes all the same.
func prepare() {
	if now, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0); err == nil {
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, now+niceness)
	}
}
