package main

import (
	"testing"
	"time"
)

func TestTimesAndNumbersRead(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		0: "now", -400 * time.Millisecond: "now", 400 * time.Millisecond: "now", -time.Second: "1s ago", time.Second: "in 1s",
		-50 * time.Hour: "2d2h ago", 90 * time.Minute: "in 1h30m",
	} {
		if got := relative(now.Add(d), now); got != want {
			t.Errorf("%s from now is %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0 keys", 1: "1 key", 2: "2 keys"} {
		if got := counted(n, "key"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
