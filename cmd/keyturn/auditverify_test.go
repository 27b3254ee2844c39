package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
)

// TestEvidenceIsReadWhole: a file that was cut, or that something else was
// appended to, vouches for nothing.
func TestEvidenceIsReadWhole(t *testing.T) {
	for text, good := range map[string]bool{
		`[]`: true, `[{"chain":"c","seq":1,"hash":"h"}]`: true,
		`null`: false, ``: false, `[{"chain":"c","seq":1`: false, `[] []`: false, `{}`: false,
	} {
		path := filepath.Join(t.TempDir(), "heads.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var heads []audit.Anchor
		if err := readEvidence("heads", path, &heads); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}
