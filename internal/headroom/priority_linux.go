package headroom

import "syscall"

// yields is by how much the calling thread becomes "nicer" (nice(2)).
const yields = 10

// giveWay lowers the priority of the calling thread, which anyone may do. Where
// it is forbidden all the same, computations compete as any other thread does.
func giveWay() {
	if now, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0); err == nil {
		// The system call itself counts from 20 down.
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 20-now+yields)
	}
}

func onMainThread() bool { return syscall.Gettid() == syscall.Getpid() }
