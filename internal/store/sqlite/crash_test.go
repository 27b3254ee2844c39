package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// childEnv names, in a process started by a test, what it is to do.
const childEnv = "KEYTURN_SQLITE_TEST_CHILD"

// children are the programs that tests start as processes of their own: this
// test binary with childEnv set, and the path of a store as its argument.
var children = map[string]func(path string) error{
	"write until killed": writeUntilKilled,
}

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		if err := children[name](os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child returns the command that runs a child on the store at path.
func child(t *testing.T, name, path string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, path)
	cmd.Env = append(os.Environ(), childEnv+"="+name)
	cmd.Stderr = os.Stderr
	return cmd
}

// writeUntilKilled starts a few families and rotates each for ever, writing a
// line "ID GENERATION" once a write was acknowledged.
func writeUntilKilled(path string) error {
	ctx := context.Background()
	s, err := Open(ctx, path)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	failed := make(chan error, 8)
	for i := range cap(failed) {
		wg.Go(func() {
			f := family(fmt.Sprintf("%d-%d", os.Getpid(), i))
			err := s.CreateFamily(ctx, f)
			for err == nil {
				// One line, one write to the pipe: whole or not at all.
				if _, err = fmt.Fprintf(os.Stdout, "%s %d\n", f.ID, f.Generation); err == nil {
					f, err = rotate(ctx, s, f, rotation(f, f.Generation))
				}
			}
			failed <- err
		})
	}
	wg.Wait()
	return <-failed
}

// TestF5_AcknowledgedWritesSurviveKill kills a process that writes, at random,
// again and again, and looks for everything that it had acknowledged.
func TestF5_AcknowledgedWritesSurviveKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	generations := map[string]int64{}
	for round := range 25 {
		cmd := child(t, "write until killed", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		killAt := rand.IntN(300)
		lines := bufio.NewReader(out)
		for n := 0; ; n++ {
			if n == killAt {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			line, err := lines.ReadString('\n')
			if err != nil {
				break // what it said before it died has been read
			}
			var id string
			var generation int64
			if _, err := fmt.Sscan(line, &id, &generation); err != nil {
				t.Fatalf("line %q: %v", line, err)
			}
			generations[id] = generation
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the process ended by itself: %v", err)
		}
		checkAcknowledged(t, path, round, generations)
	}
	if len(generations) == 0 {
		t.Error("nothing was acknowledged in any round")
	}
}

// checkAcknowledged opens the store and checks that each family is at its
// acknowledged generation, or at the next, whose answer did not come out.
func checkAcknowledged(t *testing.T, path string, round int, generations map[string]int64) {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatalf("round %d: opening after the kill: %v", round, err)
	}
	for id, acknowledged := range generations {
		f, err := s.FamilyByID(t.Context(), id)
		if err != nil {
			t.Fatalf("round %d: family %s: %v", round, id, err)
		}
		if f.Generation != acknowledged && f.Generation != acknowledged+1 {
			t.Errorf("round %d: family %s has generation %d; %d was acknowledged", round, id, f.Generation, acknowledged)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("round %d: closing: %v", round, err)
	}
}
