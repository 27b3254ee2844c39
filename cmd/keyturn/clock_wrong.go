//go:build wrongclock

package main

import (
	"os"
	"strings"
	"time"
)

// In a test build the error of the wall clock is read from a file.
func init() {
	path := os.Getenv("KEYTURN_TEST_CLOCK_ERROR")
	if path == "" {
		return
	}
	wallClock = func() time.Time {
		text, err := os.ReadFile(path)
		if err != nil {
			panic(err)
		}
		off, err := time.ParseDuration(strings.TrimSpace(string(text)))
		if err != nil {
			panic(err)
		}
		return time.Now().Add(off).Round(0)
	}
}
