package config

import (
	"cmp"
	"errors"
	"slices"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/keys"
)

// ParseRetryWindow parses the form of RetryWindow.String: until-used, 0 or a
// duration.
func ParseRetryWindow(s string) (clients.RetryWindow, error) {
	if s == clients.RetryUntilUsed.String() {
		return clients.RetryUntilUsed, nil
	}
	d, err := ParseDuration(s)
	if err != nil {
		return 0, err
	}
	if d < 0 || d > longest {
		return 0, errNotAccepted
	}
	return cmp.Or(clients.RetryWindow(d), clients.RetryNever), nil
}

// AcceptedRetryWindow describes what ParseRetryWindow accepts.
const AcceptedRetryWindow = "until-used, or a duration from 0s to 3650d, such as 30s, 24h or 30d"

func retryWindow() kind {
	return kind{
		typ:     "duration",
		accepts: AcceptedRetryWindow,
		set: func(c *Config, s string) (err error) {
			c.RetryWindow, err = ParseRetryWindow(s)
			return err
		},
		show: func(c *Config) string { return c.RetryWindow.String() },
	}
}

// algorithms returns the signing algorithms, the default first.
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

// KeyPolicy returns the policy for signing keys.
func (c *Config) KeyPolicy() keys.Policy {
	return keys.Policy{
		Algs: c.algorithms(), Interval: c.KeyRotationInterval, Lead: c.KeyPublishLead, Poll: c.KeyPollInterval,
		Skew: c.ClockSkew, MaxAge: c.JWKSMaxAge, TokenTTL: c.AccessTokenTTL,
	}
}

// PasswordParams returns the cost of hashing a password.
func (c *Config) PasswordParams() passwords.Params {
	return passwords.Params{MemoryKiB: c.Argon2Memory, Time: c.Argon2Time, Threads: c.Argon2Threads}
}
