package passwords

import "syscall"

// belowNormal is Windows' BELOW_NORMAL_PRIORITY_CLASS.
const belowNormal = 0x00004000

// apart has the process give way from its start, and what the console sends be for
// the server.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: belowNormal | syscall.CREATE_NEW_PROCESS_GROUP}
}

func giveWay() {}
