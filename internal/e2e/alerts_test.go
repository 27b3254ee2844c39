package e2e

import (
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var (
	metricName  = regexp.MustCompile(`keyturn_[a-z_]+`)
	settingName = regexp.MustCompile(`setting="([a-z_]+)"`)
)

// alertRule is a rule of docs/alerts.yml.
type alertRule struct {
	Alert, Expr, For string
	Labels           struct{ Severity string }
	Annotations      struct{ Summary string }
}

const alertsFile = "../../docs/alerts.yml"

func alertRules(t *testing.T) (rules []alertRule) {
	t.Helper()
	var file struct {
		Groups []struct {
			Name  string
			Rules []alertRule
		}
	}
	decoder := yaml.NewDecoder(strings.NewReader(readFile(t, alertsFile)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		rules = append(rules, g.Rules...)
	}
	return rules
}

// TestAlertRules holds docs/alerts.yml to what a running server shows: every metric
// and every setting that a rule rests on is there.
func TestAlertRules(t *testing.T) {
	t.Parallel()
	s := newDeployment(t, "").serve(t)
	a, err := send("GET", s.admin+"/metrics", nil, "")
	if err != nil || a.status != 200 {
		t.Fatalf("/metrics: status %d, %v", a.status, err)
	}
	watched := map[string]bool{}
	for _, r := range alertRules(t) {
		if r.Alert == "" || r.Labels.Severity == "" || r.Annotations.Summary == "" {
			t.Errorf("%+v lacks a name, a severity or a summary", r)
		}
		for _, name := range metricName.FindAllString(r.Expr, -1) {
			watched[name] = true
			if !strings.Contains(a.body, "\n"+name+" ") && !strings.Contains(a.body, "\n"+name+"{") {
				t.Errorf("%s rests on %s, which no server shows", r.Alert, name)
			}
		}
		for _, setting := range settingName.FindAllStringSubmatch(r.Expr, -1) {
			if !strings.Contains(a.body, `keyturn_setting_seconds{setting="`+setting[1]+`"} `) {
				t.Errorf("%s rests on the setting %s, which no server shows", r.Alert, setting[1])
			}
		}
	}
	for line := range strings.SplitSeq(a.body, "\n") {
		if name := metricName.FindString(line); strings.HasPrefix(line, "keyturn_key_") && !watched[name] {
			t.Errorf("no alert rests on %s", name)
		}
	}
}
