package main

import (
	"strings"
	"testing"
)

// TestAMasterKeyFileIsBounded names one that never ends, whose size says nothing.
func TestAMasterKeyFileIsBounded(t *testing.T) {
	if _, err := readMasters("/dev/zero"); err == nil || !strings.Contains(err.Error(), "larger than 65536 bytes") {
		t.Errorf("error is %v", err)
	}
}
