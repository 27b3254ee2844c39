package e2e

import (
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// buildWrongClock builds keyturn with a wall clock whose error stands in a file.
var buildWrongClock = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaries, "keyturn-wrongclock")
	return path, build(path, filepath.Join("..", ".."), "./cmd/keyturn", "-tags", "wrongclock")
})

// wrongClock is a wall clock that can be set, for servers that are started with
// its program and its launch.
type wrongClock struct{ program, file string }

func newWrongClock(t *testing.T, off string) *wrongClock {
	t.Helper()
	program, err := buildWrongClock()
	if err != nil {
		t.Fatal(err)
	}
	w := &wrongClock{program, filepath.Join(t.TempDir(), "clock")}
	w.set(t, off)
	return w
}

// set puts it off by a duration.
func (w *wrongClock) set(t *testing.T, off string) {
	t.Helper()
	writeFile(t, w.file, off)
}

func (w *wrongClock) launch(cmd *exec.Cmd) error {
	cmd.Env = append(cmd.Env, "KEYTURN_TEST_CLOCK_ERROR="+w.file)
	return cmd.Start()
}
