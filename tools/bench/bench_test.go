package main

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestEveryScenarioIsAnsweredWithoutErrors(t *testing.T) {
	for name, request := range map[string]string{
		"jwks": "jwks", "password": "password", "refresh": "refresh_token", "refresh-bound": "refresh_token",
		"client_credentials": "client_credentials", "introspect": "introspect",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			status, out, stderr := bin(t, flags(t, f.URL, name, "--floors=false", "--output", "json",
				"--warmup", "0s", "--duration", "10m", "--max-requests", "200")...)
			if status != 0 {
				t.Fatalf("exit status %d: %s\n%s", status, stderr, out)
			}
			r := parseReport(t, out)
			if len(r.Scenarios) != 1 || r.Scenarios[0].Scenario != name || r.Errors != 0 {
				t.Fatalf("the report is not of %s: %s", name, out)
			}
			s := r.Scenarios[0]
			if s.Server.Requests == 0 || int64(f.seen[request]) < s.Server.Requests {
				t.Errorf("%d requests reported, the server saw %v", s.Server.Requests, f.seen)
			}
			if l := s.Server.Latency; l == nil || l.P50 < 1 || l.P50 > l.P90 || l.P90 > l.P99 || l.P99 > l.P999 || l.P999 > l.Max {
				t.Errorf("percentiles out of order: %+v", l)
			}
			if s.Floor != nil || s.Ratio != nil {
				t.Errorf("a floor without one: %s", out)
			}
			if bound := name == "refresh-bound"; bound != (int64(len(f.proofs)) > s.Server.Requests) {
				t.Errorf("%d requests reported, the server saw %d proofs", s.Server.Requests, len(f.proofs))
			}
			if r.ServerPID == nil || *r.ServerPID != os.Getpid() {
				t.Errorf("server_pid %v, want this process %d", r.ServerPID, os.Getpid())
			}
			if s.Server.RSSMiB == nil || *s.Server.RSSMiB <= 0 || s.Server.CPUMillis == nil {
				t.Errorf("the server's process was not accounted: %s", out)
			}
		})
	}
}

func TestEveryFloorIsMeasured(t *testing.T) {
	f := newFake(t)
	dir := t.TempDir()
	status, out, stderr := bin(t, flags(t, f.URL, "all", "--argon2", "64,1,1", "--rounds", "2", "--duration", "100ms",
		"--floor-dir", dir, "--output", "json")...)
	if status != 0 {
		t.Fatalf("exit status %d: %s\n%s", status, stderr, out)
	}
	r := parseReport(t, out)
	if len(r.Scenarios) != 6 {
		t.Fatalf("%d scenarios, want 6", len(r.Scenarios))
	}
	for _, s := range r.Scenarios {
		if s.Floor == nil || s.Floor.Requests == 0 || s.Ratio == nil || *s.Ratio <= 0 || s.Floor.RSSMiB == nil {
			t.Errorf("%s: floor %+v, ratio %v", s.Scenario, s.Floor, s.Ratio)
			continue
		}
		if len(s.Floor.Errors) > 0 || len(s.Rounds) != 2 || s.Rounds[1].Floor == nil {
			t.Errorf("%s: floor errors %v, rounds %+v", s.Scenario, s.Floor.Errors, s.Rounds)
		}
		if (s.Floor.Latency == nil) != (s.Scenario == "password") {
			t.Errorf("%s: floor latency %v", s.Scenario, s.Floor.Latency)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("the floors left %v behind", left)
	}
	wantTurns(t, stderr)
}

// wantTurns checks that floor and server took turns.
func wantTurns(t *testing.T, progress string) {
	t.Helper()
	var turns []string
	for line := range strings.Lines(progress) {
		if rest, ok := strings.CutPrefix(line, "jwks "); ok {
			turns = append(turns, strings.Join(strings.Fields(rest)[:2], " "))
		}
	}
	want := []string{"1/2: floor", "1/2: server", "2/2: floor", "2/2: server"}
	if !slices.Equal(turns, want) {
		t.Errorf("turns %q, want %q", turns, want)
	}
}

func TestFailuresAreCountedByStatusAndFailTheRun(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "secret detail", http.StatusInternalServerError)
	}))
	defer srv.Close()
	args := flags(t, srv.URL, "jwks", "--floors=false")
	status, out, stderr := bin(t, append(args, "--output", "json")...)
	r := parseReport(t, out)
	if status != 1 || r.Errors == 0 || r.Scenarios[0].Server.Errors["500"] != r.Errors || r.Scenarios[0].Server.Requests != 0 {
		t.Errorf("exit status %d, %s\n%s", status, stderr, out)
	}
	status, out, _ = bin(t, args...)
	if status != 1 || !strings.Contains(out, "failed: 500") || strings.Contains(out, "secret detail") {
		t.Errorf("exit status %d\n%s", status, out)
	}
}

