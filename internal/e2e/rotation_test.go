package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestA2_HangupReopensTheLog rotates as logrotate does: the server goes on in
// the renamed file until it gets SIGHUP, then in a new one.
func TestA2_HangupReopensTheLog(t *testing.T) {
	t.Parallel()
	s := openShop(t, newDeployment(t, ""))
	grant := func() { s.grant(t, s.confidential, "grant_type", "client_credentials") }
	issued := func(path string) int { return strings.Count(readFile(t, path), `"action":"token-issued"`) }
	grant()
	old := s.auditLog + ".1"
	if err := os.Rename(s.auditLog, old); err != nil {
		t.Fatal(err)
	}
	grant()
	if n := issued(old); n != 2 {
		t.Errorf("the renamed file has %d tokens; want both", n)
	}
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is a new file", func() bool {
		_, err := os.Stat(s.auditLog)
		return err == nil
	})
	grant()
	if in, out := issued(s.auditLog), issued(old); in != 1 || out != 2 {
		t.Errorf("%d tokens in the new file and %d in the old; want 1 and 2", in, out)
	}
	s.stop(t)
	s.checkAudit(t, old)
}

// TestA2_TheServerAndCommandsRotateOneFile has a server and commands share a log
// that is rotated at nearly every event.
func TestA2_TheServerAndCommandsRotateOneFile(t *testing.T) {
	t.Parallel()
	s := openShop(t, newDeployment(t, "", "--audit-rotate-age", "1ms", "--audit-keep", "100000"))
	for range 5 {
		s.login(t, s.public, email, password)
		s.must(t, nil, "users", "logout", email)
	}
	s.stop(t)
	old, err := filepath.Glob(s.auditLog + ".*")
	if err != nil || len(old) < 10 {
		t.Errorf("%d rotated files (%v); want one at nearly every event", len(old), err)
	}
	s.checkAudit(t, old...)
}
