package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestDoctor looks at a deployment behind a proxy that ends TLS, as an operator
// does, and at one that is not there.
func TestDoctor(t *testing.T) {
	t.Parallel()
	s := openShopBehindFront(t, newDeployment(t, ""))
	var found []struct{ Check, Verdict, Seen, Fix string }
	o := s.run(t, "doctor", "--issuer", s.issuer, "--inside")
	if err := json.Unmarshal([]byte(o.stdout), &found); err != nil || o.code != 0 || len(found) != 13 {
		t.Fatalf("exit code %d, %d findings, %v\n%s%s", o.code, len(found), err, o.stdout, o.stderr)
	}
	for _, f := range found {
		if f.Verdict != "ok" {
			t.Errorf("%s: %s %s", f.Check, f.Verdict, f.Seen)
		}
	}
	events := strings.Count(readFile(t, s.auditLog), "token-refused")
	if events != 0 {
		t.Errorf("the doctor left %d events", events)
	}
	other := openShop(t, newDeployment(t, ""))
	if o := other.run(t, "doctor", "--issuer", s.issuer, "--inside"); o.code != 1 || !strings.Contains(o.stdout, "the issuer does not publish key") {
		t.Errorf("of another deployment's issuer: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	s.stop(t)
	if o := s.run(t, "doctor", "--issuer", s.issuer); o.code != 1 || !strings.Contains(o.stdout, "502") {
		t.Errorf("of a server that is down: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
}
