package config

import (
	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/keys"
)

// KeyPolicy is how signing keys live.
func (c *Config) KeyPolicy() keys.Policy {
	return keys.Policy{
		Alg: c.SigningAlg, Interval: c.KeyRotationInterval, Lead: c.KeyPublishLead, Poll: c.KeyPollInterval,
		Skew: c.ClockSkew, MaxAge: c.JWKSMaxAge, TokenTTL: c.AccessTokenTTL,
	}
}

// PasswordParams is the cost of hashing a password.
func (c *Config) PasswordParams() passwords.Params {
	return passwords.Params{MemoryKiB: c.Argon2Memory, Time: c.Argon2Time, Threads: c.Argon2Threads}
}
