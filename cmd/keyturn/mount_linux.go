package main

import (
	"os"
	"syscall"
)

// onReadOnlyMount reports whether f was opened through a read-only mount.
func onReadOnlyMount(f *os.File) bool {
	var s syscall.Statfs_t
	return syscall.Fstatfs(int(f.Fd()), &s) == nil && s.Flags&syscall.MS_RDONLY != 0
}
