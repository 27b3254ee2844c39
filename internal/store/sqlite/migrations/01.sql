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
