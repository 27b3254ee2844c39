package sqlite

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// applicationID marks a SQLite file as Keyturn's ("KTRN").
const applicationID = 0x4b54524e

// checkedWhole is the size in bytes up to which the whole structure of a file is
// checked when it is opened. Damage in a larger file is reported when the damaged
// page is read.
const checkedWhole = 16 << 20

// leastSize is the size of the smallest database in bytes. The engine would take a
// smaller file for an empty one.
const leastSize = 512

// migrations[n] takes the schema from version n to n+1. Times are milliseconds
// since 1970 (0: none), durations nanoseconds, lists JSON arrays of strings.
//
// The files are in the order of their names, 01.sql first.
var migrations = func() (texts []string) {
	files, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		panic(err) // the pattern is valid
	}
	for _, name := range files {
		text, err := migrationFiles.ReadFile(name)
		if err != nil {
			panic(err) // the file is embedded
		}
		texts = append(texts, string(text))
	}
	return texts
}()

//go:embed migrations/*.sql
var migrationFiles embed.FS

var (
	readApplicationID = sql(`PRAGMA application_id`)
	readVersion       = sql(`PRAGMA user_version`)
	countTables       = sql(`SELECT count(*) FROM sqlite_schema`)
	checkStructure    = sql(`PRAGMA quick_check(1)`)
	useWAL            = sql(`PRAGMA journal_mode = WAL`)
)

// Examine returns an error if the file name could not be opened as a store; an
// fs.ErrNotExist does not mean that. It changes nothing.
func Examine(ctx context.Context, name string) error {
	absolute, err := filepath.Abs(name)
	if err != nil {
		return err
	}
	tuneEngine()
	return file(absolute).examine(ctx)
}

// examine refuses a file that is not a Keyturn store of this version or an earlier
// one. It changes nothing.
func (f file) examine(ctx context.Context) error {
	info, err := os.Stat(string(f))
	if err != nil {
		return fmt.Errorf("cannot open the sqlite store: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("sqlite store %s is not a regular file", f)
	}
	if info.Size() == 0 {
		if f.hasLog() {
			return nil
		}
		return f.hollow()
	}
	if info.Size() < leastSize {
		return fmt.Errorf("sqlite store %s is damaged or not a database: it has only %d bytes (nothing was changed)", f, info.Size())
	}
	if err := f.ownLog(); err != nil {
		return err
	}
	c, err := f.connect(ctx, forExamining)
	if err != nil {
		return err
	}
	err = f.judge(c, info.Size() <= checkedWhole)
	if closeErr := c.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("%w (nothing was changed)", f.explain(err))
	}
	return nil
}

// ownLog refuses a file beside the log of another one, which the engine would
// replay into it: a backup that replaced a file that had not been closed. Only a
// file whose header says that it uses such a log (bytes 18 and 19 are 2) ever wrote
// one, and a backup never did.
func (f file) ownLog() error {
	log, err := os.Stat(string(f) + "-wal")
	if err != nil || log.Size() == 0 {
		return nil
	}
	header, err := f.header()
	if err != nil {
		return fmt.Errorf("cannot read the sqlite store: %w", err)
	}
	if header.isBackup() {
		return fmt.Errorf("sqlite store %[1]s is a backup beside the log of the file that it replaced: move %[1]s-wal and %[1]s-shm away (nothing was changed)", f)
	}
	return nil
}

// judge returns the reason to refuse the file. whole requests a check of every
// page.
func (f file) judge(c *conn, whole bool) error {
	tables, err := scalar(c, countTables)
	if err != nil {
		return err
	}
	id, err := scalar(c, readApplicationID)
	if err != nil {
		return err
	}
	if id != applicationID && (id != 0 || tables != 0) {
		return fmt.Errorf("sqlite store %s holds another program's database: name a file of Keyturn's own", f)
	}
	if _, err := f.version(c); err != nil {
		return err
	}
	if tables == 0 && !f.hasLog() {
		return f.hollow()
	}
	if !whole {
		return nil
	}
	verdict, err := one(c, checkStructure, (*row).text, nil)
	if err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("%s: %s", f.damaged(), strings.ReplaceAll(verdict, "\n", ": "))
	}
	return nil
}

// hollow returns the error of a file without a schema.
func (f file) hollow() error {
	return fmt.Errorf("sqlite store %s holds nothing, not even tables: most likely it is a copy of the file alone that was made while "+
		"a server ran, whose data was in the log beside it (-wal); put back the original, or what keyturn store backup makes, "+
		"or delete this file to begin anew", f)
}

// version returns the file's schema version, or an error if it is a later one than
// this program's.
func (f file) version(c *conn) (int, error) {
	v, err := scalar(c, readVersion)
	if err != nil {
		return 0, err
	}
	if v < 0 || v > int64(len(migrations)) {
		return 0, fmt.Errorf("sqlite store %s has schema version %d, made by a later Keyturn; this one knows up to %d: "+
			"run the later one again", f, v, len(migrations))
	}
	return int(v), nil
}

// migrate updates the schema in one transaction and returns the writing connection.
// Several processes may do so at once.
func (f file) migrate(ctx context.Context) (*conn, error) {
	var migrated *conn
	err := patiently(ctx, func() error {
		c, err := f.connect(ctx, forWriting)
		if err != nil {
			return err
		}
		if err := f.migrateOn(c); err != nil {
			_ = c.Close() // closing undoes the transaction
			return err
		}
		migrated = c
		return nil
	})
	return migrated, f.explain(err)
}

func (f file) migrateOn(c *conn) error {
	mode, err := one(c, useWAL, (*row).text, nil)
	if err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("sqlite store %s cannot have a write-ahead log (its journal mode stays %q): it must be on a local disk", f, mode)
	}
	if v, err := f.version(c); err != nil || v == len(migrations) {
		return err
	}
	if _, err := c.exec(beginWrite); err != nil {
		return err
	}
	v, err := f.version(c) // another process may have been faster
	if err != nil {
		return err
	}
	for ; v < len(migrations); v++ {
		if err := c.script(fmt.Sprintf("%s; PRAGMA user_version = %d; PRAGMA application_id = %d",
			migrations[v], v+1, applicationID)); err != nil {
			return err
		}
	}
	_, err = c.exec(commitWrite)
	return err
}

// patiently calls f until no lock is in its way, ctx ends, or lockPatience is over.
func patiently(ctx context.Context, f func() error) error {
	deadline := time.Now().Add(lockPatience)
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		err := f()
		if !busy(err) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
		}
	}
}

// scalar runs a statement that returns one number.
func scalar(c *conn, s *statement) (int64, error) {
	return one(c, s, (*row).integer, nil)
}
