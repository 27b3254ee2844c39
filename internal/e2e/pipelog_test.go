package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestA3_ACommandBesideAServerWhoseLogIsAStream: by itself it does nothing; into the
// server's own stream, as docs/auditing.md has it for containers, it writes beside
// the server, and what was captured verifies.
func TestA3_ACommandBesideAServerWhoseLogIsAStream(t *testing.T) {
	t.Parallel()
	p := newFIFO(t)
	s := openPiped(t, p)
	command := func(log ...string) outcome {
		args := append([]string{"clients", "disable", "app", "--store", s.store, "--master-key-file", s.masterKeys}, log...)
		return execute(t, []string{"KEYTURN_AUDIT_LOG=stdout"}, "", args...)
	}
	if o := command(); o.code != 2 || !strings.Contains(o.stderr, "--audit-log") {
		t.Errorf("without a log that was named: exit code %d, %s", o.code, o.stderr)
	}
	if o := command("--audit-log", fmt.Sprintf("/proc/%d/fd/1", s.cmd.Process.Pid)); o.code != 0 {
		t.Errorf("into the server's stream: exit code %d, %s", o.code, o.stderr)
	}
	eventually(t, "the event is captured", func() bool { return strings.Contains(p.text(), `"client-disabled"`) })
	s.stop(t)
	s.checkPiped(t, p)
}

// TestALogThatNobodyReads: no command waits for the reader of a pipe, and one that
// waits for room in it ends when it is told to.
func TestALogThatNobodyReads(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	d.auditLog = filepath.Join(d.dir, "pipe")
	if err := syscall.Mkfifo(d.auditLog, 0o600); err != nil {
		t.Fatal(err)
	}
	add := []string{"clients", "add", "app", "--public", "--grant", "password"}
	if o := d.run(t, add...); o.code != 1 || !strings.Contains(o.stderr, "a pipe that nobody reads") {
		t.Errorf("exit code %d, %s", o.code, o.stderr)
	}
	d.auditLog = d.dir
	if o := d.run(t, add...); o.code != 1 || !strings.Contains(o.stderr, "is a directory") {
		t.Errorf("a directory: exit code %d, %s", o.code, o.stderr)
	}

	p := newFIFO(t)
	p.pause(true)
	w := p.writeEnd(t)
	defer w.Close()
	fd := int(w.Fd())
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for full := false; !full; {
		_, err := syscall.Write(fd, bytes.Repeat([]byte("x"), 512))
		full = err != nil
	}
	d.auditLog = p.path
	cmd := exec.Command(keyturn, append(add, d.flags()...)...)
	var stderr bytes.Buffer
	cmd.Env, cmd.Stderr = bareEnviron(), &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	eventually(t, "the log is open", func() bool {
		fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", cmd.Process.Pid))
		return slices.ContainsFunc(fds, func(fd string) bool {
			to, _ := os.Readlink(fd)
			return to == p.path
		})
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("%v; %s", err, stderr.String())
	}
}
