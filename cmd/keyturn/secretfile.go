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

// maxKeptSecret bounds the size of a file of secrets, in bytes.
const maxKeptSecret = 64 << 10

// readSecretFile reads the file of secrets that a setting names. It warns if other
// users have access to it. An error names the setting, the file and the reason.
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

// cannotRead returns an error with the system's reason, without repeating the path.
func cannotRead(setting, path string, err error) error {
	if fault, ok := errors.AsType[*os.PathError](err); ok {
		err = fault.Err
	}
	return fmt.Errorf("%s %s cannot be read: %w", setting, path, err)
}

// exposure returns what other users can do with a file of secrets but should not,
// "write" or "read", or "" if the file is safe. What Docker and Kubernetes mount is
// readable by everyone in a container, which has no other users.
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

// pepper reads the pepper of imported hashes, or returns "" if there is none. It
// removes one line break at the end of the file.
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

// lookForPepper records whether there are accounts that nobody can log in to because
// the settings name no pepper, and logs a change.
func (d *deployment) lookForPepper(ctx context.Context) {
	needed, err := d.needsPepper(ctx)
	if err != nil || d.cfg.PepperFile != "" {
		return // other messages report that the store does not answer
	}
	if d.noPepper.Swap(needed) != needed && needed {
		d.log.Error().Msg("accounts have password hashes that were imported with --peppered, and nobody can log in to them without pepper_file")
	}
}

// pepperWarning returns the warning of /readyz while that is so.
func (d *deployment) pepperWarning() []string {
	if d.noPepper.Load() {
		return []string{"pepper_missing"}
	}
	return nil
}
