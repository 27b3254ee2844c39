package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
)

// identity is the file (device and inode) on which a store was opened. A file that is
// renamed, deleted or replaced while the process runs stays open, and later writes to
// it would be lost. So the store stops answering until its path names its file again.
type identity struct {
	file   file
	opened os.FileInfo
	// log is the file's write-ahead log, once there was one: commits may be in it
	// alone.
	log  atomic.Pointer[os.FileInfo]
	gone atomic.Bool
}

func (f file) identify() (*identity, error) {
	info, err := os.Stat(string(f))
	if err != nil {
		return nil, fmt.Errorf("cannot open the sqlite store: %w", err)
	}
	return &identity{file: f, opened: info}, nil
}

// check checks that the path names the opened file with its log. It takes two
// microseconds and is called before every transaction and at every poll of the keys and
// of readiness.
func (i *identity) check() error {
	now, err := os.Stat(string(i.file))
	switch {
	case err == nil:
		i.gone.Store(!os.SameFile(now, i.opened) || i.lostLog())
	case errors.Is(err, fs.ErrNotExist):
		i.gone.Store(true)
	}
	return i.err()
}

// lostLog reports whether the log is another file than before. SQLite keeps the log as
// long as a connection is open.
func (i *identity) lostLog() bool {
	now, err := os.Stat(string(i.file) + "-wal")
	was := i.log.Load()
	if err == nil && was == nil {
		i.log.CompareAndSwap(nil, &now)
		return false
	}
	return was != nil && (errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(now, *was))
}

// err returns the last result of check.
func (i *identity) err() error {
	if !i.gone.Load() {
		return nil
	}
	return fmt.Errorf("sqlite store %s, or the log beside it (-wal), was renamed, deleted or replaced under this process, which decides nothing more: "+
		"put the file back as it was, or stop the process and see that the right file is there before the next start", i.file)
}
