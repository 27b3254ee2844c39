package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
)

// TestA3_ALogThatDoesNotOpenKeepsNobodysRights takes the deployment's log away, a file
// or a receiver, so that it cannot be opened. Commands that take rights away do so all
// the same and owe their events, which the next server writes; every other command
// changes nothing; and so does one that names a log that is not the deployment's.
func TestA3_ALogThatDoesNotOpenKeepsNobodysRights(t *testing.T) {
	t.Parallel()
	t.Run("a file", func(t *testing.T) {
		t.Parallel()
		d := newDeployment(t, "")
		l := d.auditLink(t)
		d.withoutItsLog(t, func() { l.lead("/nonexistent/log") }, func() { l.lead(l.real) }, func() string { return l.real })
	})
	t.Run("a receiver", func(t *testing.T) {
		t.Parallel()
		c := newCollector(t)
		d := newDeployment(t, "").logsTo(c)
		d.withoutItsLog(t, c.leave, c.comeBack, func() string {
			file := filepath.Join(d.dir, "received.log")
			writeFile(t, file, c.check(t, d))
			return file
		})
	})
}

func (d *deployment) withoutItsLog(t *testing.T, fail, heal func(), received func() string) {
	s := openShop(t, d)
	s.server.stop(t)
	fail()
	plain := []string{"--store", d.store, "--master-key-file", d.masterKeys}
	own := slices.Concat(plain, []string{"--audit-log", d.auditLog})
	try := func(flags []string, want string, args ...string) {
		t.Helper()
		if o := execute(t, nil, "", slices.Concat(args, flags)...); o.code != 1 || !strings.Contains(o.stderr, want) {
			t.Errorf("keyturn %s: exit code %d, %s; want 1 and %q", strings.Join(args, " "), o.code, o.stderr, want)
		}
	}
	try(plain, "is owed", "users", "disable", email)
	try(own, "is owed", "clients", "disable", "app")
	try(plain, "could not be written", "clients", "add", "new", "--public", "--grant", "password")
	try(slices.Concat(plain, []string{"--audit-log", "/nonexistent/log"}), "audit_log /nonexistent/log", "clients", "disable", "shop")
	for _, one := range []struct {
		kind, name, want string
	}{{"users", email, `"disabled":true`}, {"clients", "app", `"disabled":true`}, {"clients", "shop", `"shop"`}, {"clients", "new", ""}} {
		got := d.listed(t, one.kind, one.name)
		if got == "" != (one.want == "") || !strings.Contains(got, one.want) || one.name == "shop" && strings.Contains(got, `"disabled":true`) {
			t.Errorf("%s is listed as %s", one.name, got)
		}
	}
	heal()
	next := s.server.again(t)
	settled := func() bool {
		return !slices.ContainsFunc(slices.Concat(d.records(t, "users"), d.records(t, "clients")), held)
	}
	eventually(t, "nothing is owed", settled)
	next.stop(t)
	told := *d
	told.auditLog = received()
	for _, action := range []audit.Action{audit.UserDisabled, audit.ClientDisabled} {
		if n := told.told(t, action); n != 1 {
			t.Errorf("%s was told %d times", action, n)
		}
	}
	if !strings.HasPrefix(d.auditLog, "syslog") {
		d.checkAudit(t)
	}
}
