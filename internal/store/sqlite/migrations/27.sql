ALTER TABLE users ADD COLUMN delete_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX users_delete_at ON users (delete_at) WHERE delete_at > 0;
