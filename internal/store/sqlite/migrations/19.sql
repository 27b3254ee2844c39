ALTER TABLE clients ADD COLUMN post_logout_redirect_uris TEXT NOT NULL DEFAULT '[]';
ALTER TABLE families ADD COLUMN login_id TEXT NOT NULL DEFAULT '';
