package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/keyturn/keyturn/internal/passwords"
)

// maxKeptSecret bounds what is read as a file of secrets.
const maxKeptSecret = 64 << 10

// readSecretFile reads the file of secrets that a setting names. It warns where others
// get at it, and an error names the setting, the file and why.
func (d *deployment) readSecretFile(setting, path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cannotRead(setting, path, err)
	}
	defer f.Close()
	if others := exposure(f); others != "" {
		if _, told := d.exposed.LoadOrStore(path, true); !told {
			d.log.Warn().Str("setting", setting).Str("file", path).Msg("other users can " + others + " a file of secrets: run chmod g-w,o-rwx on it")
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeptSecret+1))
	if err != nil {
		return nil, cannotRead(setting, path, err)
	}
	if len(text) > maxKeptSecret {
		return nil, fmt.Errorf("%s %s is larger than %d bytes: it is not one", setting, path, maxKeptSecret)
	}
	return text, nil
}

// cannotRead has the system's reason without the path, which stands before it.
func cannotRead(setting, path string, err error) error {
	if fault, ok := errors.AsType[*os.PathError](err); ok {
		err = fault.Err
	}
	return fmt.Errorf("%s %s cannot be read: %w", setting, path, err)
}

// exposure says what others can do to a file of secrets that they should not:
// write, or read; "" for a file that is kept well. What Docker and Kubernetes
// mount is readable by all of a container that has nobody else in it.
func exposure(f *os.File) string {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	switch mode := info.Mode().Perm(); {
	case mode&0o022 != 0:
		return "write"
	case mode&0o004 != 0 && !strings.HasPrefix(f.Name(), "/run/secrets/") && !onReadOnlyMount(f):
		return "read"
	}
	return ""
}

// pepper reads the pepper of imported hashes, "" without one. Of the file a line
// break at its end does not count.
func (d *deployment) pepper() (string, error) {
	if d.cfg.PepperFile == "" {
		return "", nil
	}
	text, err := d.readSecretFile("pepper_file", d.cfg.PepperFile)
	if err != nil {
		return "", err
	}
	pepper := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if err := passwords.CheckPepper(pepper); err != nil {
		return "", fmt.Errorf("pepper_file %s: %w", d.cfg.PepperFile, err)
	}
	return pepper, nil
}

// needsPepper reports whether there are accounts whose hashes have a pepper.
func (d *deployment) needsPepper(ctx context.Context) (bool, error) {
	kinds, err := d.store.HashKinds(ctx)
	return slices.ContainsFunc(kinds, passwords.Peppered), err
}

// lookForPepper notes whether there are accounts that nobody can log in to because the
// settings name no pepper, and logs it when that has changed.
func (d *deployment) lookForPepper(ctx context.Context) {
	needed, err := d.needsPepper(ctx)
	if err != nil || d.cfg.PepperFile != "" {
		return // that the store does not answer is said elsewhere
	}
	if d.noPepper.Swap(needed) != needed && needed {
		d.log.Error().Msg("accounts have password hashes that were imported with --peppered, and nobody can log in to them without pepper_file")
	}
}

// pepperWarning is what /readyz warns of meanwhile.
func (d *deployment) pepperWarning() []string {
	if d.noPepper.Load() {
		return []string{"pepper_missing"}
	}
	return nil
}
