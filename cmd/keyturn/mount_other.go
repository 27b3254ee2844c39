//go:build !linux

package main

import "os"

// onReadOnlyMount returns false: it matters in containers, which run on Linux.
func onReadOnlyMount(*os.File) bool { return false }