func TestErrorsEndARunBeforeItsTime(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	for _, warmup := range []string{"0s", "1m"} {
		status, out, _ := bin(t, flags(t, srv.URL, "jwks", "--floors=false", "--warmup", warmup,
			"--duration", "10m", "--output", "json")...)
		r := parseReport(t, out)
		if n := r.Scenarios[0].Server.Errors["404"]; status != 1 || n < maxErrors || n > maxErrors+3 {
			t.Errorf("warm-up %s: exit status %d after %d errors", warmup, status, n)
		}
		// What ended in the warm-up was never measured.
		if measured := r.Scenarios[0].Server.RSSMiB != nil; measured != (warmup == "0s") {
			t.Errorf("warm-up %s: measured: %v", warmup, measured)
		}
	}
}

func TestDeadTokenIsAnError(t *testing.T) {
	f := newFake(t)
	f.inactive = true
	status, out, _ := bin(t, flags(t, f.URL, "introspect", "--floors=false", "--output", "json")...)
	if r := parseReport(t, out); status != 1 || r.Scenarios[0].Server.Errors["answer"] == 0 {
		t.Errorf("exit status %d\n%s", status, out)
	}
}

func TestRefusedConnectionIsAnError(t *testing.T) {
	srv := httptest.NewServer(nil)
	srv.Close()
	status, out, _ := bin(t, flags(t, srv.URL, "jwks", "--floors=false", "--output", "json")...)
	if r := parseReport(t, out); status != 1 || r.Scenarios[0].Server.Errors["network"] == 0 {
		t.Errorf("exit status %d\n%s", status, out)
	}
}

func TestFailedLoginNamesTheReasonAndNoSecret(t *testing.T) {
	f := newFake(t)
	args := flags(t, f.URL, "refresh", "--floors=false", "--password-file", file(t, "hunter2hunter2"))
	status, out, stderr := bin(t, args...)
	if status != 1 || !strings.Contains(stderr, "answered 400 invalid_grant") {
		t.Errorf("exit status %d: %s", status, stderr)
	}
	if s := out + stderr; strings.Contains(s, "hunter2") || strings.Contains(s, "kt_cs_") {
		t.Errorf("a secret was printed: %s", s)
	}
}

func TestMaxRequestsBoundsARun(t *testing.T) {
	f := newFake(t)
	status, _, stderr := bin(t, flags(t, f.URL, "jwks", "--floors=false", "--warmup", "0s",
		"--duration", "10m", "--max-requests", "50")...)
	if status != 0 || f.seen["jwks"] != 50 {
		t.Errorf("exit status %d after %d requests: %s", status, f.seen["jwks"], stderr)
	}
	status, _, stderr = bin(t, flags(t, f.URL, "jwks", "--floors=false", "--warmup", "1m", "--max-requests", "50")...)
	if status != 1 || !strings.Contains(stderr, "warm-up spent") {
		t.Errorf("exit status %d: %s", status, stderr)
	}
}

func TestInterruptEndsARunThatWaits(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	defer srv.Close()
	var out, stderr bytes.Buffer
	status := run(ctx, flags(t, srv.URL, "jwks", "--floors=false", "--duration", "10m"), nil, &out, &stderr)
	if status != 1 || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("exit status %d: %s", status, stderr.String())
	}
}

