package sqlite

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
)

// identity is the file (device and inode) on which a store was opened. A file that is
// renamed, deleted or replaced while the process runs stays open, and later writes to
// it would be lost. So the store stops answering until its path names its file again.
//
// A file that something else was written into, as cp does, is found by its header: a
// file that was opened has a log, and what is copied over it is a backup, which has
// none, or shorter, or no database.
type identity struct {
	file   file
	opened os.FileInfo
	// reader stays open as long as the store: closing it would release the locks of
	// the process where the engine has no better ones.
	reader *os.File
	// seen is the file when its header was last read.
	seen        atomic.Pointer[os.FileInfo]
	overwritten atomic.Bool
	// log is the file's write-ahead log, once there was one: commits may be in it
	// alone.
	log  atomic.Pointer[os.FileInfo]
	gone atomic.Bool
}

func (f file) identify() (*identity, error) {
	reader, err := os.Open(string(f))
	if err != nil {
		return nil, fmt.Errorf("cannot open the sqlite store: %w", err)
	}
	info, err := reader.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open the sqlite store: %w", err), reader.Close())
	}
	i := &identity{file: f, opened: info, reader: reader}
	i.seen.Store(&info)
	return i, nil
}

// check checks that the path names the opened file with its log. It takes two
// microseconds and is called before every transaction and at every poll of the keys and
// of readiness.
func (i *identity) check() error {
	now, err := os.Stat(string(i.file))
	switch {
	case err == nil:
		same := os.SameFile(now, i.opened)
		if same && i.foreign(now) {
			i.overwritten.Store(true)
		}
		i.gone.Store(!same || i.lostLog())
	case errors.Is(err, fs.ErrNotExist):
		i.gone.Store(true)
	}
	return i.err()
}

// foreign reports whether the file's header is not that of a database with a log. It
// reads the file only if it changed, which it does at every checkpoint.
func (i *identity) foreign(now os.FileInfo) bool {
	if was := *i.seen.Load(); now.Size() == was.Size() && now.ModTime().Equal(was.ModTime()) {
		return false
	}
	header, err := readHeader(i.reader)
	if err != nil {
		return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	}
	i.seen.Store(&now)
	return !header.isDatabase() || header.isBackup()
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
	if i.overwritten.Load() {
		return fmt.Errorf("sqlite store %s was overwritten under this process, which decides nothing more and writes nothing more into it: "+
			"stop the process, and see that the right file is there, without a log (-wal) of another one, before the next start", i.file)
	}
	if !i.gone.Load() {
		return nil
	}
	return fmt.Errorf("sqlite store %s, or the log beside it (-wal), was renamed, deleted or replaced under this process, which decides nothing more: "+
		"put the file back as it was, or stop the process and see that the right file is there before the next start", i.file)
}
