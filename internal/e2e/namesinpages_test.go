//go:build interop

package e2e

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	testDeclared = regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz)[A-Z]\w*)\(`)
	// testNamed is a test in a page, or, before * or …, the beginning of several.
	testNamed = regexp.MustCompile(`\b((?:Test|Benchmark|Fuzz)[A-Z]\w*)([*…]?)`)
	// benchmarksNamed is what a command in a page selects.
	benchmarksNamed = regexp.MustCompile(`-(?:test\.)?bench ['"]?\^?(?:Benchmark)?([\w|]+)`)
)

// TestNamesInPages finds the tests and benchmarks that pages tell of: also
// those in commands that TestSnippets does not run.
func TestNamesInPages(t *testing.T) {
	t.Parallel()
	var declared []string
	for _, text := range filesOf(t, "_test.go") {
		for _, m := range testDeclared.FindAllStringSubmatch(text, -1) {
			declared = append(declared, m[1])
		}
	}
	for page, text := range filesOf(t, ".md") {
		for _, m := range testNamed.FindAllStringSubmatch(text, -1) {
			if !slices.ContainsFunc(declared, func(name string) bool { return name == m[1] || m[2] != "" && strings.HasPrefix(name, m[1]) }) {
				t.Errorf("%s names %s, which does not exist", page, m[0])
			}
		}
		for _, m := range benchmarksNamed.FindAllStringSubmatch(text, -1) {
			for part := range strings.SplitSeq(m[1], "|") {
				if !slices.ContainsFunc(declared, func(name string) bool { return strings.HasPrefix(name, "Benchmark") && strings.Contains(name, part) }) {
					t.Errorf("%s selects benchmarks with %q, of which there are none", page, part)
				}
			}
		}
	}
}
