DROP INDEX denied_expire;
CREATE INDEX denied_expire ON denied (expire_at) WHERE jti NOT GLOB 'dpop *';
