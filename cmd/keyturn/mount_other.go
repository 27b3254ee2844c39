//go:build !linux

package main

import "os"

// onReadOnlyMount is about containers, which are Linux's.
func onReadOnlyMount(*os.File) bool { return false }
