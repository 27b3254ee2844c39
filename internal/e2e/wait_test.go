package e2e

import (
	"testing"
	"time"
)

// patience is how long anything is waited for. It only bounds how long a test
// that fails takes.
const patience = 45 * time.Second

// eventually waits until what is described has come true.
func eventually(t *testing.T, description string, come func() bool) {
	t.Helper()
	if !poll(nil, come) {
		t.Fatalf("waited %v in vain until %s", patience, description)
	}
}

// poll asks come again and again until it says yes, or given up is closed.
func poll(givenUp <-chan struct{}, come func() bool) bool {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !come() {
		select {
		case <-again.C:
		case <-givenUp:
			return come()
		case <-deadline.C:
			return false
		}
	}
	return true
}
