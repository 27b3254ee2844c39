package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// workers are the processes that hash passwords for the server (proc(5)).
func (s *server) workers(t *testing.T) (pids []int) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		children, _ := os.ReadFile(file) // none if the thread has ended
		for child := range strings.FieldsSeq(string(children)) {
			pid, err := strconv.Atoi(child)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// niceness is that of all threads of a process (proc_pid_stat(5): it is field 19,
// and the first after the name is 3), which have to agree.
func niceness(t *testing.T, pid int) int {
	t.Helper()
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(stats) == 0 {
		t.Fatalf("no threads of %d: %v", pid, err)
	}
	var seen []string
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil { // the thread has ended
			continue
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		seen = append(seen, strings.Fields(rest)[19-3])
	}
	if slices.Sort(seen); len(slices.Compact(seen)) != 1 {
		t.Fatalf("threads of %d have the nicenesses %v", pid, seen)
	}
	n, err := strconv.Atoi(seen[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// nicest is the end of the scale.
const nicest = 19

// TestK7_AWorkerHasNothingOfTheServer looks at the processes that hash passwords:
// they give way, can gain no privilege, and have no argument, environment or file
// of the server, but how many processors a hash uses.
func TestK7_AWorkerHasNothingOfTheServer(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "", "--hash-concurrency", "3")
	d.program = plainBuild(t) // the race detector needs cgo, which keeps a process from giving up anything for all threads
	s := openShop(t, d)
	s.login(t, s.confidential, email, password)
	workers := s.workers(t)
	if len(workers) != 3 {
		t.Fatalf("%d processes hash; want 3", len(workers))
	}
	for _, pid := range workers {
		of := fmt.Sprintf("/proc/%d/", pid)
		eventually(t, "it gives way, and can gain nothing", func() bool {
			return niceness(t, pid) == min(niceness(t, s.cmd.Process.Pid)+10, nicest) &&
				strings.Contains(readFile(t, of+"status"), "\nNoNewPrivs:\t1\n")
		})
		if args := strings.Split(readFile(t, of+"cmdline"), "\x00"); len(args) != 3 || args[1] != "hash-worker" {
			t.Errorf("its command line is %q", args)
		}
		if environ := readFile(t, of+"environ"); environ != "GOMAXPROCS=1\x00" {
			t.Errorf("its environment is %q", environ)
		}
		files, err := os.ReadDir(of + "fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			to, err := os.Readlink(of + "fd/" + file.Name())
			if err == nil && (strings.HasPrefix(to, s.dir) || strings.HasPrefix(to, "socket:")) {
				t.Errorf("it has %s open", to)
			}
		}
	}
}

// TestU2_WorkersComeAndGoWithTheServer kills the processes that hash, and logins go
// on; and then the server, and they end.
func TestU2_WorkersComeAndGoWithTheServer(t *testing.T) {
	t.Parallel()
	s := openShop(t, newDeployment(t, "", "--login-throttle", "off", "--hash-concurrency", "2"))
	first := s.workers(t)
	for _, pid := range first {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		s.login(t, s.confidential, email, password)
	}
	second := s.workers(t)
	if len(second) != 2 || slices.ContainsFunc(second, func(pid int) bool { return slices.Contains(first, pid) }) {
		t.Errorf("after %v were killed there are %v; want two others", first, second)
	}
	if log := s.stderr.String(); strings.Count(log, "signal: killed") != 2 {
		t.Errorf("the log does not say that two were killed:\n%s", log)
	}
	for _, pid := range second { // what a supervisor sends to all processes
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	s.login(t, s.confidential, email, password)
	if now := s.workers(t); !slices.Equal(now, second) {
		t.Errorf("after SIGTERM there are %v; want %v", now, second)
	}
	s.kill(t)
	for _, pid := range second {
		eventually(t, "it has ended with the server", func() bool {
			_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
			return os.IsNotExist(err)
		})
	}
}
