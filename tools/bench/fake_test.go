package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestMain lets the test binary serve floors, as the program does when it
// starts itself.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "floor" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// Awkward on purpose: they must be encoded in the form and in the header.
const (
	fakeClient   = "bench client"
	fakeSecret   = "kt_cs_a+b/c:d%e"
	fakePassword = "correct horse & battery=staple"
)

// fake is a small authorization server that takes each refresh token once.
type fake struct {
	*httptest.Server
	mu     sync.Mutex
	serial int
	live   map[string]bool
	seen   map[string]int
	logins map[string]int
	proofs map[string]bool
	public bool
	// inactive has introspection deny every token.
	inactive bool
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{live: map[string]bool{}, seen: map[string]int{}, logins: map[string]int{}, proofs: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+jwksPath, func(w http.ResponseWriter, _ *http.Request) {
		f.count("jwks")
		fmt.Fprint(w, `{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"AA","y":"AA"}]}`)
	})
	mux.HandleFunc("POST "+tokenPath, f.token)
	mux.HandleFunc("POST "+introspectPath, f.introspect)
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) count(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[what]++
}

func (f *fake) authentic(r *http.Request) bool {
	if f.public {
		return r.Header.Get("Authorization") == "" && r.PostFormValue("client_id") == fakeClient
	}
	id, secret, ok := r.BasicAuth()
	// net/http leaves the form encoding of RFC 6749 §2.3.1 in place.
	return ok && id == "bench+client" && secret == "kt_cs_a%2Bb%2Fc%3Ad%25e"
}

func (f *fake) token(w http.ResponseWriter, r *http.Request) {
	grant := r.PostFormValue("grant_type")
	f.count(grant)
	if !f.authentic(r) {
		refuse(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch grant {
	case "password":
		if r.PostFormValue("password") != fakePassword {
			refuse(w, http.StatusBadRequest, "invalid_grant")
			return
		}
		f.logins[r.PostFormValue("username")]++
	case "refresh_token":
		old := r.PostFormValue("refresh_token")
		if !f.live[old] {
			refuse(w, http.StatusBadRequest, "invalid_grant")
			return
		}
		delete(f.live, old)
	}
	if proof := r.Header.Get("DPoP"); proof != "" {
		if f.proofs[proof] {
			refuse(w, http.StatusBadRequest, "invalid_dpop_proof")
			return
		}
		f.proofs[proof] = true
	}
	f.serial++
	next := fmt.Sprintf("kt_rt_%d+/", f.serial)
	f.live[next] = true
	json.NewEncoder(w).Encode(map[string]any{"access_token": "at", "refresh_token": next, "expires_in": 60})
}

func (f *fake) introspect(w http.ResponseWriter, r *http.Request) {
	f.count("introspect")
	active := f.authentic(r) && r.PostFormValue("token") == "at" && !f.inactive
	json.NewEncoder(w).Encode(map[string]any{"active": active})
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":%q}`, code)
}

// file writes a file that only the test sees and returns its name.
func file(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// flags returns a short run of a scenario with all credentials.
func flags(t *testing.T, url, scenario string, more ...string) []string {
	t.Helper()
	return append([]string{"--url", url, "--scenario", scenario,
		"--client-id", fakeClient, "--client-secret-file", file(t, fakeSecret+"\n"),
		"--username", "ann@example.com", "--password-file", file(t, fakePassword+"\n"),
		"--clients", "3", "--duration", "60ms", "--warmup", "10ms", "--rounds", "1"}, more...)
}

// bin runs the program and returns its exit status and what it printed.
func bin(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = run(t.Context(), args, bytes.NewReader(nil), &out, &err)
	return status, out.String(), err.String()
}

// parseReport reads what --output json printed.
func parseReport(t *testing.T, stdout string) report {
	t.Helper()
	var r report
	d := json.NewDecoder(bytes.NewReader([]byte(stdout)))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatalf("the report is not JSON: %v\n%s", err, stdout)
	}
	return r
}
