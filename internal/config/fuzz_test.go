package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLoad loads a file of any bytes. What is accepted must print as what loads
// to the same settings; what is refused must be refused line by line.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"", "log_level: debug\nadmin_listen: off\n", "store: sqlite:x.db\nissuer: https://auth.example.com\nlisten: :80\n",
		"trusted_proxies: [10.0.0.0/8, ::1]\ncors_origins: https://a.example\n", "retry_window: 0\nrefresh_ttl: 30d\n",
		"a: &a [*a]\n", "<<: {signup: on}\n", "? [a]\n: b\n", "1: 2\n", "store: !!binary aGk=\n", "a.b: 1\n", "---\n---\n",
		"audit_log: 2026-01-01\n", "signup: off\nsignup: on\n", "\xff\xfes\x00", "argon2_memory: 1_9_456\n", "!!map {}\n", "{{{{",
	} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "keyturn.yaml")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(nil, []string{"KEYTURN_CONFIG=" + path})
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !strings.Contains(line, " is refused") && !strings.Contains(line, " is not the name of a setting; ") && !strings.HasPrefix(line, "and ") {
					t.Errorf("an odd line: %q", line)
				}
			}
			return
		}
		checkReload(t, c)
	})
}

// checkReload gives what c prints to Load as variables.
func checkReload(t *testing.T, c *Config) {
	t.Helper()
	var environ []string
	for _, v := range c.Effective() {
		if s, _ := lookup(v.Name); !s.Secret {
			environ = append(environ, s.Env()+"="+v.Value)
		}
	}
	environ = append(environ, "KEYTURN_STORE="+c.Store.Reveal())
	again, err := Load(nil, environ)
	if err != nil {
		t.Fatalf("what is printed is refused: %v", err)
	}
	for i, v := range again.Effective() {
		if before := c.Effective()[i]; before.Value != v.Value {
			t.Errorf("%s is printed as %q and then as %q", v.Name, before.Value, v.Value)
		}
	}
}
