package e2e

import (
	"slices"
	"strings"
	"testing"
)

// TestDashedIDs pastes ids that begin with a dash, as keys of earlier versions and
// imported accounts have them.
func TestDashedIDs(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	d.serve(t).stop(t)
	run := func(args ...string) outcome {
		return execute(t, nil, "", slices.Concat(args[:2], d.flags(), args[2:])...)
	}
	kid := "-" + strings.Repeat("x", 42)
	for _, args := range [][]string{
		{"keys", "revoke", kid, "--reason", "leaked"},
		{"keys", "revoke", "--reason", "leaked", kid},
		{"keys", "revoke", "--reason", "leaked", "--", kid},
	} {
		if o := run(args...); o.code != 1 || !strings.Contains(o.stderr, "no key "+kid) {
			t.Errorf("%v: exit code %d\n%s", args, o.code, o.stderr)
		}
	}
	if o := run("keys", "revoke", "no-key", "--reason", kid); o.code != 1 || !strings.Contains(o.stderr, "no key no-key") {
		t.Errorf("a reason was taken for a kid: exit code %d\n%s", o.code, o.stderr)
	}
	if o := run("users", "disable", "-8f3"); o.code != 2 || !strings.Contains(o.stderr, "behind --") {
		t.Errorf("users disable: exit code %d\n%s", o.code, o.stderr)
	}
	if o := run("users", "disable", "--", "-8f3"); o.code != 1 {
		t.Errorf("users disable --: exit code %d\n%s", o.code, o.stderr)
	}
	if o := run("clients", "add", "--grant", "client_credentials", "--", "-shop"); o.code != 2 || !strings.Contains(o.stderr, "dash") {
		t.Errorf("clients add: exit code %d\n%s", o.code, o.stderr)
	}
}
