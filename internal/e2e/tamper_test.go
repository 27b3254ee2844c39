package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestA2_EditedLogIsFound changes one byte of the log of a real server.
func TestA2_EditedLogIsFound(t *testing.T) {
	t.Parallel()
	s := openShop(t, newDeployment(t, ""))
	session := s.login(t, s.public, email, password)
	for range 3 {
		session = s.grant(t, s.public, "grant_type", "refresh_token", "refresh_token", session.RefreshToken)
	}
	s.stop(t)
	s.checkAudit(t)

	log := readFile(t, s.auditLog)
	lines := strings.SplitAfter(log, "\n")
	n := 0
	for lines[n] == "" || !strings.Contains(lines[n], "token-refreshed") {
		n++
	}
	number := n + 1
	edited := strings.Replace(lines[n], s.uid, strings.Repeat("0", len(s.uid)), 1)
	for name, change := range map[string]string{
		"edited":  strings.Join(lines[:n], "") + edited + strings.Join(lines[n+1:], ""),
		"removed": strings.Join(lines[:n], "") + strings.Join(lines[n+1:], ""),
		"swapped": strings.Join(lines[:n], "") + lines[n+1] + lines[n] + strings.Join(lines[n+2:], ""),
	} {
		writeFile(t, s.auditLog, change)
		o := s.run(t, "audit", "verify", s.auditLog)
		s.checkBadLine(t, name, o, number)
	}

	writeFile(t, s.auditLog, strings.Join(lines[:len(lines)-2], ""))
	if o := s.run(t, "audit", "verify", s.auditLog); o.code != 1 {
		t.Errorf("a log cut off at its end: exit code %d, want 1\n%s%s", o.code, o.stdout, o.stderr)
	}
	writeFile(t, s.auditLog, log)
	s.checkAudit(t)
}

// checkBadLine checks that audit verify found a change at the line, or, where
// lines are missing or out of order, at the one that follows.
func (s *shop) checkBadLine(t *testing.T, change string, o outcome, line int) {
	t.Helper()
	var bad struct {
		File   string
		Line   int
		Reason string
	}
	if o.code != 1 {
		t.Errorf("%s: exit code %d, want 1\n%s%s", change, o.code, o.stdout, o.stderr)
		return
	}
	if err := json.Unmarshal([]byte(o.stdout), &bad); err != nil {
		t.Errorf("%s: %v in %q, standard error %q", change, err, o.stdout, o.stderr)
		return
	}
	if bad.File != s.auditLog || bad.Line < line || bad.Line > line+1 || bad.Reason == "" {
		t.Errorf("%s: found at %+v, want line %d of %s", change, bad, line, s.auditLog)
	}
}
