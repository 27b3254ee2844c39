package main

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/keys"
)

// TestAMasterKeyFileIsBounded names one that never ends, whose size says nothing.
func TestAMasterKeyFileIsBounded(t *testing.T) {
	if _, err := new(deployment).readMasters("/dev/zero"); err == nil || !strings.Contains(err.Error(), "larger than 65536 bytes") {
		t.Errorf("error is %v", err)
	}
}

// TestAMasterKeyFileThatOthersGetAt runs a server, which reads the file twice, before it
// opens anything and for its keys: it warns once, and does its work.
func TestAMasterKeyFileThatOthersGetAt(t *testing.T) {
	for mode, others := range map[fs.FileMode]string{
		0o400: "", 0o600: "", 0o640: "", 0o644: "read", 0o444: "read", 0o604: "read", 0o620: "write", 0o602: "write", 0o666: "write",
	} {
		t.Run(fmt.Sprintf("%o", mode), func(t *testing.T) {
			t.Chdir(t.TempDir())
			line, err := keys.NewMaster()
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile("masters", []byte(line), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod("masters", mode); err != nil {
				t.Fatal(err)
			}
			_, code, stderr, _, _ := stopAt(t, 0, "--master-key-file", "masters")
			if code != exitOK {
				t.Errorf("exit code %d", code)
			}
			var said []string
			for line := range strings.Lines(stderr) {
				if _, what, found := strings.Cut(line, "other users can "); found {
					said = append(said, strings.Fields(what)[0])
				}
			}
			if got := strings.Join(said, " "); got != others {
				t.Errorf("warnings say that others can %q the file; want %q; standard error:\n%s", got, others, stderr)
			}
		})
	}
}
