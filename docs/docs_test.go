package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
	fenced   = regexp.MustCompile("(?ms)^```.*?^```$")
	unmarked = regexp.MustCompile(`[^a-z0-9 _-]`)
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
)

// anchors are those that a page's headings get where it is published.
func anchors(text string) map[string]bool {
	found := map[string]bool{"": true}
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		found[strings.ReplaceAll(unmarked.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return found
}

// TestLinksLead follows every link from a page to a page, to its heading.
func TestLinksLead(t *testing.T) {
	pages := []string{filepath.Join("..", "README.md"), filepath.Join("..", "CONTRIBUTING.md"), filepath.Join("..", "SECURITY.md")}
	for _, pattern := range []string{"*.md", filepath.Join("decisions", "*.md")} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	followed := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			there, err := os.ReadFile(target)
			if err != nil {
				if info, statErr := os.Stat(target); statErr != nil || !info.IsDir() {
					t.Errorf("%s: the link %s: %v", page, m[1], err)
				}
				continue
			}
			if anchor != "" && !anchors(string(there))[anchor] {
				t.Errorf("%s: the link %s: there is no such heading", page, m[1])
			}
			followed++
		}
	}
	if followed < 20 {
		t.Errorf("only %d links were followed", followed)
	}
}

// inCode are words in code style that name a file or a folder of the repository.
var inCode = regexp.MustCompile("`((?:cmd|docs|internal|keys|oauth|users|wellknown|tools)(?:/[a-z0-9_]+)*(?:/[a-z0-9_]+\\.(?:go|md))?)`")

// TestArchitectureNamesWhatIsThere finds every file and folder that the page names,
// and every package on the page.
func TestArchitectureNamesWhatIsThere(t *testing.T) {
	text, err := os.ReadFile("architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, m := range inCode.FindAllStringSubmatch(string(text), -1) {
		named[m[1]] = true
		if _, err := os.Stat(filepath.Join("..", m[1])); err != nil {
			t.Errorf("architecture.md: %v", err)
		}
	}
	if len(named) < 40 {
		t.Errorf("only %d names were found", len(named))
	}
	for _, pattern := range []string{"cmd/*", "internal/*", "oauth", "users", "keys", "wellknown"} {
		found, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		for _, dir := range found {
			name := filepath.ToSlash(strings.TrimPrefix(dir, ".."+string(filepath.Separator)))
			if !named[name] && name != "internal/layout" {
				t.Errorf("architecture.md does not say what %s is for", name)
			}
		}
	}
}

// TestCapacityHasOneSource: figures of speed stand in performance.md alone, where the bench
// writes them.
func TestCapacityHasOneSource(t *testing.T) {
	text, err := os.ReadFile("operating.md")
	if err != nil {
		t.Fatal(err)
	}
	for row := range strings.Lines(string(text)) {
		cells := strings.Split(row, "|")
		if len(cells) > 3 && strings.Contains(cells[1], "logins a second") {
			if !strings.Contains(cells[2], "(performance.md)") || strings.ContainsAny(cells[2], "0123456789") {
				t.Errorf("operating.md has figures of its own: %s", row)
			}
			return
		}
	}
	t.Error("operating.md has no row about logins a second")
}
