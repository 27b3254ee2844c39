//go:build unix

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func init() {
	children["fill the disk"] = fillTheDisk
	children["back up onto a full disk"] = backUpOntoAFullDisk
}

// TestF5_ABackupOntoAFullDiskLeavesNothing backs up in a process whose files may not
// grow as far.
func TestF5_ABackupOntoAFullDiskLeavesNothing(t *testing.T) {
	if err := child(t, "back up onto a full disk", filepath.Join(t.TempDir(), "keyturn.db")).Run(); err != nil {
		t.Fatal(err)
	}
}

func backUpOntoAFullDisk(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	ctx := context.Background()
	s, err := Open(ctx, path)
	if err != nil {
		return err
	}
	defer s.Close()
	dir := filepath.Join(filepath.Dir(path), "backups")
	if err := errors.Join(os.Mkdir(dir, 0o700), limitFiles(40_000)); err != nil {
		return err
	}
	if _, err := Backup(ctx, path, filepath.Join(dir, "b.db"), func(string, int64, int64) {}, undecided); err == nil {
		return errors.New("the backup is there")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		return fmt.Errorf("it left %v (%v)", left, err)
	}
	if err := limitFiles(1 << 40); err != nil {
		return err
	}
	_, err = Backup(ctx, path, filepath.Join(dir, "b.db"), func(string, int64, int64) {}, undecided)
	return err
}

// TestFullDisk lets a store run out of room, in a process whose files may not
// grow beyond a limit, and gives it room again.
func TestFullDisk(t *testing.T) {
	cmd := child(t, "fill the disk", filepath.Join(t.TempDir(), "keyturn.db"))
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
}

// limitFiles keeps the process from growing any file beyond n bytes.
func limitFiles(n uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	limit.Cur = min(n, limit.Max)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
}

func fillTheDisk(path string) error {
	signal.Ignore(syscall.SIGXFSZ) // the write then fails, as on a full disk
	ctx := context.Background()
	s, err := Open(ctx, path)
	if err != nil {
		return err
	}
	wal, err := os.Stat(path + "-wal")
	if err != nil {
		return err
	}
	if err := limitFiles(uint64(wal.Size()) + 200_000); err != nil {
		return err
	}
	acknowledged, err := fillUp(ctx, s)
	if err != nil {
		return err
	}
	for n := 0; s.Ping(ctx) == nil; n++ { // each takes some of what little is left
		if n == 100 {
			return errors.New("pings of the full store succeed")
		}
	}
	if err := checkThere(ctx, s, acknowledged); err != nil {
		return fmt.Errorf("while full: %w", err)
	}
	if err := limitFiles(1 << 40); err != nil {
		return err
	}
	if err := s.Ping(ctx); err != nil {
		return fmt.Errorf("a ping with room again: %w", err)
	}
	if err := s.CreateFamily(ctx, family("after")); err != nil {
		return fmt.Errorf("a write with room again: %w", err)
	}
	if err := checkThere(ctx, s, append(acknowledged, "after")); err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	return s.Close()
}

// fillUp adds families until one is refused, and returns the others' ids.
func fillUp(ctx context.Context, s *Store) (acknowledged []string, err error) {
	for n := range 10_000 {
		id := fmt.Sprint("family-", n)
		if err := s.CreateFamily(ctx, family(id)); err != nil {
			if !strings.Contains(err.Error(), "sqlite store "+string(s.file)) {
				return nil, fmt.Errorf("the error does not name the store: %w", err)
			}
			return acknowledged, nil
		}
		acknowledged = append(acknowledged, id)
	}
	return nil, errors.New("the store never ran full")
}

func checkThere(ctx context.Context, s *Store, ids []string) error {
	for _, id := range ids {
		if _, err := s.FamilyByID(ctx, id); err != nil {
			return fmt.Errorf("acknowledged family %s: %w", id, err)
		}
	}
	if len(ids) == 0 {
		return errors.New("nothing was acknowledged")
	}
	return nil
}
