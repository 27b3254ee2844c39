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
	forExamining // leaves the file unchanged
	forCopying   // writes another file
)

// tuneEngine makes process-wide settings of the engine, which some platforms
// lack. fdatasync saves a commit the flush of the file's timestamps. Locks of the
// open file description (not of the process) survive when other code in the
// process closes the same file.
var tuneEngine = sync.OnceFunc(func() {
	_, _ = engine.Fdatasync(true)
	_, _ = engine.OFDLocking(true)
})

// create creates the file, readable only by its owner, unless it exists. The file
// gets its name with its schema in it, so that an empty file is never one that
// Keyturn just created.
func (f file) create() error {
	if _, err := os.Lstat(string(f)); !errors.Is(err, fs.ErrNotExist) {
		return nil // examining the file finds what else is wrong with it
	}
	if err := whole(string(f), ".keyturn-new-*", file.fill); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("cannot make the sqlite store %s: %w", f, err)
	}
	return nil
}

// fill writes the schema to an empty file, and leaves no log beside it.
func (f file) fill() error {
	c, err := f.connect(context.Background(), forWriting)
	if err != nil {
		return err
	}
	return f.explain(errors.Join(f.migrateOn(c), c.Close()))
}

// dsn returns the engine driver's parameters for opening the file for p.
func (f file) dsn(p purpose) string {
	query := url.Values{"_dqs": {"0"}}
	pragma := func(text string) { query.Add("_pragma", text) }
	switch p {
	case forWriting:
		// No busy_timeout: begin waits for other processes' writes.
		pragma("synchronous(FULL)")
		pragma("secure_delete(ON)") // K4: erased content is overwritten
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
			// Closing would move the log into the file; a connection that cannot
			// write does not. (Without a log it would leave one.)
			query.Set("mode", "ro")
		}
	}
	if p == forCopying {
		pragma("busy_timeout(5000)")
	}
	if p == forWriting || p == forCopying {
		pragma("auto_vacuum(INCREMENTAL)") // only effective when the file is created
	}
	pragma("temp_store(MEMORY)")
	pragma("trusted_schema(OFF)")
	u := url.URL{Scheme: "file", Path: string(f), RawQuery: query.Encode()}
	return u.String()
}

// hasLog reports whether there is a write-ahead log beside the file.
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

// damaged says what a file is that makes no sense, and what to do. Pages out of the log
// of another file look like damage.
func (f file) damaged() string {
	if f.hasLog() {
		return fmt.Sprintf("sqlite store %[1]s is damaged, or the log beside it, %[1]s-wal, is not its own but another file's: if the file was put there, move %[1]s-wal and %[1]s-shm away; "+
			"if not, move all three away and put the last backup in their place", f)
	}
	return fmt.Sprintf("sqlite store %s is damaged or not a database: move it away and put the last backup in its place", f)
}

// explain adds the file, and advice if there is any, to an error of the engine.
// It returns any other error unchanged.
func (f file) explain(err error) error {
	var fault *engine.Error
	if !errors.As(err, &fault) {
		return err
	}
	switch primary(fault) {
	case codes.SQLITE_NOTADB, codes.SQLITE_CORRUPT:
		return fmt.Errorf("%s: %w", f.damaged(), err)
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

// primary returns the primary result code of an error of the engine.
func primary(fault *engine.Error) int { return fault.Code() & 0xff }

// taken reports whether err means that the value of a unique column is in use,
// and not that a value was refused for another reason.
func taken(err error) bool {
	var fault *engine.Error
	return errors.As(err, &fault) &&
		(fault.Code() == codes.SQLITE_CONSTRAINT_UNIQUE || fault.Code() == codes.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// busy reports whether err means that another connection holds a lock.
func busy(err error) bool {
	var fault *engine.Error
	return errors.As(err, &fault) && primary(fault) == codes.SQLITE_BUSY
}

// broken reports whether after err the state of the transaction or the connection
// is unknown: after any error of the engine but a refused value, and after a
// panic.
func broken(err error) bool {
	var fault *engine.Error
	return errors.As(err, &fault) && primary(fault) != codes.SQLITE_CONSTRAINT ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, errPanicked)
}
