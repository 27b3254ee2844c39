package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAuditReport has a theft, and asks for the page about it.
func TestAuditReport(t *testing.T) {
	t.Parallel()
	s := openShop(t, newDeployment(t, "", "--retry-window", "0"))
	session := s.login(t, s.public, email, password)
	s.grant(t, s.public, "grant_type", "refresh_token", "refresh_token", session.RefreshToken)
	stolen, err := postForm(s.url+"/oauth/token", s.public, values("grant_type", "refresh_token", "refresh_token", session.RefreshToken))
	if err != nil || stolen.status != 400 {
		t.Fatalf("the spent token: %d, %v", stolen.status, err)
	}
	wrong, err := postForm(s.url+"/oauth/token", s.public, values("grant_type", "password", "username", "<b>@example.org", "password", "not the password of anybody"))
	if err != nil || wrong.status != 400 {
		t.Fatalf("the wrong password: %d, %v", wrong.status, err)
	}
	s.stop(t)

	dir := t.TempDir()
	page := filepath.Join(dir, "report.html")
	report := func(stdin string, args ...string) outcome {
		t.Helper()
		return execute(t, nil, stdin, append(append([]string{"audit", "report"}, args...), s.flags()...)...)
	}
	if o := report("", "--out", page, s.auditLog); o.code != 0 || o.stdout != "" {
		t.Fatalf("exit code %d, %q, %s", o.code, o.stdout, o.stderr)
	}
	html := readFile(t, page)
	for _, want := range []string{"The log is as it was written", "1 spent refresh token came back", "Presented the spent token", "&lt;b&gt;@example.org", "user-added"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if info, err := os.Stat(page); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the page can be read by others: %v, %v", info.Mode(), err)
	}

	log := readFile(t, s.auditLog)
	writeFile(t, filepath.Join(dir, "log.gz"), zipped(t, log))
	for name, o := range map[string]outcome{
		"a file":         report("", "--output", "json", s.auditLog),
		"standard input": report(log, "--output", "json", "-"),
		"compressed":     report("", "--output", "json", filepath.Join(dir, "log.gz")),
		"unverified":     report(log, "--output", "json", "--no-verify", "-"),
	} {
		var r struct {
			Integrity struct {
				Checked     bool
				Checkpoints int
			}
			Totals  struct{ Logins, Failed, Refreshes, Reuses int }
			Sources struct{ Rows []struct{ IP string } }
		}
		if err := json.Unmarshal([]byte(o.stdout), &r); err != nil || o.code != 0 {
			t.Errorf("%s: exit code %d, %v, %s", name, o.code, err, o.stderr)
			continue
		}
		if r.Totals != (struct{ Logins, Failed, Refreshes, Reuses int }{1, 1, 1, 1}) || len(r.Sources.Rows) != 1 {
			t.Errorf("%s: %+v", name, r)
		}
		if want := name != "unverified"; r.Integrity.Checked != want || (r.Integrity.Checkpoints > 0) != want {
			t.Errorf("%s: %+v", name, r.Integrity)
		}
	}

	writeFile(t, s.auditLog, strings.Replace(log, "token-reuse", "token-resue", 1))
	if o := report("", s.auditLog); o.code != 1 || !strings.Contains(o.stdout, "<h2>The log is not as it was written</h2>") || !strings.Contains(o.stderr, s.auditLog) {
		t.Errorf("a changed log: exit code %d, %s", o.code, o.stderr)
	}
	for _, args := range [][]string{{}, {"--since", "never", s.auditLog}, {"--since", "1h", "--until", "2h", s.auditLog}} {
		if o := report("", args...); o.code != 2 {
			t.Errorf("%q: exit code %d, %s", args, o.code, o.stderr)
		}
	}
	if o := report("", "--out", filepath.Join(dir, "none", "x.html"), s.auditLog); o.code != 1 || o.stdout != "" {
		t.Errorf("a report that cannot be written: exit code %d, %s", o.code, o.stderr)
	}
	if o := report("", filepath.Join(dir, "none.log")); o.code != 3 || o.stdout != "" {
		t.Errorf("a log that is not there: exit code %d, %s", o.code, o.stderr)
	}
	before := readFile(t, s.auditLog)
	if o := report("", "--out", s.auditLog, page); o.code != 2 || readFile(t, s.auditLog) != before {
		t.Errorf("the log is in the place of a report: exit code %d, %s", o.code, o.stderr)
	}
	writeFile(t, s.auditLog, log)
	if o := report("", "--out", page, s.auditLog); o.code != 0 {
		t.Errorf("in the place of an earlier report: exit code %d, %s", o.code, o.stderr)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".keyturn-report-*")); err != nil || left != nil {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// zipped is a text as gzip keeps it.
func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
