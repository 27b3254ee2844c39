package config

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the documents that the tests write")

// TestDocumentOfSettings compares docs/settings.md with the table of settings,
// or writes it.
func TestDocumentOfSettings(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# Settings

Each is a flag (` + "`--signing-alg`" + `), a variable (` + "`KEYTURN_SIGNING_ALG`" + `) and a key of the YAML file that ` + "`--config`" + ` names
(` + "`signing_alg`" + `); the flag counts before the variable, and both before the file. ` + "`keyturn config`" + ` prints what is in force
and where it came from, durations in hours, minutes and seconds (30d as 720h0m0s). There is one file: ` + "`--config`" + ` twice is
refused. A setting that is unknown, unusable or contradicts another stops the start, and so does one of mail (` + "`mail_*`" + `) without
what would read it. A value in the file is the text that stands there; one without a value is refused. Every command reads
the same settings: give ` + "`keyturn keys rotate`" + ` the file that the servers have.

Written by the test ` + "`TestDocumentOfSettings`" + ` in ` + "`internal/config`" + ` (` + "`go test ./internal/config -run Document -update`" + `).

| setting | default | accepted | what for |
| --- | --- | --- | --- |
`)
	cell := strings.NewReplacer("|", "\\|", "\n", " ").Replace
	for _, s := range Settings() {
		name := "`" + s.Name + "`"
		if s.EnvironmentOnly {
			name = "`" + s.Env() + "`, a variable only"
		}
		byDefault := "none"
		if s.Default != "" {
			byDefault = "`" + s.Default + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, byDefault, cell(s.Accepts), cell(s.Help))
	}
	path := filepath.Join("..", "..", "docs", "settings.md")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != b.String() {
		t.Errorf("%s is not what the table of settings says; run this test with -update", path)
	}
}
