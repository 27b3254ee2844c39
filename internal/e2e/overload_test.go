package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// U2's bound on resident memory, of the server and the processes that hash for it,
// with so many hashes of 19 MiB at once.
const (
	hashConcurrency = 2
	memoryBound     = 200 << 20
)

// comeBack is how often each login is tried: the server has to bear the crowd
// that does as it is told.
const comeBack = 3

// TestU2_Overload has 500 logins arrive at once. Each is answered: let in,
// refused, or told to come back, which it does; meanwhile sessions are refreshed
// and the key set is served, no more passwords are hashed at once than may be, and
// memory stays within its bound.
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
	begin := time.Now()
	close(start)
	flood.Wait()
	took := time.Since(begin)
	close(over)
	beside.Wait()

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
	workers := s.workers(t)
	if len(workers) != hashConcurrency {
		t.Errorf("%d processes hash; want %d", len(workers), hashConcurrency)
	}
	peak := 0
	for _, pid := range append(workers, s.cmd.Process.Pid) {
		peak += peakMemory(t, pid)
	}
	if peak > memoryBound {
		t.Errorf("resident memory reached %d MiB; the bound is %d MiB", peak>>20, memoryBound>>20)
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

func median(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)/2]
}

// peakMemory is the most memory that a process ever had resident, in bytes.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	status := readFile(t, fmt.Sprintf("/proc/%d/status", pid))
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
	if err := build(program, filepath.Join("..", ".."), "./cmd/keyturn"); err != nil {
		t.Fatal(err)
	}
	return program
}
