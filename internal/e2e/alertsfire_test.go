//go:build interop

package e2e

import (
	"cmp"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// scrape is what a server showed to Prometheus before something happened to it and
// after, by series.
type scrape struct{ before, after map[string]string }

// scraped reads the series that a server shows of itself, but not of requests.
func (s *server) scraped(t *testing.T) map[string]string {
	t.Helper()
	a := mustSend(t, "GET", s.admin+"/metrics", nil, "")
	series := map[string]string{}
	for line := range strings.Lines(a.body) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(name, "keyturn_") && !strings.HasPrefix(name, "keyturn_http_") {
			series[name] = value
		}
	}
	return series
}

// shows waits until a series has a value that is enough.
func (s *server) shows(t *testing.T, series string, enough func(value float64) bool) {
	t.Helper()
	eventually(t, series+" has moved", func() bool {
		var value float64
		_, err := fmt.Sscan(s.scraped(t)[series], &value)
		return err == nil && enough(value)
	})
}

// mishap is a state of a server, and the alerts that are to fire in it and no others.
type mishap struct {
	fires []string
	// happen brings a new server into the state.
	happen func(t *testing.T, d *deployment) scrape
}

// happens serves, lets something happen, and waits until a series shows it.
func happens(flags []string, what func(t *testing.T, s *server, d *deployment), series string, enough func(float64) bool) func(*testing.T, *deployment) scrape {
	return func(t *testing.T, d *deployment) scrape {
		s := d.serve(t, flags...)
		before := s.scraped(t)
		what(t, s, d)
		s.shows(t, series, enough)
		return scrape{before, s.scraped(t)}
	}
}

// restarted serves, stops, and serves again with other flags once something has
// happened.
func restarted(flags, next []string, what func(t *testing.T, d *deployment)) func(*testing.T, *deployment) scrape {
	return func(t *testing.T, d *deployment) scrape {
		d.serve(t, flags...).stop(t)
		what(t, d)
		s := d.serve(t, next...)
		after := s.scraped(t)
		return scrape{after, after}
	}
}

// nobodysMail are the settings of a mail server that nobody runs.
var nobodysMail = []string{"--mail-host", "127.0.0.1", "--mail-port", "1", "--mail-security", "none", "--mail-from", "no-reply@example.com"}

func mishaps() map[string]mishap {
	over := func(limit float64) func(float64) bool { return func(v float64) bool { return v > limit } }
	return map[string]mishap{
		"all is well": {nil, happens(nil, func(*testing.T, *server, *deployment) {}, "keyturn_key_standbys", over(0))},
		"the store takes no new keys": {
			[]string{"KeyturnTurnOverdue", "KeyturnNextTurnMissing", "KeyturnKeyWorkFails"},
			happens(shortLives, func(t *testing.T, _ *server, d *deployment) { d.tamper(t, noNewKeys) },
				"keyturn_key_active_age_seconds", over(6)),
		},
		"the keys cannot be read": {
			[]string{"KeyturnKeyViewOld", "KeyturnKeyWorkFails"},
			happens([]string{"--key-poll-interval", "200ms", "--clock-skew", "500ms"},
				func(t *testing.T, _ *server, d *deployment) { d.tamper(t, "ALTER TABLE keys RENAME TO gone") },
				"keyturn_key_view_age_seconds", over(5)),
		},
		"every key is out": {
			[]string{"KeyturnNoSigningKey", "KeyturnNextTurnMissing"},
			happens([]string{"--key-poll-interval", "200ms", "--clock-skew", "500ms"}, func(t *testing.T, _ *server, d *deployment) {
				d.tamper(t, noNewKeys, "UPDATE keys SET revoked_at = activate_at + 1, version = version + 1")
			}, "keyturn_key_active_age_seconds", func(v float64) bool { return v < 0 }),
		},
		"a revocation": {
			[]string{"KeyturnEmergencyTurn"},
			happens([]string{"--key-poll-interval", "200ms", "--clock-skew", "500ms"}, func(t *testing.T, _ *server, d *deployment) {
				d.must(t, nil, "keys", "revoke", activeKey(t, d), "--reason", "leaked in a test")
			}, `keyturn_key_turns_total{kind="emergency"}`, over(0)),
		},
		"tokens that outlive many turns": {
			[]string{"KeyturnKeySetLarge"},
			happens([]string{"--key-rotation-interval", "2s", "--key-publish-lead", "1700ms", "--jwks-max-age", "1s", "--key-poll-interval", "200ms",
				"--clock-skew", "500ms", "--access-token-ttl", "10m"}, func(*testing.T, *server, *deployment) {}, "keyturn_key_published", over(8)),
		},
		"an audit log that is away": {
			[]string{"KeyturnAuditLogAway", "KeyturnAuditEventsLost"},
			happens([]string{"--audit-loss", "2"}, func(t *testing.T, s *server, d *deployment) {
				l := d.auditLink(t)
				l.lead("/dev/full")
				t.Cleanup(func() {
					l.lead(l.real)
					eventually(t, "the loss is told", func() bool { return strings.Contains(readFile(t, l.real), "audit-events-lost") })
				})
				for range 3 {
					mustSend(t, "POST", s.url+"/oauth/token", nil, "")
				}
			}, "keyturn_audit_failures_total", over(0)),
		},
		"a proxy that names nobody": {
			[]string{"KeyturnClientAddressUnreadable"},
			happens([]string{"--trusted-proxies", "127.0.0.1"}, func(t *testing.T, s *server, _ *deployment) {
				mustSend(t, "POST", s.url+"/oauth/token", http.Header{"X-Forwarded-For": {"nobody"}}, "")
			}, "keyturn_client_address_unreadable_total", over(0)),
		},
		"a mail server that is away": {
			[]string{"KeyturnNothingIsTaken"},
			happens(nobodysMail, func(t *testing.T, _ *server, d *deployment) {
				d.addUser(t, email, password)
				d.must(t, nil, append([]string{"users", "letter", email, "--kind", "reset"}, nobodysMail...)...)
			}, "keyturn_outbox_destinations_down", over(0)),
		},
		"a clock that is wrong": {
			[]string{"KeyturnClockJumped"},
			func(t *testing.T, d *deployment) scrape {
				clock := newWrongClock(t, "0s")
				d.program, d.launch = clock.program, clock.launch
				return happens(nil, func(t *testing.T, _ *server, _ *deployment) { clock.set(t, "2h") },
					"keyturn_clock_offset_seconds", over(0))(t, d)
			},
		},
		"a damaged key": {
			// The standby signs early, and its successor as late as ever.
			[]string{"KeyturnKeyUnusable", "KeyturnNextTurnFarOff"},
			restarted(nil, nil, func(t *testing.T, d *deployment) {
				d.tamper(t, "UPDATE keys SET sealed = x'00' WHERE seq = 0")
			}),
		},
		"a much shorter interval": {
			[]string{"KeyturnNextTurnFarOff"},
			restarted([]string{"--key-rotation-interval", "1000h", "--key-publish-lead", "20m"},
				[]string{"--key-rotation-interval", "1h", "--key-publish-lead", "20m"}, func(*testing.T, *deployment) {}),
		},
	}
}

