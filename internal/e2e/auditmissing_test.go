package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// TestA2_WhatIsMissingNeverPasses takes from a log of several chains what a thief
// would, and holds the rest against a list of heads that was kept, and against the
// store.
func TestA2_WhatIsMissingNeverPasses(t *testing.T) {
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		d.addClient(t, "first", "--public", "--grant", "password")
		s := d.serve(t)
		d.addClient(t, "second", "--public", "--grant", "password")
		s.stop(t)
		d.addClient(t, "third", "--public", "--grant", "password")
		heads, keys := filepath.Join(d.dir, "heads.json"), filepath.Join(d.dir, "keys.json")
		writeFile(t, heads, d.run(t, "audit", "heads").stdout)
		writeFile(t, keys, d.run(t, "audit", "keys").stdout)
		whole := readFile(t, d.auditLog)
		lines := strings.SplitAfter(strings.TrimSuffix(whole, "\n"), "\n")
		verify := func(t *testing.T, kept bool, args ...string) outcome {
			t.Helper()
			args = append([]string{"audit", "verify"}, args...)
			if kept {
				args = append(args, "--keys", keys, "--heads", heads)
			}
			return d.run(t, append(args, d.auditLog)...)
		}
		for _, c := range []struct{ name, rest string }{
			{"as it was written", whole},
			{"emptied", ""},
			{"its first 300 bytes", whole[:300]},
			{"its last chain", strings.Join(lines[len(lines)-2:], "")},
			{"without its first", strings.Join(lines[1:], "")},
			{"without its first ten", strings.Join(lines[10:], "")},
			{"begun anew", "begun anew"}, // last: the store learns of the new chains
		} {
			name, rest := c.name, c.rest
			for _, kept := range []bool{true, false} {
				writeFile(t, d.auditLog, rest)
				if rest == "begun anew" {
					writeFile(t, d.auditLog, "")
					d.addClient(t, "anew-"+map[bool]string{true: "kept", false: "store"}[kept], "--public", "--grant", "password")
				}
				o := verify(t, kept)
				if rest == whole {
					if o.code != 0 {
						t.Errorf("%s: exit code %d, %s", name, o.code, o.stderr)
					}
					continue
				}
				var bad struct {
					Reason  string
					Missing []struct {
						Chain, Node string
						Events      int
					}
				}
				if err := json.Unmarshal([]byte(o.stdout), &bad); o.code != 1 || err != nil || bad.Reason == "" {
					t.Errorf("%s, from what was kept: %v: exit code %d, %s%s", name, kept, o.code, o.stdout, o.stderr)
				}
				if rest == "" && len(bad.Missing) < 4 || rest == "begun anew" && len(bad.Missing) < 4 {
					t.Errorf("%s, from what was kept: %v: names %+v", name, kept, bad.Missing)
				}
				for _, m := range bad.Missing {
					if m.Chain == "" || !strings.HasSuffix(m.Node, ":"+d.auditLog) || m.Events < 1 {
						t.Errorf("%s: names %+v", name, m)
					}
				}
			}
		}
		writeFile(t, d.auditLog, whole)
		for _, c := range []struct {
			args []string
			code int
		}{
			{[]string{"--heads", filepath.Join(d.dir, "none.json")}, 3},
			{[]string{"--keys", d.auditLog}, 3},
			{[]string{filepath.Join(d.dir, "none.log")}, 3},
			{[]string{"--no-such-flag"}, 2},
			{[]string{"--since", "2127-12-01"}, 2},
			{[]string{"--since", "1ms"}, 0},
		} {
			if o := verify(t, false, c.args...); o.code != c.code {
				t.Errorf("%q: exit code %d; want %d: %s", c.args, o.code, c.code, o.stderr)
			}
		}
		if o := d.run(t, "audit", "report", "--whole-since", "2127-12-01", d.auditLog); o.code != 2 {
			t.Errorf("a report of a log that is whole in the future: exit code %d; want 2: %s", o.code, o.stderr)
		}
		if o := d.run(t, "audit", "verify", "--since", "1ms", "/dev/null"); o.code != 1 {
			t.Errorf("nothing, and --since: exit code %d; want 1: %s", o.code, o.stderr)
		}
		o := d.run(t, "--output", "text", "audit", "verify", "--elsewhere", "*", "/dev/null")
		if o.code != 0 || strings.Contains(o.stdout, "as they were written") || !strings.Contains(o.stdout, ":"+d.auditLog+"), and --elsewhere") {
			t.Errorf("nothing, and all elsewhere: exit code %d, %s%s", o.code, o.stdout, o.stderr)
		}
		mistyped := *d
		mistyped.store = "sqlite:" + filepath.Join(d.dir, "none.db")
		if o := mistyped.run(t, "audit", "verify", d.auditLog); o.code != 3 || !strings.Contains(o.stderr, "none.db") {
			t.Errorf("with a store that is not there: exit code %d; want 3: %s", o.code, o.stderr)
		}
		if o := mistyped.run(t, "audit", "verify", "--no-store", d.auditLog); o.code != 2 {
			t.Errorf("with a store and --no-store: exit code %d; want 2: %s", o.code, o.stderr)
		}
		if o := execute(t, []string{"KEYTURN_STORE=" + mistyped.store}, "", "audit", "verify", "--no-store", d.auditLog); o.code != 0 {
			t.Errorf("with --no-store: exit code %d; want 0: %s", o.code, o.stderr)
		}
	})
}
