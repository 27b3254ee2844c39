package e2e

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
)

// TestA3_KeysMadeWithoutTheLogAreRecorded revokes the signing key by a command whose
// log is full, and which exits: what it made and erased is in the records, and the next
// process tells the log of each change once.
func TestA3_KeysMadeWithoutTheLogAreRecorded(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	s := openShop(t, d)
	s.server.stop(t)
	l := d.auditLink(t)
	l.lead("/dev/full")
	kid := ""
	for _, key := range d.keyList(t) {
		if key.State == "active" {
			kid = key.KID
		}
	}
	if o := d.run(t, "keys", "revoke", kid, "--reason", "stolen"); o.code != 1 || !strings.Contains(o.stderr, "owed") {
		t.Errorf("keys revoke: exit code %d, %s", o.code, o.stderr)
	}
	l.lead(l.real)
	next := s.server.again(t)
	changes := map[string]int{"key-revoked " + kid: 1, "key-erased " + kid: 1}
	for _, key := range d.keyList(t) {
		changes["key-created "+key.KID] = 1
	}
	if len(changes) < 5 {
		t.Errorf("the revocation made no key: %v", changes)
	}
	events := func() map[string]int {
		n := map[string]int{}
		for _, line := range strings.Split(readFile(t, l.real), "\n") {
			var e struct {
				Event   struct{ Action string }
				Keyturn struct{ KID string }
			}
			if json.Unmarshal([]byte(line), &e) != nil {
				continue
			}
			switch e.Event.Action {
			case "key-created", "key-revoked", "key-erased":
				n[e.Event.Action+" "+e.Keyturn.KID]++
			}
		}
		return n
	}
	eventually(t, "every change has its event", func() bool { return len(events()) >= len(changes) })
	next.stop(t)
	if got := events(); !maps.Equal(got, changes) {
		t.Errorf("the log has %v; the keys were changed by %v", got, changes)
	}
	d.checkAudit(t)
}
