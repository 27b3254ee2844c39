package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
)

var update = flag.Bool("update", false, "write the documents that the tests write")

// TestEventsPage holds docs/audit-events.md against the vocabulary of the audit
// log and against lines that the real binary wrote. Every line of the log must
// be in the vocabulary.
func TestEventsPage(t *testing.T) {
	t.Parallel()
	lines := slices.Concat(tellStory(t), tellLetters(t), keyLives(t), losses(t), resumption(t), clonedPasskey(t))
	for _, line := range lines {
		if err := audittest.CheckLine([]byte(line)); err != nil {
			t.Errorf("%v: %s", err, line)
		}
	}
	for _, wanted := range []struct {
		action  audit.Action
		outcome audit.Outcome
	}{{audit.ServerStopped, audit.Success}, {audit.ServerStopped, audit.Failure}, {audit.StoreCopied, audit.Success}, {audit.StoreCopied, audit.Failure}} {
		if pick(lines, wanted.action, wanted.outcome) == "" {
			t.Errorf("no event %s with outcome %s", wanted.action, wanted.outcome)
		}
	}
	got := renderEvents(t, lines)
	path := filepath.Join("..", "..", "docs", "audit-events.md")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := readFile(t, path); got != want {
		t.Errorf("docs/audit-events.md is not what the vocabulary and the binary say; write it anew with go generate ./internal/audit\n%s", firstDifference(got, want))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d: got  %s\nwant %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

// pick returns the first line of an action with an outcome.
func pick(lines []string, action audit.Action, outcome audit.Outcome) string {
	for _, line := range lines {
		if strings.Contains(line, `"event":{"kind":"event","action":"`+string(action)+`"`) && strings.Contains(line, `"outcome":"`+string(outcome)+`"`) {
			return line
		}
	}
	return ""
}

// renderEvents writes the page.
func renderEvents(t *testing.T, lines []string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`# Audit events

This page is made from the server's own list of events (` + "`go generate ./internal/audit`" + `); the tests hold it against the code
and the examples against what the program writes. How to operate, verify and search the log is in [auditing.md](auditing.md).

Each line of the log is one JSON object, an event, in the field names of the [Elastic Common Schema](https://www.elastic.co/guide/en/ecs/current/index.html);
what that has no name for is under ` + "`keyturn`" + `. One decision, granted or refused, leaves one event. What is empty is not
written. Times are UTC with nanoseconds. A token stands in the log only by its ` + "`jti`" + ` or its session, and never a password or
a secret. Whatever a caller sends is cut to a fixed length and escaped: it cannot begin a line, end a value or steer a terminal.
Documents that are the same for everybody, health and a path or method that there is not decide nothing and leave no event.

## Fields

| field | in | meaning |
| --- | --- | --- |
`)
	for _, f := range audit.Fields() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Name, f.Of, f.Meaning)
	}
	b.WriteString(`
## Events

Each with the reasons that it can have (a dash: it can be without), its fields beside those of every event and every request,
and an example. Ids, times and hashes of the examples are made up, and the signature of the checkpoint is shortened.
`)
	steady := newSteady()
	reasons := map[string]audit.Reason{}
	for _, term := range audit.Vocabulary() {
		outcome := audit.Success
		if len(term.Success) == 0 {
			outcome = audit.Failure
		}
		line := pick(lines, term.Action, outcome)
		if line == "" {
			t.Errorf("the story has no event %s with outcome %s", term.Action, outcome)
		}
		fmt.Fprintf(&b, "\n### %s\n\nWritten when %s.\n\n", term.Action, term.When)
		fmt.Fprintf(&b, "- category: %s; type: %s\n", code(term.Category), code(term.Type))
		if term.Stands != audit.Anyway {
			fmt.Fprintf(&b, "- stands: %s\n", term.Stands)
		}
		for _, part := range []struct {
			outcome string
			list    []audit.Reason
		}{{"success", term.Success}, {"failure", term.Failure}} {
			var words []string
			for _, r := range part.list {
				words = append(words, r.String())
				reasons[r.String()] = r
			}
			if len(words) > 0 {
				fmt.Fprintf(&b, "- %s: %s\n", part.outcome, code(words))
			}
		}
		if len(term.Fields) > 0 {
			fmt.Fprintf(&b, "- fields: %s\n", code(term.Fields))
		}
		fmt.Fprintf(&b, "\n```json\n%s\n```\n", steady.line(line))
	}
	b.WriteString("\n## Reasons\n\n| reason | meaning |\n| --- | --- |\n")
	delete(reasons, "")
	for _, word := range sortedKeys(reasons) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", word, reasons[word].Meaning())
	}
	return b.String()
}

// code sets words as code, and the empty one as a dash.
func code(words []string) string {
	set := make([]string, len(words))
	for i, w := range words {
		if set[i] = "`" + w + "`"; w == "" {
			set[i] = "–"
		}
	}
	return strings.Join(set, ", ")
}

func sortedKeys(m map[string]audit.Reason) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
