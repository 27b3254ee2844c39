package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
)

// identity is which file (device and inode) a store was opened on. A file that
// is renamed, deleted or replaced under a running process stays open, and what
// is written to it then is found by nobody: the store stops answering until its
// path names its file again.
type identity struct {
	file   file
	opened os.FileInfo
	// log is the file's write-ahead log, once there was one: what was committed
	// may stand there alone.
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

// check looks whether the path names the file that was opened, with its log. It costs
// two microseconds: it is asked before every transaction, and at every poll of the
// keys and of readiness.
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

// lostLog reports whether the log is not the one that it was. SQLite keeps it as long as
// a connection is open.
func (i *identity) lostLog() bool {
	now, err := os.Stat(string(i.file) + "-wal")
	was := i.log.Load()
	if err == nil && was == nil {
		i.log.CompareAndSwap(nil, &now)
		return false
	}
	return was != nil && (errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(now, *was))
}

// err is what check found last.
func (i *identity) err() error {
	if !i.gone.Load() {
		return nil
	}
	return fmt.Errorf("sqlite store %s, or the log beside it (-wal), was renamed, deleted or replaced under this process, which decides nothing more: "+
		"put the file back as it was, or stop the process and see that the right file is there before the next start", i.file)
}
