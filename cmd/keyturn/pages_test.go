package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
	unmarked = regexp.MustCompile(`[^a-z0-9 -]`)
)

// anchors are those that a page's headings get where it is published.
func anchors(t *testing.T, page string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{"": true}
	for _, m := range heading.FindAllStringSubmatch(string(text), -1) {
		found[strings.ReplaceAll(unmarked.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return found
}

// TestErrorsLeadToPages looks up every page that an error can name, and that
// every command has one.
func TestErrorsLeadToPages(t *testing.T) {
	for command, page := range errorPages {
		file, anchor, _ := strings.Cut(page, "#")
		if !anchors(t, file)[anchor] {
			t.Errorf("%s: docs/%s has no heading #%s", command, file, anchor)
		}
	}
	file, anchor, _ := strings.Cut(settingsPage, "#")
	if !anchors(t, file)[anchor] {
		t.Errorf("docs/%s has no heading #%s", file, anchor)
	}
	// The page that the OAuth endpoints name.
	if !anchors(t, "clients.md")["errors-of-the-token-endpoint"] {
		t.Error("docs/clients.md has no heading #errors-of-the-token-endpoint")
	}
	root := (&program{}).root()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "version", "man":
			continue
		}
		if _, ok := errorPages[cmd.CommandPath()]; !ok {
			t.Errorf("%s has no page that explains its errors", cmd.CommandPath())
		}
	}
	for command := range errorPages {
		if cmd, _, err := root.Find(strings.Fields(command)[1:]); err != nil || cmd.CommandPath() != command {
			t.Errorf("there is no command %q", command)
		}
	}
}
