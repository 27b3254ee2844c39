package main

import (
	"os"
	"strings"
	"testing"
)

// TestOnReadOnlyMount asks about the read-only mounts of this machine, of which
// some may be hidden from this user or below another mount.
func TestOnReadOnlyMount(t *testing.T) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	asked, found := 0, 0
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if options := "," + fields[5] + ","; !strings.Contains(options, ",ro,") {
			continue
		}
		f, err := os.Open(fields[4])
		if err != nil {
			continue
		}
		asked++
		if onReadOnlyMount(f) {
			found++
		}
		f.Close()
	}
	if asked > 0 && found == 0 {
		t.Errorf("none of %d read-only mounts is known for one", asked)
	}
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if onReadOnlyMount(f) {
		t.Error("a file that was just made is on a read-only mount")
	}
}
