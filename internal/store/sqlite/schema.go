package sqlite

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// applicationID marks a SQLite file as Keyturn's ("KTRN").
const applicationID = 0x4b54524e

// checkedWhole is the size in bytes up to which a file's structure is checked
// from end to end when it is opened. Damage in a larger one is met, and
// reported, when the damaged page is read.
const checkedWhole = 16 << 20

// leastSize is that of the smallest database, in bytes; the engine would take
// what is smaller for an empty one.
const leastSize = 512

// migrations[n] takes the schema from version n to n+1. Times are milliseconds
// since 1970 (0: none), durations nanoseconds, lists JSON arrays of strings.
var migrations = []string{`
CREATE TABLE users (
	uid TEXT NOT NULL PRIMARY KEY,
	email TEXT NOT NULL,
	email_key TEXT NOT NULL UNIQUE,
	username TEXT NOT NULL,
	username_key TEXT NOT NULL,
	first_name TEXT NOT NULL,
	last_name TEXT NOT NULL,
	password_hash TEXT NOT NULL,
	disabled INTEGER NOT NULL,
	epoch INTEGER NOT NULL,
	unsettled INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	password_changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX users_username ON users (username_key) WHERE username_key <> '';
CREATE INDEX users_unsettled ON users (uid) WHERE unsettled = 1;

CREATE TABLE counters (
	name TEXT NOT NULL PRIMARY KEY,
	value INTEGER NOT NULL,
	expire_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX counters_expire ON counters (expire_at);

CREATE TABLE clients (
	id TEXT NOT NULL PRIMARY KEY,
	public INTEGER NOT NULL,
	secret_hash BLOB,
	grants TEXT NOT NULL,
	scope TEXT NOT NULL,
	audience TEXT NOT NULL,
	access_ttl INTEGER NOT NULL,
	refresh_idle_ttl INTEGER NOT NULL,
	refresh_ttl INTEGER NOT NULL,
	disabled INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE families (
	id TEXT NOT NULL PRIMARY KEY,
	client_id TEXT NOT NULL,
	user_id TEXT NOT NULL,
	scope TEXT NOT NULL,
	audience TEXT NOT NULL,
	email TEXT NOT NULL,
	salt BLOB,
	master_id TEXT NOT NULL,
	generation INTEGER NOT NULL,
	rotated_at INTEGER NOT NULL,
	auth_time INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	idle_expires_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	purge_at INTEGER NOT NULL,
	first_ip TEXT NOT NULL,
	first_user_agent TEXT NOT NULL,
	last_ip TEXT NOT NULL,
	last_user_agent TEXT NOT NULL,
	revoked_at INTEGER NOT NULL,
	revoke_reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX families_user ON families (user_id, created_at) WHERE revoked_at = 0;
CREATE INDEX families_client ON families (client_id) WHERE revoked_at = 0;
CREATE INDEX families_purge ON families (purge_at);

CREATE TABLE denied (
	jti TEXT NOT NULL PRIMARY KEY,
	expire_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX denied_expire ON denied (expire_at);

CREATE TABLE keys (
	kid TEXT NOT NULL PRIMARY KEY,
	seq INTEGER NOT NULL UNIQUE,
	alg TEXT NOT NULL,
	public BLOB,
	sealed BLOB,
	created_at INTEGER NOT NULL,
	activate_at INTEGER NOT NULL,
	token_ttl INTEGER NOT NULL,
	revoked_at INTEGER NOT NULL,
	revoke_reason TEXT NOT NULL,
	archived INTEGER NOT NULL,
	version INTEGER NOT NULL
) STRICT;
CREATE INDEX keys_archived ON keys (archived, seq);

CREATE TABLE anchors (
	chain TEXT NOT NULL PRIMARY KEY,
	seq INTEGER NOT NULL,
	hash TEXT NOT NULL,
	node TEXT NOT NULL,
	at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pings (
	id INTEGER PRIMARY KEY,
	count INTEGER NOT NULL
) STRICT;
INSERT INTO pings VALUES (1, 0);
`, `
ALTER TABLE clients ADD COLUMN default_scope TEXT NOT NULL DEFAULT '[]';
ALTER TABLE clients ADD COLUMN jwks TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN jwks_uri TEXT NOT NULL DEFAULT '';
`, `
ALTER TABLE keys ADD COLUMN margin INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN lead INTEGER NOT NULL DEFAULT 0;
`, `
ALTER TABLE users ADD COLUMN roles TEXT NOT NULL DEFAULT '[]';
ALTER TABLE users ADD COLUMN claims TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN reset_hash BLOB;
ALTER TABLE users ADD COLUMN reset_expires_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE families ADD COLUMN claims TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN claims TEXT NOT NULL DEFAULT '[]';
`, `
CREATE TABLE hash_kinds (
	kind TEXT NOT NULL PRIMARY KEY,
	announced_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`, `
ALTER TABLE keys ADD COLUMN answers INTEGER NOT NULL DEFAULT 0;
`, `
ALTER TABLE users ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN unborn INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN slot_id TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN slot BLOB;
CREATE INDEX users_pending ON users (slot_id) WHERE slot_id > '';
ALTER TABLE clients ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN unborn INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN slot_id TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN slot BLOB;
CREATE INDEX clients_pending ON clients (slot_id) WHERE slot_id > '';
ALTER TABLE families ADD COLUMN unborn INTEGER NOT NULL DEFAULT 0;
ALTER TABLE families ADD COLUMN slot_id TEXT NOT NULL DEFAULT '';
ALTER TABLE families ADD COLUMN slot BLOB;
CREATE INDEX families_pending ON families (slot_id) WHERE slot_id > '';
`, `
CREATE TABLE steady_time (
	id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
	at INTEGER NOT NULL
) STRICT;
`, `
ALTER TABLE keys ADD COLUMN end_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN signing_alg TEXT NOT NULL DEFAULT '';
`, `
CREATE TABLE log_places (
	host TEXT NOT NULL,
	sink TEXT NOT NULL,
	at INTEGER NOT NULL,
	PRIMARY KEY (host, sink)
) STRICT, WITHOUT ROWID;
`, `
CREATE TABLE users_with_sparse_email (
	uid TEXT NOT NULL PRIMARY KEY,
	email TEXT NOT NULL,
	email_key TEXT NOT NULL,
	username TEXT NOT NULL,
	username_key TEXT NOT NULL,
	first_name TEXT NOT NULL,
	last_name TEXT NOT NULL,
	password_hash TEXT NOT NULL,
	disabled INTEGER NOT NULL,
	epoch INTEGER NOT NULL,
	unsettled INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	password_changed_at INTEGER NOT NULL,
	roles TEXT NOT NULL DEFAULT '[]',
	claims TEXT NOT NULL DEFAULT '',
	reset_hash BLOB,
	reset_expires_at INTEGER NOT NULL DEFAULT 0,
	version INTEGER NOT NULL DEFAULT 0,
	unborn INTEGER NOT NULL DEFAULT 0,
	slot_id TEXT NOT NULL DEFAULT '',
	slot BLOB
) STRICT, WITHOUT ROWID;
INSERT INTO users_with_sparse_email SELECT uid, email, email_key, username, username_key, first_name, last_name, password_hash, disabled, epoch, unsettled,
	created_at, updated_at, password_changed_at, roles, claims, reset_hash, reset_expires_at, version, unborn, slot_id, slot
	FROM users;
DROP TABLE users;
ALTER TABLE users_with_sparse_email RENAME TO users;
CREATE UNIQUE INDEX users_email ON users (email_key) WHERE email_key <> '';
CREATE UNIQUE INDEX users_username ON users (username_key) WHERE username_key <> '';
CREATE INDEX users_unsettled ON users (uid) WHERE unsettled = 1;
CREATE INDEX users_pending ON users (slot_id) WHERE slot_id > '';
`, `
ALTER TABLE keys ADD COLUMN slot_id TEXT NOT NULL DEFAULT '';
ALTER TABLE keys ADD COLUMN slot BLOB;
`, `
ALTER TABLE clients ADD COLUMN introspects TEXT NOT NULL DEFAULT '[]';
ALTER TABLE clients ADD COLUMN token_endpoint_audience INTEGER NOT NULL DEFAULT 0;
`, `
ALTER TABLE clients ADD COLUMN retry_window INTEGER NOT NULL DEFAULT 0;
`}

