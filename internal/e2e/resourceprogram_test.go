//go:build interop

package e2e

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// serveTLS is serve with the tests' certificate, without a front.
func (d *deployment) serveTLS(t *testing.T, flags ...string) *server {
	t.Helper()
	public, admin := freePort(t), freePort(t)
	s := &server{url: "https://" + public, admin: "http://" + admin}
	s.args = slices.Concat([]string{"serve"}, d.flags(), []string{
		"--issuer", s.url, "--listen", public, "--admin-listen", admin,
		"--tls-cert-file", trust.certFile, "--tls-key-file", trust.keyFile,
	}, flags)
	s.start(t)
	return s
}

// resourceProgram is a program with one or more resource servers in it.
type resourceProgram struct {
	// command makes the command that runs it, in dir.
	command func(t *testing.T, s *shop, dir string, environ map[string]string) *exec.Cmd
}

// start runs the program on a free port and returns its URL. It is ended with
// the test.
func (p resourceProgram) start(t *testing.T, s *shop, cacheSeconds string) string {
	t.Helper()
	address, dir := freePort(t), t.TempDir()
	environ := map[string]string{
		"ISSUER": s.issuer, "AUDIENCE": api, "ALGS": "ES256 RS256", "LISTEN": address, "DIR": dir, "CA_FILE": trust.caFile,
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

// script runs a file of clients with an interpreter.
func script(interpreter string, path ...string) resourceProgram {
	return resourceProgram{func(*testing.T, *shop, string, map[string]string) *exec.Cmd {
		return exec.Command(interpreter, filepath.Join(append([]string{"clients"}, path...)...))
	}}
}

var (
	expressProgram = script("node", "node", "resource-express.mjs")
	fastifyProgram = script("node", "node", "resource-fastify.mjs")
	pythonProgram  = script("/usr/bin/python3", "python", "resource.py")
	rubyProgram    = script("/usr/bin/ruby", "ruby", "resource.rb")
)

// documentRoot makes the pages that a web server guards.
func documentRoot(t *testing.T, dir string, names ...string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(dir, "www"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, "www", name), []byte("welcome\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var apacheProgram = resourceProgram{func(t *testing.T, _ *shop, dir string, environ map[string]string) *exec.Cmd {
	documentRoot(t, dir, "mod-auth-openidc", "mod-oauth2")
	config, err := filepath.Abs(filepath.Join("clients", "apache", "httpd.conf"))
	if err != nil {
		t.Fatal(err)
	}
	// Its children read the pages and the authority as another user.
	for path := dir; path != os.TempDir() && path != "/"; path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, []byte(readFile(t, environ["CA_FILE"])), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"-D", "FOREGROUND", "-f", config, "-C", "Define RUN_AS nobody"}
	for name, value := range environ {
		if name == "CA_FILE" {
			value = ca
		}
		args = append(args, "-C", "Define "+name+` "`+value+`"`)
	}
	return exec.Command("/usr/sbin/apache2", args...)
}}

// nginxProgram asks about tokens as a client of its own.
var nginxProgram = resourceProgram{func(t *testing.T, s *shop, dir string, environ map[string]string) *exec.Cmd {
	documentRoot(t, dir, "index.html")
	by := s.addClient(t, "gateway-"+filepath.Base(dir), "--grant", "client_credentials")
	pairs := []string{"${CREDENTIALS}", base64.StdEncoding.EncodeToString([]byte(by.id + ":" + by.secret))}
	for name, value := range environ {
		pairs = append(pairs, "${"+name+"}", value)
	}
	config := filepath.Join(dir, "nginx.conf")
	writeFile(t, config, strings.NewReplacer(pairs...).Replace(readFile(t, filepath.Join("clients", "nginx", "nginx.conf"))))
	return exec.Command("/usr/sbin/nginx", "-c", config, "-p", dir, "-e", "stderr")
}}
