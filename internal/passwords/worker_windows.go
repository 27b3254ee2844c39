package passwords

import "syscall"

// belowNormal is Windows' BELOW_NORMAL_PRIORITY_CLASS.
const belowNormal = 0x00004000

// apart starts the worker with a lower priority and in its own process group, so
// that console signals go to the server alone.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: belowNormal | syscall.CREATE_NEW_PROCESS_GROUP}
}

func prepare() {}
