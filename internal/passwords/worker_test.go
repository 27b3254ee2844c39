package passwords

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// TestMain is a worker where it is started as one: workers are processes of the
// program that starts them, here this test.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == WorkerArgument {
		if err := Work(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// withWorkers returns a Hasher that computes in processes of their own, and what
// it was told of their ends.
func withWorkers(t *testing.T, concurrency int) (*Hasher, func() []error) {
	t.Helper()
	h := newHasher(t, concurrency)
	var mu sync.Mutex
	var ends []error
	if err := h.StartWorkers(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		ends = append(ends, err)
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range concurrency {
			if w := (<-h.slots).(*worker); w.process != nil {
				_ = w.process.Process.Kill()
				_ = w.process.Wait()
			}
		}
	})
	return h, func() []error {
		mu.Lock()
		defer mu.Unlock()
		return ends
	}
}

// eachWorker runs f with every worker of h.
func eachWorker(h *Hasher, f func(w *worker)) {
	for range cap(h.slots) {
		slot := <-h.slots
		f(slot.(*worker))
		h.slots <- slot
	}
}

// TestWorkersComputeWhatIsComputedHere has every kind of job done in both ways.
func TestWorkersComputeWhatIsComputedHere(t *testing.T) {
	t.Parallel()
	h, ends := withWorkers(t, 3)
	inside := newHasher(t, 3)
	made, err := h.Hash(t.Context(), goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	verify := func(name, encoded, password string, want bool) {
		for where, by := range map[string]*Hasher{"worker": h, "here": inside} {
			if got, err := by.Verify(t.Context(), encoded, password, true, nil); err != nil || got.Match != want {
				t.Errorf("%s, %s: %+v, %v; want %t", name, where, got, err, want)
			}
		}
	}
	verify("made by a worker", made, goodPassword, true)
	verify("made by a worker, wrong password", made, wrongPassword, false)
	var kinds []string
	for name, encoded := range vectors {
		verify(name, encoded, vectorPassword, true)
		verify(name+", wrong password", encoded, wrongPassword, false)
		kinds = append(kinds, kindOf(t, encoded))
	}
	spent := h.spent(func() { err = h.Dummy(t.Context(), "\xff", kinds) })
	if want := inside.spent(func() { _ = inside.Dummy(t.Context(), "\xff", kinds) }); err != nil || fmt.Sprint(spent) != fmt.Sprint(want) {
		t.Errorf("an unknown account costs a worker %v, %v; here %v", spent, err, want)
	}
	if len(ends()) > 0 {
		t.Errorf("workers ended: %v", ends())
	}
}

// TestU2_AWorkerThatEndsIsReplaced ends every worker: the next logins find others.
func TestU2_AWorkerThatEndsIsReplaced(t *testing.T) {
	t.Parallel()
	h, ends := withWorkers(t, 2)
	eachWorker(h, func(w *worker) { _ = w.process.Process.Kill() })
	for range 2 * cap(h.slots) {
		if v, err := h.Verify(t.Context(), vectors["argon2id"], vectorPassword, true, nil); err != nil || !v.Match {
			t.Errorf("%+v, %v", v, err)
		}
	}
	if n := len(ends()); n != 2 || !strings.Contains(ends()[0].Error(), "killed") {
		t.Errorf("%d ends were told of: %v", n, ends())
	}
}

// TestU2_AJobThatEndsWorkersIsRefused has one that no worker survives: what it
// is of is told to come back, and the slot is there for others.
func TestU2_AJobThatEndsWorkersIsRefused(t *testing.T) {
	t.Parallel()
	h, ends := withWorkers(t, 1)
	slot := take(t, h)
	_, err := h.compute(slot, h.own, h.own.kind(), job{Hash: []byte("no hash"), Password: []byte("a secret of mine")})
	h.release(slot)
	if refusal.Reason(err) != audit.ReasonBusy || len(ends()) != 2 || h.Stats().Refused != 1 {
		t.Errorf("%v; %d ends: %v", err, len(ends()), ends())
	}
	if strings.Contains(fmt.Sprint(ends()), "secret") {
		t.Errorf("a password is in what is logged: %v", ends())
	}
	if _, err := h.Hash(t.Context(), goodPassword); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestAWorkerEndsWithItsInput, as it does when the server is killed.
func TestAWorkerEndsWithItsInput(t *testing.T) {
	t.Parallel()
	blank := base64.StdEncoding.EncodeToString([]byte(bcryptHash{cost: 4}.blank()))
	for _, c := range []struct {
		jobs  string
		lines int
		ends  bool // well
	}{
		{"", 0, true},
		{`{"Password":"cA==","Make":{"MemoryKiB":32,"Time":1,"Threads":1}}` + "\n" + `{"Password":"cA==","Hash":"` + blank + `","Spend":16,"Large":true}`, 2, true},
		{"{]", 0, false},
	} {
		cmd := exec.Command(os.Args[0], WorkerArgument)
		cmd.SysProcAttr = apart()
		cmd.Stdin = strings.NewReader(c.jobs)
		out, err := cmd.Output()
		if lines := strings.Count(string(out), "\n"); lines != c.lines || (err == nil) != c.ends {
			t.Errorf("%q: %q, %v", c.jobs, out, err)
		}
	}
}
