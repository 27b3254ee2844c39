package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	engine "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/keyturn/keyturn/internal/store"
)

var (
	countPages = sql(`PRAGMA page_count`)
	readSize   = sql(`PRAGMA page_size`)
)

// Backup copies the content of the store in the file from at one moment to a new file
// to (mode 0600), while others may use the store, and verifies the copy from end to
// end. In the other direction it is a restore. It returns the sizes of the copy. It
// never overwrites anything, and to exists completely or not at all. Until then decide
// is called with the path of the copy, and may use it like any store; if decide fails,
// the copy is removed.
func Backup(ctx context.Context, from, to string, progress func(stage string, done, total int64), decide func(partial string) error) (store.Sizes, error) {
	source, err := filepath.Abs(from)
	if err == nil {
		to, err = filepath.Abs(to)
	}
	if err != nil {
		return store.Sizes{}, err
	}
	inTheWay := slices.DeleteFunc([]string{to, to + "-wal", to + "-shm"}, func(name string) bool {
		_, err := os.Lstat(name)
		return errors.Is(err, fs.ErrNotExist)
	})
	if len(inTheWay) > 0 {
		return store.Sizes{}, fmt.Errorf("there already, and nothing is written over: move %s away, with what uses it stopped", strings.Join(inTheWay, ", "))
	}
	tuneEngine()
	if _, err := os.Stat(source); err != nil {
		return store.Sizes{}, err
	}
	if err := file(source).examine(ctx); err != nil {
		return store.Sizes{}, err
	}
	var sizes store.Sizes
	err = whole(to, ".keyturn-backup-*", func(partial file) error {
		if sizes, err = file(source).copyTo(ctx, partial, progress); err == nil {
			err = decide(string(partial))
		}
		if _, left := os.Lstat(string(partial) + "-wal"); err == nil && left == nil {
			err = fmt.Errorf("%s is still in use", partial)
		}
		return err
	})
	return sizes, err
}

// whole lets fill write the content of a new file to, which then exists completely or
// not at all. The error is fs.ErrExist if to exists already. Meanwhile the file is in a
// directory of its own, named after pattern, with the engine's files beside it.
func whole(to, pattern string, fill func(partial file) error) error {
	dir, err := os.MkdirTemp(filepath.Dir(to), pattern)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	partial, err := os.OpenFile(filepath.Join(dir, filepath.Base(to)), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = fill(file(partial.Name()))
	if err = errors.Join(err, partial.Sync(), partial.Close()); err != nil {
		return err
	}
	if err := os.Link(partial.Name(), to); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(to))
}

func (f file) copyTo(ctx context.Context, target file, progress func(stage string, done, total int64)) (store.Sizes, error) {
	c, err := f.connect(ctx, forCopying)
	if err != nil {
		return store.Sizes{}, err
	}
	total, err := bytesInUse(c)
	if err == nil {
		stop := watch(target, total, progress)
		_, err = c.ExecContext(ctx, `VACUUM INTO ?`, []driver.NamedValue{{Ordinal: 1, Value: string(target)}})
		stop()
	}
	var fault *engine.Error
	if errors.As(err, &fault) && primary(fault) == codes.SQLITE_FULL {
		err = fmt.Errorf("there is no room for the copy in %s: %s", filepath.Dir(filepath.Dir(string(target))), fault)
	}
	if err = errors.Join(f.explain(err), c.Close()); err != nil {
		return store.Sizes{}, err
	}
	progress("verify", 0, 1)
	return target.verify(ctx)
}

func bytesInUse(c *conn) (int64, error) {
	all, err := scalar(c, countPages)
	free, freeErr := scalar(c, countFree)
	size, sizeErr := scalar(c, readSize)
	return (all - free) * size, errors.Join(err, freeErr, sizeErr)
}

// watch reports the size of the target until it is stopped.
func watch(target file, total int64, progress func(stage string, done, total int64)) (stop func()) {
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(200 * time.Millisecond); ; {
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
				if info, err := os.Stat(string(target)); err == nil {
					progress("copy", min(info.Size(), total), total)
				}
			}
		}
	}()
	return func() { close(done); <-stopped }
}

// verify reads every page and counts the records.
func (f file) verify(ctx context.Context) (store.Sizes, error) {
	c, err := f.connect(ctx, forExamining)
	if err != nil {
		return store.Sizes{}, err
	}
	found, err := damages(c)
	if err == nil && len(found) > 0 {
		err = errors.New("the copy is not sound: " + found[0])
	}
	var sizes store.Sizes
	if err == nil {
		sizes, err = sizesOf(c)
	}
	return sizes, errors.Join(f.explain(err), c.Close())
}

func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
