//go:build interop

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestF8_APageWithAKey has a page in Chromium hold a bound session: with the npm package
// dpop, a key that no script can read, kept in IndexedDB over a reload, at a server of
// another origin that asks for nonces.
func TestF8_APageWithAKey(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	page := httptest.NewServer(mux)
	t.Cleanup(page.Close)
	s := openShop(t, newDeployment(t, "", "--dpop-nonce=true", "--cors-origins", page.URL))
	type met struct {
		Type, Exported, Thumbprint, Alone, Access, Error string
		Asked, UserInfo, Bearer                          int
		Reloaded                                         bool
	}
	done := make(chan met, 1)
	file := func(pattern, kind string, path ...string) {
		text := readFile(t, filepath.Join(append([]string{"clients", "node"}, path...)...))
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write([]byte(text))
		})
	}
	file("GET /{$}", "text/html", "dpop-page.html")
	file("GET /dpop.js", "text/javascript", "node_modules", "dpop", "build", "index.js")
	mux.HandleFunc("GET /ask", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": s.url, "client_id": s.public.id, "username": email, "password": password})
	})
	mux.HandleFunc("POST /done", func(w http.ResponseWriter, r *http.Request) {
		var m met
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			m.Error = err.Error()
		}
		done <- m
	})
	// As root Chromium has no sandbox; it opens this page alone.
	cmd := exec.Command("/usr/bin/chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--user-data-dir="+t.TempDir(), page.URL+"/")
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatalf("the Debian package chromium is missing: %v", err)
	}
	var m met
	select {
	case m = <-done:
	case <-time.After(3 * time.Minute):
		m.Error = "the page said nothing in three minutes"
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	_ = cmd.Wait()
	if m.Error != "" {
		t.Fatalf("%s\n%s", m.Error, said.String())
	}
	if m.Type != "DPoP" || !m.Reloaded || m.Asked != 1 || m.Exported != "InvalidAccessError" || m.Alone != "invalid_dpop_proof" || m.UserInfo != 200 || m.Bearer != 401 {
		t.Errorf("the page met %+v", m)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(m.Access+"..", ".")[1])
	if err != nil || !strings.Contains(string(payload), `"cnf":{"jkt":"`+m.Thumbprint+`"}`) {
		t.Errorf("the token is bound to another key than %s: %s", m.Thumbprint, payload)
	}
}
