//go:build interop

package e2e

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeTime has libfaketime show the clock to a program that uses the C library.
func fakeTime(t *testing.T, c *clock) []string {
	t.Helper()
	libraries, err := filepath.Glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
	if err != nil || len(libraries) != 1 {
		t.Fatalf("the Debian package libfaketime is missing: %v, %v", libraries, err)
	}
	return []string{"LD_PRELOAD=" + libraries[0], "FAKETIME_TIMESTAMP_FILE=" + c.file, "FAKETIME_NO_CACHE=1", "NO_FAKE_STAT=1"}
}

// script runs a file of clients with an interpreter.
func script(interpreter string, path ...string) resourceProgram {
	return resourceProgram{clocked: fakeTime, command: func(*testing.T, *shop, string, map[string]string) *exec.Cmd {
		return exec.Command(interpreter, filepath.Join(append([]string{"clients"}, path...)...))
	}}
}

var (
	expressProgram = script("node", "node", "resource-express.mjs")
	keySetsProgram = script("node", "node", "resource-keysets.mjs")
	fastifyProgram = script("node", "node", "resource-fastify.mjs")
	pythonProgram  = script("/usr/bin/python3", "python", "resource.py")
	rubyProgram    = script("/usr/bin/ruby", "ruby", "resource.rb")
)

// runIn runs a command that makes a program.
func runIn(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

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

// httpd runs a configuration of Apache httpd, with pages of those names.
func httpd(config string, pages ...string) func(*testing.T, *shop, string, map[string]string) *exec.Cmd {
	return func(t *testing.T, _ *shop, dir string, environ map[string]string) *exec.Cmd {
		documentRoot(t, dir, pages...)
		config, err := filepath.Abs(filepath.Join("clients", "apache", config))
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
	}
}

var apacheProgram = resourceProgram{clocked: fakeTime, command: httpd("httpd.conf", "mod-auth-openidc", "mod-oauth2")}

// nginxProgram asks about tokens as a client of its own.
var nginxProgram = resourceProgram{clocked: fakeTime, command: func(t *testing.T, s *shop, dir string, environ map[string]string) *exec.Cmd {
	documentRoot(t, dir, "index.html")
	by := s.addClient(t, "gateway-"+filepath.Base(dir), "--grant", "client_credentials", "--introspect", api)
	pairs := []string{"${CREDENTIALS}", base64.StdEncoding.EncodeToString([]byte(by.id + ":" + by.secret))}
	for name, value := range environ {
		pairs = append(pairs, "${"+name+"}", value)
	}
	config := filepath.Join(dir, "nginx.conf")
	writeFile(t, config, strings.NewReplacer(pairs...).Replace(readFile(t, filepath.Join("clients", "nginx", "nginx.conf"))))
	return exec.Command("/usr/sbin/nginx", "-c", config, "-p", dir, "-e", "stderr")
}}

// These fetch the key set for an unknown key, however often the keys turn.
func init() { otherResources[&pythonProgram] = []string{"/pyjwt-fastapi", "/authlib-fastapi"} }
