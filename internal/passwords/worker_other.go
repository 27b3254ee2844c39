//go:build !linux && !windows

package passwords

import "syscall"

// niceness is by how much a worker is "nicer" (nice(2)) than the server.
const niceness = 10

// apart is a process group of its own: what the terminal sends is for the server.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// giveWay lowers the priority of this process. Where that is forbidden it computes
// all the same.
func giveWay() {
	if now, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0); err == nil {
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, now+niceness)
	}
}