// The form of promtool's unit tests.
type (
	ruleTest struct {
		Name     string       `yaml:"name"`
		Interval string       `yaml:"interval"`
		Series   []ruleSeries `yaml:"input_series"`
		Alerts   []alertTest  `yaml:"alert_rule_test"`
	}
	ruleSeries struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	}
	alertTest struct {
		At       string          `yaml:"eval_time"`
		Name     string          `yaml:"alertname"`
		Expected []expectedAlert `yaml:"exp_alerts"`
	}
	expectedAlert struct {
		Labels      map[string]string `yaml:"exp_labels"`
		Annotations map[string]string `yaml:"exp_annotations"`
	}
)

// identity are the labels that Prometheus adds to what it scrapes.
const identity = `instance="one",job="keyturn"`

// test makes the test of all rules in one state: five minutes as it was before, and
// ten as it was after. Gauges are taken to have been as after all the time.
func (m mishap) test(name string, seen scrape, rules []alertRule) ruleTest {
	r := ruleTest{Name: name, Interval: "30s"}
	for series, after := range seen.after {
		values := after + "+0x30"
		if strings.Contains(series, "_total") {
			values = cmp.Or(seen.before[series], "0") + "+0x10 " + values
		}
		metric, labels, _ := strings.Cut(strings.TrimSuffix(series, "}"), "{")
		if labels != "" {
			labels = "," + labels
		}
		r.Series = append(r.Series, ruleSeries{metric + "{" + identity + labels + "}", values})
	}
	for _, rule := range rules {
		alert := alertTest{At: "6m", Name: rule.Alert}
		if slices.Contains(m.fires, rule.Alert) {
			labels := map[string]string{"instance": "one", "job": "keyturn", "severity": rule.Labels.Severity}
			switch rule.Alert {
			case "KeyturnEmergencyTurn":
				labels["kind"] = "emergency"
			case "KeyturnKeyWorkFails":
				labels["operation"] = "poll"
			}
			alert.Expected = []expectedAlert{{labels, map[string]string{"summary": rule.Annotations.Summary}}}
		}
		r.Alerts = append(r.Alerts, alert)
	}
	return r
}

// TestEveryAlertFires brings servers into every state that a rule of docs/alerts.yml
// is about, and has Prometheus's own tool judge the rules by what they showed: those
// that are about the state fire, and no others do.
func TestEveryAlertFires(t *testing.T) {
	t.Parallel()
	rules := alertRules(t)
	path, err := filepath.Abs(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	file := struct {
		RuleFiles []string   `yaml:"rule_files"`
		Interval  string     `yaml:"evaluation_interval"`
		Tests     []ruleTest `yaml:"tests"`
	}{RuleFiles: []string{path}, Interval: "30s"}
	fired := map[string]bool{}
	for name, m := range mishaps() {
		file.Tests = append(file.Tests, m.test(name, m.happen(t, newDeployment(t, "")), rules))
		for _, alert := range m.fires {
			fired[alert] = true
		}
	}
	for _, rule := range rules {
		if !fired[rule.Alert] {
			t.Errorf("nothing makes %s fire", rule.Alert)
		}
	}
	text, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	tests := filepath.Join(t.TempDir(), "tests.yml")
	writeFile(t, tests, string(text))
	if out, err := exec.CommandContext(t.Context(), "promtool", "test", "rules", tests).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}
