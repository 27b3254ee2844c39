ALTER TABLE denied ADD COLUMN slot_id TEXT NOT NULL DEFAULT '';
ALTER TABLE denied ADD COLUMN slot BLOB;
CREATE INDEX denied_pending ON denied (slot_id) WHERE slot_id > '';
