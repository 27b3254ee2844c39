//go:build interop

package e2e

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestU4_NginxOfTheExamples puts the examples' nginx before a server. A caller that
// sends another X-Forwarded-For with each guess is slowed like any other.
func TestU4_NginxOfTheExamples(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"keyturn.conf", "compose.conf"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t, "", "--trusted-proxies", "127.0.0.1")
			s := openShop(t, d)
			front := nginx(t, name, strings.TrimPrefix(s.url, "http://"))
			slowed := false
			for n := range 12 {
				header := http.Header{"Content-Type": {formType}, "X-Forwarded-For": {fmt.Sprintf("198.51.%d.7", n)}, "Forwarded": {fmt.Sprintf("for=198.51.%d.7", n)}}
				body := values("grant_type", "password", "client_id", s.public.id, "username", email, "password", fmt.Sprint("a wrong password ", n))
				slowed = mustSend(t, "POST", front+"/oauth/token", header, body.Encode()).status == http.StatusTooManyRequests || slowed
			}
			if !slowed {
				t.Error("twelve guesses with twelve headers were all judged")
			}
			if got := lastSource(t, d); got != "127.0.0.1" {
				t.Errorf("the caller was taken for %q", got)
			}
		})
	}
}

// nginx runs a configuration of deploy/nginx with names and ports of the test's and
// returns its URL.
func nginx(t *testing.T, name, backend string) string {
	t.Helper()
	dir, address := t.TempDir(), freePort(t)
	certificate, key := trust.certFile, trust.keyFile
	text := strings.NewReplacer("keyturn-1:8080", backend, "server keyturn-2:8080;", "", "127.0.0.1:8080", backend,
		"listen 443 ssl", "listen "+address+" ssl", "listen 8080", "listen "+address,
		"/etc/nginx/keyturn/cert.pem", certificate, "/etc/nginx/keyturn/key.pem", key,
	).Replace(readFile(t, filepath.Join("..", "..", "deploy", "nginx", name)))
	config := filepath.Join(dir, "nginx.conf")
	temp := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += fmt.Sprintf("%s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	writeFile(t, config, "daemon off;\npid "+filepath.Join(dir, "pid")+";\nevents {}\nhttp {\naccess_log off;\n"+temp+text+"}\n")
	var stderr logBuffer
	cmd := exec.Command("/usr/sbin/nginx", "-c", config, "-p", dir, "-e", "stderr")
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-exited
	})
	url := "http://" + address
	if strings.Contains(text, " ssl") {
		url = "https://" + address
	}
	if !poll(exited, func() bool { a, err := send("GET", url+"/healthz", nil, ""); return err == nil && a.status == 200 }) {
		t.Fatalf("nginx does not answer:\n%s", stderr.String())
	}
	return url
}
