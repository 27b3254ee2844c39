package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"sync"

	engine "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

// file is the absolute path of a store's file.
type file string

// purpose is what a connection is for.
type purpose int

const (
	forReading purpose = iota
	forWriting
	forExamining // leaves the file as it is
	forCopying   // what is written is another file
)

// tuneEngine sets what the engine keeps for the whole process. Both settings
// are absent on some platforms, which then do without: fdatasync saves a
// commit the flush of the file's timestamps, and locks that belong to the open
// file (not to the process) are not dropped when something else in the process
// closes the same file.
var tuneEngine = sync.OnceFunc(func() {
	_, _ = engine.Fdatasync(true)
	_, _ = engine.OFDLocking(true)
})

// create makes the file, for its owner's eyes only, unless it is there. It gets
// its name with its schema in it: a file that holds none is nobody's first start.
func (f file) create() error {
	if _, err := os.Lstat(string(f)); !errors.Is(err, fs.ErrNotExist) {
		return nil // what else is wrong with it is found by looking into it
	}
	if err := whole(string(f), ".keyturn-new-*", file.fill); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("cannot make the sqlite store %s: %w", f, err)
	}
	return nil
}

// fill gives an empty file its schema, which is in the file itself afterwards.
func (f file) fill() error {
	c, err := f.connect(context.Background(), forWriting)
	if err != nil {
		return err
	}
	return f.explain(errors.Join(f.migrateOn(c), c.Close()))
}

// dsn tells the engine's driver how to open the file for p.
func (f file) dsn(p purpose) string {
	query := url.Values{"_dqs": {"0"}}
	pragma := func(text string) { query.Add("_pragma", text) }
	switch p {
	case forWriting:
		// No busy_timeout: begin waits for other processes' writes.
		pragma("synchronous(FULL)")
		pragma("secure_delete(ON)") // K4: what is erased is overwritten
		pragma("wal_autocheckpoint(4000)")
		pragma("journal_size_limit(67108864)")
		pragma("cache_size(-16384)")
	case forReading:
		pragma("busy_timeout(5000)")
		query.Set("_query_only", "1")
		pragma("cache_size(-4096)")
	case forExamining:
		pragma("busy_timeout(5000)")
		query.Set("_query_only", "1")
		if f.hasLog() {
			// Closing would move the log into the file; a connection that
			// cannot write does not. (Without a log it would leave one.)
			query.Set("mode", "ro")
		}
	}
	if p == forCopying {
		pragma("busy_timeout(5000)")
	}
	if p == forWriting || p == forCopying {
		pragma("auto_vacuum(INCREMENTAL)") // heeded where the file is made
	}
	pragma("temp_store(MEMORY)")
	pragma("trusted_schema(OFF)")
	u := url.URL{Scheme: "file", Path: string(f), RawQuery: query.Encode()}
	return u.String()
}

// hasLog reports whether a write-ahead log stands beside the file.
func (f file) hasLog() bool {
	_, err := os.Stat(string(f) + "-wal")
	return err == nil
}

// connect opens a connection to the file.
func (f file) connect(ctx context.Context, p purpose) (*conn, error) {
	connector, err := engine.NewConnector(f.dsn(p))
	if err != nil {
		return nil, f.explain(err)
	}
	dc, err := connector.Connect(ctx)
	if err != nil {
		return nil, f.explain(err)
	}
	driverConn, ok := dc.(driverConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("sqlite driver's connection is an unknown %T", dc), dc.Close())
	}
	return &conn{driverConn: driverConn}, nil
}

// putBackup is the advice about a file that is damaged.
const putBackup = "move it, its -wal and its -shm away and put the last backup in its place"

// explain adds the file to an engine's error, and advice where there is any.
// What is not an engine's error it returns as it is.
func (f file) explain(err error) error {
	var fault *engine.Error
	if !errors.As(err, &fault) {
		return err
	}
	switch primary(fault) {
	case codes.SQLITE_NOTADB, codes.SQLITE_CORRUPT:
		return fmt.Errorf("sqlite store %s is damaged or not a database: %s: %w", f, putBackup, err)
	case codes.SQLITE_FULL:
		return fmt.Errorf("sqlite store %s cannot grow: make room on its disk: %w", f, err)
	case codes.SQLITE_READONLY, codes.SQLITE_PERM, codes.SQLITE_CANTOPEN:
		return fmt.Errorf("sqlite store %s and its directory must be readable and writable for this user: %w", f, err)
	case codes.SQLITE_BUSY:
		return fmt.Errorf("sqlite store %s is kept locked by another process: %w", f, err)
	default:
		return fmt.Errorf("sqlite store %s: %w", f, err)
	}
}

// primary returns the primary result code of an engine's error.
func primary(fault *engine.Error) int { return fault.Code() & 0xff }

// taken reports whether err says that a unique column's value is in use, and not
// that a value was refused on other grounds.
func taken(err error) bool {
	var fault *engine.Error
	return errors.As(err, &fault) &&
		(fault.Code() == codes.SQLITE_CONSTRAINT_UNIQUE || fault.Code() == codes.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// busy reports whether err says that another connection holds a lock.
func busy(err error) bool {
	var fault *engine.Error
	return errors.As(err, &fault) && primary(fault) == codes.SQLITE_BUSY
}

// broken reports whether err leaves the transaction that it happened in, or
// the connection, in doubt: any engine's error but a refused value, and a panic.
func broken(err error) bool {
	var fault *engine.Error
	return errors.As(err, &fault) && primary(fault) != codes.SQLITE_CONSTRAINT ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, errPanicked)
}
