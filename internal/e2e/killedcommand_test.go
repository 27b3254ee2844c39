package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
)

// TestA3_ACommandThatIsKilledBeforeItsEvent kills commands of which the store has the
// change, or what was proposed of it, while they wait for room in a full pipe, which is
// their log. What they began is done, by the same command again or by a server, and the
// log has each of these decisions once. A log that hangs does not keep a key from being
// revoked, though the next one is made before.
func TestA3_ACommandThatIsKilledBeforeItsEvent(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		s := openShop(t, d)
		active := activeKey(t, d)
		next := d.keyList(t)[slices.IndexFunc(d.keyList(t), func(k listedKey) bool { return k.State == "standby" })]
		elsewhere := *d
		elsewhere.auditLog = "/proc/self/fd/3"
		for _, c := range []struct {
			action audit.Action
			kind   string // of the records that it is about
			args   []string
			// again is the exit code of the same command: there may be nothing left to
			// do. If there is, to do it is a decision of its own.
			again, decisions int
			stands           func() bool
		}{
			{audit.KeyRotated, "keys", []string{"keys", "rotate"}, 1, 1, func() bool {
				return slices.ContainsFunc(d.keyList(t), func(k listedKey) bool { return k.KID == next.KID && k.ActivateAt < next.ActivateAt })
			}},
			{audit.KeyRevoked, "keys", []string{"keys", "revoke", active, "--reason", "stolen"}, 1, 1, func() bool {
				return slices.ContainsFunc(d.keyList(t), func(k listedKey) bool { return k.KID == active && k.State == "revoked" })
			}},
			{audit.ClientChanged, "clients", []string{"clients", "update", "app", "--scope", "orders"}, 0, 2, func() bool {
				return !strings.Contains(d.listed(t, "clients", "app"), scope)
			}},
			{audit.ClientDisabled, "clients", []string{"clients", "disable", "app"}, 0, 2, func() bool {
				return strings.Contains(d.listed(t, "clients", "app"), `"disabled":true`)
			}},
		} {
			what := strings.Join(c.args, " ")
			told := d.told(t, c.action)
			proposed := func() bool {
				return slices.ContainsFunc(d.records(t, c.kind), func(r string) bool { return strings.Contains(r, string(c.action)) })
			}
			for n := 0; !proposed(); n++ {
				if n == 3 {
					t.Fatalf("%s ends without a change", what)
				}
				cmd := exec.Command(keyturn, append(slices.Clone(c.args), elsewhere.flags()...)...)
				cmd.Env, cmd.ExtraFiles = bareEnviron(), []*os.File{fullPipe(t)}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				over := make(chan struct{})
				go func() { _ = cmd.Wait(); close(over) }()
				// A turn may first make a key, whose event is owed, and end.
				poll(over, proposed)
				_ = cmd.Process.Kill()
				<-over
			}
			// It waits for what was begun, longer than that is left alone, but not for ever.
			eventually(t, fmt.Sprintf("%s once more ends with %d", what, c.again), func() bool { return d.run(t, c.args...).code == c.again })
			eventually(t, what+" is over", func() bool { return !slices.ContainsFunc(d.records(t, c.kind), held) })
			if n := d.told(t, c.action) - told; n != c.decisions || !c.stands() {
				t.Errorf("%s was told as %d decisions, want %d; stands: %t", what, n, c.decisions, c.stands())
			}
		}
		s.stop(t)
		d.checkAudit(t)
	})
}

// held reports whether a record has a decision under way.
func held(record string) bool {
	return strings.Contains(record, `"slot_id":"`) && !strings.Contains(record, `"slot_id":""`)
}