var (
	readApplicationID = sql(`PRAGMA application_id`)
	readVersion       = sql(`PRAGMA user_version`)
	countTables       = sql(`SELECT count(*) FROM sqlite_schema`)
	checkStructure    = sql(`PRAGMA quick_check(1)`)
	useWAL            = sql(`PRAGMA journal_mode = WAL`)
)

// examine refuses a file that is not a Keyturn store that this version can
// work on. It changes nothing.
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

// judge returns why the file is refused; whole asks for a check of every page.
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
		return fmt.Errorf("sqlite store %s is damaged: put the last backup in its place: %s",
			f, strings.ReplaceAll(verdict, "\n", ": "))
	}
	return nil
}

// hollow is the error of a file without a schema.
func (f file) hollow() error {
	return fmt.Errorf("sqlite store %s holds nothing, not even tables: most likely it is a copy of the file alone that was made while "+
		"a server ran, whose data was in the log beside it (-wal); put back the original, or what keyturn store backup makes, "+
		"or delete this file to begin anew", f)
}

// version returns the file's schema version unless it is one of the future.
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

// migrate brings the schema up to date, in one transaction, and returns the
// connection that will write. Several processes may do so at once.
func (f file) migrate(ctx context.Context) (*conn, error) {
	var migrated *conn
	err := patiently(ctx, func() error {
		c, err := f.connect(ctx, forWriting)
		if err != nil {
			return err
		}
		if err := f.migrateOn(c); err != nil {
			_ = c.Close() // which undoes what was begun
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

// patiently calls f until it does not find a lock held, ctx ends, or
// lockPatience is over.
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
