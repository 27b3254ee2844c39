package e2e

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// resourceProgram is a program with one or more resource servers in it.
type resourceProgram struct {
	// command makes the command that runs it, in dir.
	command func(t *testing.T, s *shop, dir string, environ map[string]string) *exec.Cmd
	// clocked shows a program a clock that it would not look at by itself.
	clocked func(*testing.T, *clock) []string
}

// running is a resource program at work.
type running struct {
	url   string
	clock *clock
	cmd   *exec.Cmd
	out   logBuffer
	// exited is closed when the process has ended.
	exited chan struct{}
}

// up waits until the program answers, and returns its URL. A machine that is busy
// starts Java slowly.
func (r *running) up(t *testing.T) string {
	t.Helper()
	for range 4 {
		if poll(r.exited, func() bool { _, err := send("GET", r.url+"/", nil, ""); return err == nil }) {
			return r.url
		}
	}
	t.Fatalf("%s does not answer:\n%s", r.cmd, r.out.String())
	return ""
}

// end has the program stop.
func (r *running) end() {
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	ended := func() bool {
		select {
		case <-r.exited:
			return true
		default:
			return false
		}
	}
	if !poll(nil, ended) {
		_ = r.cmd.Process.Kill()
		<-r.exited
	}
}

// start runs the program on a free port, or at the LISTEN of extra, with a clock of
// its own; up waits until it answers. It is ended with the test.
func (p resourceProgram) start(t *testing.T, s *shop, extra map[string]string) *running {
	t.Helper()
	address := extra["LISTEN"]
	if address == "" {
		address = freePort(t)
	}
	r := newRunning(t, address)
	dir := filepath.Dir(r.clock.file)
	environ := map[string]string{
		"ISSUER": s.issuer, "AUDIENCE": api, "ALGS": "ES256 RS256", "LISTEN": address, "DIR": dir, "CA_FILE": trust.caFile,
		"CLOCK": r.clock.file,
	}
	maps.Copy(environ, extra)
	r.cmd = p.command(t, s, dir, environ)
	whole := append(os.Environ(), trust.environ()...)
	if p.clocked != nil {
		whole = append(whole, p.clocked(t, r.clock)...)
	}
	for name, value := range environ {
		whole = append(whole, name+"="+value)
	}
	r.launch(t, whole)
	return r
}

// newRunning is a program that will listen at an address, with a clock in a directory
// of its own.
func newRunning(t *testing.T, address string) *running {
	t.Helper()
	return &running{url: "http://" + address, clock: newClock(t, t.TempDir()), exited: make(chan struct{})}
}

// launch starts the program's command, and ends it with the test.
func (r *running) launch(t *testing.T, environ []string) {
	t.Helper()
	r.cmd.Env, r.cmd.Stdout, r.cmd.Stderr = environ, &r.out, &r.out
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = r.cmd.Wait() // it is ended by a signal
		close(r.exited)
	}()
	t.Cleanup(func() {
		r.end()
		if t.Failed() {
			t.Logf("%s said:\n%s", r.cmd, r.out.String())
		}
	})
}

// goResource builds the resource servers in Go, which are a test.
var goResource = sync.OnceValues(func() (string, error) {
	to := filepath.Join(binaries, "resource")
	cmd := exec.Command("go", "test", "-c", "-o", to, "./resource")
	cmd.Dir = filepath.Join("clients", "go")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go test -c ./resource: %w\n%s", err, out)
	}
	return to, nil
})

var goProgram = resourceProgram{command: func(t *testing.T, _ *shop, _ string, _ map[string]string) *exec.Cmd {
	program, err := goResource()
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(program, "-test.run=^TestServe$", "-test.timeout=0")
}}
