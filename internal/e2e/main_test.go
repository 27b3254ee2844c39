// Package e2e drives the keyturn binary from outside, as operators, client
// applications and resource servers do: through its command line, its HTTP
// interface, and client libraries that were written by others.
//
// The clients in Node.js and Python need more than Go and run with the build
// tag interop.
package e2e

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// binaries is where TestMain builds, keyturn the program under test.
var binaries, keyturn string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if binaries, err = os.MkdirTemp("", "keyturn-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(binaries)
	if trust, err = newAuthority(binaries); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	web.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: trust.roots}
	keyturn = filepath.Join(binaries, "keyturn")
	var flags []string
	// Under the race detector hashes take many times their time, and servers
	// miss deadlines that are theirs: so the binary has it only when asked.
	if raceDetector && os.Getenv("KEYTURN_TEST_RACE") != "" {
		flags = append(flags, "-race", "-gcflags=modernc.org/sqlite/lib=-race=false") // as in .ci/run
	}
	if err := build(keyturn, filepath.Join("..", ".."), "./cmd/keyturn", flags...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if code == 0 {
		if err := checkHeard(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// build builds the program pkg of the module in dir, without cgo, as what is shipped
// is built; the race detector alone needs it.
func build(to, dir, pkg string, flags ...string) error {
	cmd := exec.Command("go", slices.Concat([]string{"build", "-o", to}, flags, []string{pkg})...)
	cmd.Dir = dir
	cgo := "CGO_ENABLED=0"
	if slices.Contains(flags, "-race") {
		cgo = "CGO_ENABLED=1"
	}
	cmd.Env = append(os.Environ(), cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s in %s: %w\n%s", pkg, dir, err, out)
	}
	return nil
}
