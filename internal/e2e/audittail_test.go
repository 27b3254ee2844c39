package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestAuditTail asks a real server's log for one thing after the other.
func TestAuditTail(t *testing.T) {
	t.Parallel()
	s := openShop(t, newDeployment(t, ""))
	session := s.login(t, s.public, email, password)
	s.grant(t, s.public, "grant_type", "refresh_token", "refresh_token", session.RefreshToken)
	s.stop(t)

	count := func(flags ...string) int {
		t.Helper()
		o := execute(t, nil, "", append(append([]string{"audit", "tail"}, flags...), s.auditLog)...)
		if o.code != 0 || strings.Contains(o.stdout, "\x1b") || (o.stdout == "") != strings.Contains(o.stderr, "no event") {
			t.Fatalf("%q: exit code %d, %q, %s", flags, o.code, o.stdout, o.stderr)
		}
		return strings.Count(o.stdout, "\n")
	}
	all := count()
	for _, c := range []struct {
		flags string
		want  int
	}{
		{"--action token-issued --user " + s.uid, 1},
		{"--action token-issued,token-refreshed --outcome success", 2},
		{"--action token-* --ip 127.0.0.0/8 --since 1h", 2},
		{"--action token-* --ip 192.0.2.0/24", 0},
		{"--action server-*", 2},
		{"--client " + s.public.id + " --action token-refreshed", 1},
		{"--session none", 0},
		{"--outcome failure", 0},
		{"--reason wrong_password", 0},
		{"--until 1h", 0},
		{"--since 2020-01-01", all},
	} {
		if got := count(strings.Fields(c.flags)...); got != c.want {
			t.Errorf("%s: %d events, want %d", c.flags, got, c.want)
		}
	}
	log := readFile(t, s.auditLog)
	half := strings.Index(log[len(log)/2:], "\n") + len(log)/2 + 1
	dir := t.TempDir()
	earlier, later := filepath.Join(dir, "b.gz"), filepath.Join(dir, "a")
	writeFile(t, earlier, zipped(t, log[:half]))
	writeFile(t, later, log[half:])
	if o := execute(t, nil, "", "audit", "tail", "--output", "json", later, earlier); o.code != 0 || o.stdout != log {
		t.Errorf("two files: exit code %d, %d bytes of %d, %s", o.code, len(o.stdout), len(log), o.stderr)
	}
	for _, flags := range []string{
		"--follow " + later,
		"--action token-resue", "--outcome failed", "--ip 300.0.0.1", "--since tomorrow", "--since 1h --until 2h", "--follow -",
	} {
		if o := execute(t, nil, "", append(append([]string{"audit", "tail"}, strings.Fields(flags)...), s.auditLog)...); o.code != 2 {
			t.Errorf("%s: exit code %d, %s", flags, o.code, o.stderr)
		}
	}
}
