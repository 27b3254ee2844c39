package main

import (
	"os"
	"testing"

	"github.com/keyturn/keyturn/internal/passwords"
)

// TestMain lets the servers of tests start this program as their hashing workers.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == passwords.WorkerArgument {
		main()
		return
	}
	os.Exit(m.Run())
}
