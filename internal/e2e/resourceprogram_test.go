package e2e

import (
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
}

// start runs the program on a free port and returns its URL. It accepts algs and
// keeps key sets for cacheSeconds, or as its libraries do if that is empty. It is
// ended with the test.
func (p resourceProgram) start(t *testing.T, s *shop, algs, cacheSeconds string) string {
	t.Helper()
	address, dir := freePort(t), t.TempDir()
	environ := map[string]string{
		"ISSUER": s.issuer, "AUDIENCE": api, "ALGS": algs, "LISTEN": address, "DIR": dir, "CA_FILE": trust.caFile,
	}
	if cacheSeconds != "" {
		environ["CACHE_SECONDS"] = cacheSeconds
	}
	cmd := p.command(t, s, dir, environ)
	cmd.Env = append(os.Environ(), trust.environ()...)
	for name, value := range environ {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var out logBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is ended by a signal
		close(exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		ended := func() bool {
			select {
			case <-exited:
				return true
			default:
				return false
			}
		}
		if !poll(nil, ended) {
			_ = cmd.Process.Kill()
			<-exited
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", cmd, out.String())
		}
	})
	url := "http://" + address
	if !poll(exited, func() bool { _, err := send("GET", url+"/", nil, ""); return err == nil }) {
		t.Fatalf("%s does not answer:\n%s", cmd, out.String())
	}
	return url
}

// goResource builds the resource servers in Go.
var goResource = sync.OnceValues(func() (string, error) {
	to := filepath.Join(binaries, "resource")
	return to, build(to, filepath.Join("clients", "go"), "./resource")
})

var goProgram = resourceProgram{func(t *testing.T, _ *shop, _ string, _ map[string]string) *exec.Cmd {
	program, err := goResource()
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(program)
}}
