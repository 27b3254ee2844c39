package main

import (
	"os"
	"runtime/debug"
)

// gcPercent is a server's GOGC where the environment has none. What a server holds
// is a few MiB: at Go's 100 it would collect many times a second, at a sixth of its
// processor time. So it does a quarter as often, for some 20 MiB more.
const gcPercent = 400

// setCollector sets the collector's pace, which GOGC and GOMEMLIMIT change as they
// do for every Go program.
func setCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
