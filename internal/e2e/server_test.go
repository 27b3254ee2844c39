package e2e

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"
)

// server is a running replica.
type server struct {
	url   string
	admin string
	// program is what runs; keyturn as TestMain built it, if empty.
	program string
	launch  func(*exec.Cmd) error
	args    []string
	cmd     *exec.Cmd
	// out takes the place of stdout if it is set.
	out    *os.File
	stdout logBuffer
	stderr logBuffer
	// exited is closed when the process has ended.
	exited chan struct{}
	// over is set once the test has ended the process itself.
	over bool
}

// serve starts a server on free ports and waits until it is ready. Where the
// test does not end it, SIGTERM must, with exit code 0.
func (d *deployment) serve(t *testing.T, flags ...string) *server {
	t.Helper()
	return d.serveAs(t, "", flags...)
}

// serveAs is serve for one of several replicas behind one issuer, or for the
// replica that is the issuer if that is empty.
func (d *deployment) serveAs(t *testing.T, issuer string, flags ...string) *server {
	t.Helper()
	s := d.prepare(t, issuer, flags...)
	s.start(t)
	return s
}

// serveInto is serve with standard output going to a file or a pipe.
func (d *deployment) serveInto(t *testing.T, out *os.File, flags ...string) *server {
	t.Helper()
	s := d.prepare(t, "", flags...)
	s.out = out
	s.start(t)
	return s
}

// prepare makes a server that has not been started.
func (d *deployment) prepare(t *testing.T, issuer string, flags ...string) *server {
	t.Helper()
	public, admin := freePort(t), freePort(t)
	s := &server{url: "http://" + public, admin: "http://" + admin, program: d.program, launch: d.launch}
	if issuer == "" {
		issuer = s.url
	}
	s.args = slices.Concat([]string{"serve"}, d.flags(),
		[]string{"--issuer", issuer, "--listen", public, "--admin-listen", admin}, flags)
	d.noteFlags(s.args)
	return s
}

// again starts a server that was ended once more, as it was.
func (s *server) again(t *testing.T) *server {
	t.Helper()
	next := &server{url: s.url, admin: s.admin, program: s.program, launch: s.launch, args: s.args}
	next.start(t)
	return next
}

func (s *server) start(t *testing.T) {
	t.Helper()
	s.spawn(t)
	if !poll(s.exited, s.ready) {
		t.Fatalf("the server at %s did not become ready\n%s", s.url, s.stderr.String())
	}
}

// spawn starts the process and does not wait for it to answer.
func (s *server) spawn(t *testing.T) {
	t.Helper()
	s.cmd = exec.Command(cmp.Or(s.program, keyturn), s.args...)
	s.cmd.Env = bareEnviron()
	s.cmd.Dir = t.TempDir()
	s.cmd.Stdout, s.cmd.Stderr = &s.stdout, &s.stderr
	if s.out != nil {
		s.cmd.Stdout = s.out
	}
	s.exited = make(chan struct{})
	launch := (*exec.Cmd).Start
	if s.launch != nil {
		launch = s.launch
	}
	if err := launch(s.cmd); err != nil {
		t.Fatal(err)
	}
	go func() {
		// How it ended is read from ProcessState.
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	t.Cleanup(func() {
		s.stop(t)
		if t.Failed() {
			t.Logf("standard error of %s:\n%s", s.url, s.stderr.String())
		}
	})
}

func (s *server) ready() bool {
	a, err := send("GET", s.url+"/readyz", nil, "")
	return err == nil && a.status == http.StatusOK
}

// stop ends the server as an operator does.
func (s *server) stop(t *testing.T) {
	t.Helper()
	if s.over {
		return
	}
	s.end(t, syscall.SIGTERM)
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("after SIGTERM the server ended with %v; want exit code 0", s.cmd.ProcessState)
	}
}

// kill ends the server as a crash does.
func (s *server) kill(t *testing.T) {
	t.Helper()
	s.end(t, syscall.SIGKILL)
}

func (s *server) end(t *testing.T, signal syscall.Signal) {
	t.Helper()
	s.over = true
	if err := s.cmd.Process.Signal(signal); err != nil {
		t.Errorf("the server had ended already: %v, %v", err, s.cmd.ProcessState)
	}
	ended := func() bool {
		select {
		case <-s.exited:
			return true
		default:
			return false
		}
	}
	if !poll(s.exited, ended) {
		_ = s.cmd.Process.Kill()
		<-s.exited
		t.Errorf("the server did not end on %v", signal)
	}
}

// logBuffer collects what a process writes.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// ports that were given out, so that no two servers get the same.
var ports sync.Map

// portsEach is how many ports a run of these tests has to itself.
const portsEach = 2000

// ownPorts returns the first of the ports that are this run's: what listens there tells
// other runs on the machine. All are below those that the system gives to outgoing
// connections, so that they stay free until a server takes them.
var ownPorts = sync.OnceValues(func() (int, net.Listener) {
	for first := 18000; first < 32000; first += portsEach {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first)); err == nil {
			return first, l // kept, and so open
		}
	}
	return 0, nil
})

// freePort returns a loopback address that nothing listens on.
func freePort(t *testing.T) string {
	t.Helper()
	first, _ := ownPorts()
	if first == 0 {
		t.Fatal("seven other runs have all ports")
	}
	for range 1000 {
		port := first + 1 + rand.IntN(portsEach-1)
		if _, taken := ports.LoadOrStore(port, true); taken {
			continue
		}
		address := fmt.Sprintf("127.0.0.1:%d", port)
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no free port found")
	return ""
}
