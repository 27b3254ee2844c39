//go:build wrongclock

package main

import (
	"os"
	"strings"
	"time"
)

// A program built for the tests takes its wall clock's error from a file.
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
