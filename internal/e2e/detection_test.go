package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/audit/audittest"
)

// recipe is a query of docs/detection.md and what it prints there.
type recipe struct{ query, answer string }

var answered = regexp.MustCompile("(?ms)^```sh\n(.*?)^```\n\n```(?:json|text)\n(.*?)^```$")

func recipes(t *testing.T) (all []recipe) {
	t.Helper()
	page := readFile(t, filepath.Join("..", "..", "docs", "detection.md"))
	for _, m := range answered.FindAllStringSubmatch(page, -1) {
		all = append(all, recipe{m[1], m[2]})
	}
	if fences := strings.Count("\n"+page, "\n```"); fences != 4*len(all) || len(all) < 7 {
		t.Fatalf("docs/detection.md has %d queries with an answer, and %d fences: blocks that are neither", len(all), fences)
	}
	return all
}

// needsJQ reports whether the query counts, which audit tail does not.
func (r recipe) needsJQ() bool { return strings.Contains(r.query, "jq ") }

// detect runs a query with a shell where the log is.
func (r recipe) detect(t *testing.T, shell []string, log string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), shell[0], append(shell[1:], "-c", r.query)...)
	cmd.Dir, cmd.Env = filepath.Dir(log), append(bareEnviron(), "PATH="+binaries+":"+os.Getenv("PATH"))
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	const nothing = "keyturn: no event of these files passes the filters\n" // what audit tail says of a quiet day
	if err != nil || complaint.Len() > 0 && (complaint.String() != nothing || len(out) > 0) {
		t.Fatalf("%v\n%s\n%s", err, complaint.String(), r.query)
	}
	return string(out)
}

// holdRecipes runs queries on the log of an incident, where each finds what the
// page says, and on that of a quiet day, where it finds nothing.
func holdRecipes(t *testing.T, jq bool, shell ...string) {
	t.Helper()
	quiet, incident := audittest.NewScribe(t), audittest.NewScribe(t)
	quiet.QuietDay()
	quiet.Close()
	incident.QuietDay()
	incident.IncidentNight()
	for _, r := range recipes(t) {
		if r.needsJQ() != jq {
			continue
		}
		if got := r.detect(t, shell, incident.Path); got != r.answer || got == "" {
			t.Errorf("%s\nprints\n%s\nand docs/detection.md says\n%s", r.query, got, r.answer)
		}
		if got := r.detect(t, shell, quiet.Path); got != "" {
			t.Errorf("%s\nfinds on a quiet day\n%s", r.query, got)
		}
	}
}

// TestDetection holds the queries of docs/detection.md that are filters alone.
func TestDetection(t *testing.T) {
	t.Parallel()
	holdRecipes(t, false, "/bin/sh")
}
