package mongotest

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

const module = "github.com/keyturn/keyturn"

// start builds the FerretDB program, unless it has been, and starts it. It
// returns the URI that the program prints. The program ends when this process
// does, for then its standard input ends.
func start(args ...string) (uri string, err error) {
	program, err := build()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(program, args...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		stdin.Close()
		return "", errors.Join(fmt.Errorf("%s: %w", program, err), cmd.Wait(), errors.New(complaints.String()))
	}
	go cmd.Wait() // holds the standard input open
	return strings.TrimSpace(line), nil
}

// build returns the path of the program, built from the sources as they are
// now. What was built is kept in the user's cache directory under a name that
// depends on all that goes into it.
func build() (string, error) {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("looking for the module %s: %w", module, describe(err))
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "internal", "store", "mongodb", "ferretdb")
	sum, err := fingerprint(source)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "keyturn-test")
	program := filepath.Join(dir, "ferretdb-"+sum)
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	// Several test processes may build at once: each to a file of its own,
	// which then takes the name in one step.
	fresh, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	made := filepath.Join(fresh, "ferretdb")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", made, ".")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0") // those of the outer module are not for this one
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building FerretDB in %s: %w\n%s", source, err, out)
	}
	return program, os.Rename(made, program)
}

// fingerprint returns a short hash over the toolchain and the sources in dir.
func fingerprint(dir string) (string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", err
	}
	if len(names) == 0 {
		return "", fmt.Errorf("no FerretDB program in %s", dir)
	}
	names = append(names, filepath.Join(dir, "go.mod"), filepath.Join(dir, "go.sum"))
	slices.Sort(names)
	h := sha256.New()
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, filepath.Base(name), len(data))
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// describe adds to err what the command wrote to standard error.
func describe(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	return err
}
