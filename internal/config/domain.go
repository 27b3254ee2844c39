package config

import (
	"errors"
	"slices"

	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/keys"
)

// algorithms are those to sign with, the default first.
func (c *Config) algorithms() []string {
	if len(c.SigningAlgs) > 0 {
		return c.SigningAlgs
	}
	return []string{c.SigningAlg}
}

func parseAlgorithm(s string) (string, error) {
	if !slices.Contains(keys.Algorithms(), s) {
		return "", errors.New("it is unknown")
	}
	return s, nil
}

// KeyPolicy is how signing keys live.
func (c *Config) KeyPolicy() keys.Policy {
	return keys.Policy{
		Algs: c.algorithms(), Interval: c.KeyRotationInterval, Lead: c.KeyPublishLead, Poll: c.KeyPollInterval,
		Skew: c.ClockSkew, MaxAge: c.JWKSMaxAge, TokenTTL: c.AccessTokenTTL,
	}
}

// PasswordParams is the cost of hashing a password.
func (c *Config) PasswordParams() passwords.Params {
	return passwords.Params{MemoryKiB: c.Argon2Memory, Time: c.Argon2Time, Threads: c.Argon2Threads}
}
