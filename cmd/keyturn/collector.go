package main

import (
	"os"
	"runtime/debug"
)

// gcPercent is a server's GOGC unless the environment sets one. A server holds a
// few MiB: at Go's default of 100 it would collect many times a second, at a sixth
// of its processor time. At 400 it collects a quarter as often, for some 20 MiB
// more.
const gcPercent = 400

// setCollector sets the pace of the garbage collector. GOGC and GOMEMLIMIT work as
// for every Go program.
func setCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