// A connection that waits for its answer must end with the context, and not
// only when the wait is over.
func TestInterruptClosesTheConnection(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	defer srv.Close()
	tgt, err := parseTarget(srv.URL, false)
	if err != nil {
		t.Fatal(err)
	}
	c := &conn{target: tgt}
	if _, _, err := c.do(ctx, tgt.get("/")); err == nil || isTimeout(err) {
		t.Errorf("ended with %v, want a closed connection", err)
	}
}

func TestServerThatClosesIsDialledAgain(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.Write([]byte(`{"keys":[]}`))
	}))
	defer srv.Close()
	status, _, stderr := bin(t, flags(t, srv.URL, "jwks", "--floors=false",
		"--warmup", "0s", "--duration", "10m", "--max-requests", "20")...)
	if status != 0 {
		t.Errorf("exit status %d: %s", status, stderr)
	}
}

func TestPublicClientAndUsersFile(t *testing.T) {
	f := newFake(t)
	f.public = true
	users := "a@x:" + fakePassword + "\n\nb@x:" + fakePassword + "\r\nc@x:" + fakePassword
	status, _, stderr := bin(t, "--url", f.URL, "--scenario", "password", "--client-id", fakeClient,
		"--users-file", file(t, users), "--clients", "1", "--duration", "10m", "--max-requests", "6",
		"--warmup", "0s", "--rounds", "1", "--floors=false")
	if status != 0 {
		t.Fatalf("exit status %d: %s", status, stderr)
	}
	if want := map[string]int{"a@x": 2, "b@x": 2, "c@x": 2}; !maps.Equal(f.logins, want) {
		t.Errorf("logins %v, want %v", f.logins, want)
	}
}

func TestUsersAreDealtOutToTheClients(t *testing.T) {
	tgt, err := parseTarget("http://127.0.0.1:9", false)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int][]int{2: {3, 2}, 5: {1, 1, 1, 1, 1}, 7: {1, 1, 1, 1, 1, 1, 1}} {
		var got []int
		for _, s := range passwordSessions(tgt, credentials{users: make([]user, 5)}, n) {
			got = append(got, len(s.(*passwordSession).requests))
		}
		if !slices.Equal(got, want) {
			t.Errorf("5 users for %d clients: %v, want %v", n, got, want)
		}
	}
}

func TestJSONReportShape(t *testing.T) {
	f := newFake(t)
	_, out, _ := bin(t, flags(t, f.URL, "jwks", "--output", "json")...)
	var top map[string]any
	if err := json.Unmarshal([]byte(out), &top); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, top, "arch", "clients", "cpus", "duration_seconds", "errors", "go", "os", "rounds",
		"scenarios", "server_pid", "started_at", "url", "warmup_seconds")
	s := top["scenarios"].([]any)[0].(map[string]any)
	wantKeys(t, s, "cpu_ratio", "floor", "ratio", "rounds", "scenario", "server")
	wantKeys(t, s["rounds"].([]any)[0].(map[string]any), "floor", "server")
	for _, who := range []string{"server", "floor"} {
		m := s[who].(map[string]any)
		wantKeys(t, m, "client_cpu_ms_per_request", "cpu_ms_per_request", "errors", "latency_us",
			"requests", "requests_per_second", "rss_mib")
		wantKeys(t, m["latency_us"].(map[string]any), "max", "p50", "p90", "p99", "p99.9")
	}
}

func wantKeys(t *testing.T, m map[string]any, want ...string) {
	t.Helper()
	if got := slices.Sorted(maps.Keys(m)); !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
}

func TestTextReportHasEveryColumn(t *testing.T) {
	f := newFake(t)
	status, out, stderr := bin(t, flags(t, f.URL, "jwks")...)
	if status != 0 {
		t.Fatalf("exit status %d: %s", status, stderr)
	}
	for _, c := range columns {
		if !strings.Contains(out, c) {
			t.Errorf("no column %q in\n%s", c, out)
		}
	}
}
