package e2e

import (
	"strings"
	"testing"
)

// TestLifetimesOfAClient are given in the words of the settings, go back to the
// deployment's, and are refused where the deployment's would be.
func TestLifetimesOfAClient(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	d.addClient(t, "app", "--public", "--grant", "password", "--grant", "refresh_token", "--client-refresh-ttl", "20d", "--client-retry-window", "1d")
	for _, c := range []struct {
		flag, value, member, want, refused string
	}{
		{"--client-retry-window", "until-used", "retry_window", "until-used", ""},
		{"--client-retry-window", "0", "retry_window", "0s", ""},
		{"--client-retry-window", "", "retry_window", "", ""},
		{"--client-retry-window", "2d", "retry_window", "", "outlive its session"},
		{"--client-retry-window", "-1s", "retry_window", "", "until-used, or a duration"},
		{"--client-refresh-ttl", "0", "refresh_ttl", "", ""},
		{"--client-refresh-ttl", "30", "refresh_ttl", "", "it has no unit"},
	} {
		o := d.run(t, "clients", "update", "app", c.flag, c.value)
		if c.refused != "" {
			if o.code == 0 || !strings.Contains(o.stderr, c.refused) {
				t.Errorf("%s %q: exit code %d, %s; want %q", c.flag, c.value, o.code, o.stderr, c.refused)
			}
			continue
		}
		var row map[string]any
		if o.code != 0 || unmarshal(o.stdout, &row) != nil {
			t.Fatalf("%s %q: exit code %d, %s", c.flag, c.value, o.code, o.stderr)
		}
		if got, _ := row[c.member].(string); got != c.want {
			t.Errorf("%s %q: %s is %q; want %q", c.flag, c.value, c.member, got, c.want)
		}
	}
}
