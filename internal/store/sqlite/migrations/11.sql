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
