//go:build interop

package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const clientsHead = `
Written by the test ` + "`TestClientTable`" + ` in ` + "`internal/e2e`" + `, from what the programs of ` + "`internal/e2e/clients`" + ` report that they did,
on both stores, over TLS, knowing the issuer's URL alone. Of each refresh the answer was **lost** after the server had carried it out: the
program asked again, as it would after any broken connection, and went on with the successor. The keys of ` + "`private_key_jwt`" + ` were
published at a ` + "`jwks_uri`" + `. A dash means that the library has no call for it.

`

// TestClientTable compares the table of client libraries in docs/interop.md
// with what their programs are held to, or writes it.
func TestClientTable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(clientsHead)
	fmt.Fprintf(&b, "| library | in | version | %s |\n|%s\n", strings.Join(clientThings, " | "), strings.Repeat(" --- |", len(clientThings)+3))
	for _, l := range clientLibraries {
		version := versionOf(t, l.version)
		if _, bare, named := strings.Cut(version, " "); named {
			version = bare
		}
		fmt.Fprintf(&b, "| %s | %s | %s |", l.name, l.language, version)
		for _, thing := range clientThings {
			cell := "–"
			if slices.Contains(l.does, thing) {
				cell = "passed"
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	goldenSection(t, filepath.Join("..", "..", "docs", "interop.md"), "## Clients", b.String())
}

// goldenDocuments guards the documents of which tests write a section each.
var goldenDocuments sync.Mutex

// goldenSection is golden for what stands below a heading.
func goldenSection(t *testing.T, path, heading, want string) {
	t.Helper()
	goldenDocuments.Lock()
	defer goldenDocuments.Unlock()
	before, rest, found := strings.Cut(readFile(t, path), "\n"+heading+"\n")
	if !found {
		t.Fatalf("%s has no %q", path, heading)
	}
	after := ""
	if i := strings.Index(rest, "\n## "); i >= 0 {
		after = rest[i:]
	}
	golden(t, path, before+"\n"+heading+"\n"+want+after)
}
