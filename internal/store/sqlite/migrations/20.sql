ALTER TABLE clients ADD COLUMN backchannel_logout_uri TEXT NOT NULL DEFAULT '';
ALTER TABLE families ADD COLUMN tell_end INTEGER NOT NULL DEFAULT 0;
CREATE INDEX families_untold ON families (revoked_at) WHERE tell_end = 1 AND revoked_at > 0;

CREATE TABLE messages (
	id TEXT NOT NULL PRIMARY KEY,
	kind TEXT NOT NULL,
	destination TEXT NOT NULL,
	payload BLOB,
	created_at INTEGER NOT NULL,
	due_at INTEGER NOT NULL,
	tries INTEGER NOT NULL,
	holder TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_due ON messages (destination, due_at);
