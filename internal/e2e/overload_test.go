package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// U2's bound on resident memory: what the hashes under way fill, and so much.
const (
	hashMemory      = 19456 << 10
	hashConcurrency = 2
	besideHashes    = 100 << 20
)

// comeBack is how often each login is tried: the server has to bear the crowd
// that does as it is told.
const comeBack = 3

// TestU2_Overload has 500 logins arrive at once. Each is answered: let in,
// refused, or told at once to come back, which it does; meanwhile sessions are
// refreshed and the key set is served, and memory stays within its bound.
func TestU2_Overload(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "", "--login-throttle", "off", "--hash-concurrency", strconv.Itoa(hashConcurrency))
	// The race detector multiplies memory: what is measured is the program as
	// it is shipped.
	d.program = plainBuild(t)
	s := openShop(t, d)
	session := s.login(t, s.confidential, email, password)

	const logins = 500
	var flood, beside sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	start, over := make(chan struct{}), make(chan struct{})
	for n := range logins {
		flood.Go(func() {
			<-start
			username, secret := email, password
			if n%2 == 1 {
				username, secret = fmt.Sprintf("nobody%d@example.com", n), "not the password at all"
			}
			for range comeBack {
				a, err := postForm(s.url+"/oauth/token", s.public, values("grant_type", "password", "username", username, "password", secret))
				if err != nil {
					t.Errorf("login %d: %v", n, err)
					return
				}
				mu.Lock()
				statuses[a.status]++
				mu.Unlock()
				if a.status != http.StatusServiceUnavailable {
					return
				}
				wait, err := strconv.Atoi(a.header.Get("Retry-After"))
				if err != nil || wait < 1 {
					t.Errorf("503 with Retry-After %q", a.header.Get("Retry-After"))
				}
				<-time.After(time.Duration(wait) * time.Second)
			}
		})
	}
	var jwks, refreshes []time.Duration
	beside.Go(func() {
		jwks = s.meanwhile(t, over, func() answer { return mustSend(t, "GET", s.url+"/.well-known/jwks.json", nil, "") })
	})
	beside.Go(func() {
		refreshes = s.meanwhile(t, over, func() answer {
			a, err := postForm(s.url+"/oauth/token", s.confidential, values("grant_type", "refresh_token", "refresh_token", session.RefreshToken))
			if err != nil {
				t.Error(err)
				return a
			}
			a.decode(t, &session)
			return a
		})
	})
	mostGiving, mostBound := 0, 0
	atRest, most := s.setting(t, processors), 0
	lax, strictest := s.setting(t, gcPercent), 100
	beside.Go(func() {
		for {
			most = max(most, s.setting(t, processors))
			strictest = min(strictest, s.setting(t, gcPercent))
			giving, bound := s.threads(t)
			mostGiving, mostBound = max(mostGiving, giving), max(mostBound, bound)
			select {
			case <-over:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	begin := time.Now()
	close(start)
	flood.Wait()
	took := time.Since(begin)
	close(over)
	beside.Wait()

	pulses := 0
	if cores := runtime.NumCPU(); cores <= hashConcurrency {
		pulses = cores
	}
	if want := atRest + hashConcurrency + pulses; atRest <= hashConcurrency && most != want {
		t.Errorf("with a hash on each of %d processors the scheduler had %d; want %d", atRest, most, want)
	}
	if pulses > 1 && mostBound != pulses { // on one core every thread is bound
		t.Errorf("%d threads were bound to a core; want one on each of %d", mostBound, pulses)
	}
	if mostGiving != hashConcurrency {
		t.Errorf("%d threads gave way to those that serve requests; want the %d that hash", mostGiving, hashConcurrency)
	}
	if lax != 100 || strictest >= lax {
		t.Errorf("the collector ran at %d before and at %d during the overload; want 100 and less", lax, strictest)
	}
	eventually(t, "scheduler and collector are as they were", func() bool {
		_, bound := s.threads(t)
		return s.setting(t, processors) == atRest && s.setting(t, gcPercent) == lax && (bound == 0 || pulses == 1)
	})
	for status := range statuses {
		if status != http.StatusOK && status != http.StatusBadRequest && status != http.StatusServiceUnavailable {
			t.Errorf("%d logins were answered %d", statuses[status], status)
		}
	}
	if statuses[http.StatusServiceUnavailable] == 0 || statuses[http.StatusOK] == 0 {
		t.Errorf("the logins were answered %v; want some let in and some told to come back", statuses)
	}
	if !strings.Contains(readFile(t, s.auditLog), `"outcome":"failure","reason":"busy"`) {
		t.Error("no event says that the server was busy")
	}
	peak := s.peakMemory(t)
	if bound := hashMemory*hashConcurrency + besideHashes; peak > bound {
		t.Errorf("resident memory reached %d MiB; the bound is %d MiB", peak>>20, bound>>20)
	}
	t.Logf("%d logins in %v: %v; peak %d MiB; beside them %d key sets, median %v, and %d refreshes, median %v",
		logins, took, statuses, peak>>20, len(jwks), median(jwks), len(refreshes), median(refreshes))
	s.login(t, s.confidential, email, password)
}

// meanwhile sends one request after the other until over is closed, each of
// which has to be answered 200, and returns how long each took.
func (s *server) meanwhile(t *testing.T, over <-chan struct{}, send func() answer) []time.Duration {
	var took []time.Duration
	for {
		begin := time.Now()
		if a := send(); a.status != http.StatusOK {
			t.Errorf("during the overload: %d %s", a.status, a.body)
			return took
		}
		took = append(took, time.Since(begin))
		select {
		case <-over:
			return took
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// How many processors the server's scheduler has, and its collector's GOGC, as
// /metrics names them.
const (
	processors = "go_sched_gomaxprocs_threads"
	gcPercent  = "go_gc_gogc_percent"
)

// setting is the value of one of these.
func (s *server) setting(t *testing.T, name string) int {
	a, err := send("GET", s.admin+"/metrics", nil, "")
	if err != nil {
		t.Error(err)
		return 0
	}
	_, rest, _ := strings.Cut(a.body, "\n"+name+" ")
	n, err := strconv.Atoi(strings.Fields(rest + " ?")[0])
	if err != nil {
		t.Errorf("no %s in /metrics: %v", name, err)
	}
	return n
}

// threads tells how many of the server's threads have a lower priority than the
// process has (proc_pid_stat(5): nice is field 19, the first after the name is 3),
// and how many may run on one core only (proc_pid_status(5)).
func (s *server) threads(t *testing.T) (givingWay, bound int) {
	const nice = 19 - 3
	fields := func(path string) []string {
		stat, err := os.ReadFile(path)
		if err != nil { // the thread has ended
			return nil
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		return strings.Fields(rest)
	}
	of := fmt.Sprintf("/proc/%d", s.cmd.Process.Pid)
	threads, err := filepath.Glob(of + "/task/*")
	if err != nil || len(threads) == 0 {
		t.Errorf("no threads: %v", err)
	}
	own := fields(of + "/stat")
	for _, thread := range threads {
		if f := fields(thread + "/stat"); len(f) > nice && f[nice] != own[nice] {
			givingWay++
		}
		status, _ := os.ReadFile(thread + "/status") // none if the thread has ended
		_, list, _ := strings.Cut(string(status), "\nCpus_allowed_list:")
		if list, _, _ = strings.Cut(list, "\n"); list != "" && !strings.ContainsAny(list, ",-") {
			bound++
		}
	}
	return givingWay, bound
}

func median(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)/2]
}

// peakMemory is the most memory that the server ever had resident, in bytes.
func (s *server) peakMemory(t *testing.T) int {
	t.Helper()
	status := readFile(t, fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	_, rest, _ := strings.Cut(status, "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(rest + " ?")[0])
	if err != nil {
		t.Fatalf("no VmHWM in %s", status)
	}
	return kib << 10
}

// plainBuild builds the program without the race detector.
func plainBuild(t *testing.T) string {
	t.Helper()
	if !raceDetector {
		return keyturn
	}
	program := filepath.Join(t.TempDir(), "keyturn")
	cmd := exec.Command("go", "build", "-o", program, "./cmd/keyturn")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}
