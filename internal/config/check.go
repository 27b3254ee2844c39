package config

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/clientip"
)

// contradiction is a conflict between settings that are valid by themselves.
type contradiction struct {
	// settings are the settings in conflict. They are only checked if all of
	// them have usable values. The first is the one refused.
	settings []string
	// find returns why the first setting is refused and what would be accepted,
	// or an empty reason.
	find func(c *Config) (reason, accepted string)
}

// contradictions are checked in this order.
var contradictions = []contradiction{
	{[]string{"tls_key_file", "tls_cert_file"}, func(c *Config) (string, string) {
		if c.TLSCertFile != "" && c.TLSKeyFile == "" {
			return "tls_cert_file is set", "the file of its key, or neither"
		}
		return "", ""
	}},
	{[]string{"tls_cert_file", "tls_key_file"}, func(c *Config) (string, string) {
		if c.TLSKeyFile != "" && c.TLSCertFile == "" {
			return "tls_key_file is set", "the file of its certificate, or neither"
		}
		return "", ""
	}},
	{[]string{"issuer", "listen", "tls_cert_file"}, issuerUnfit},
	{[]string{"client_address", "trusted_proxies"}, func(c *Config) (string, string) {
		if c.ClientAddress != string(clientip.XForwardedFor) && len(c.TrustedProxies) == 0 {
			return "trusted_proxies is empty, so nobody is believed", string(clientip.XForwardedFor) + ", or trusted_proxies with it"
		}
		return "", ""
	}},
	{[]string{"admin_listen", "listen"}, func(c *Config) (string, string) {
		if c.AdminListen == c.Listen && !systemPort(c.Listen) {
			return "it is the public listener's", "another HOST:PORT than listen, or off"
		}
		return "", ""
	}},
	{[]string{"master_key_file", "master_key"}, func(c *Config) (string, string) {
		if c.MasterKeyFile != "" && !c.MasterKey.IsZero() {
			return "KEYTURN_MASTER_KEY is set too", "one of the two"
		}
		return "", ""
	}},
	{[]string{"key_publish_lead", "jwks_max_age", "key_poll_interval", "clock_skew"}, unkept("key_publish_lead")},
	{[]string{"key_rotation_interval", "key_publish_lead"}, unkept("key_rotation_interval")},
	{[]string{"signing_algs", "signing_alg"}, unkept("signing_algs")},
	{[]string{"refresh_idle_ttl", "refresh_ttl"}, func(c *Config) (string, string) {
		if c.RefreshIdleTTL > c.RefreshTTL {
			return "a session would end before it could be idle so long", fmt.Sprintf("at most refresh_ttl, %v", c.RefreshTTL)
		}
		return "", ""
	}},
	{[]string{"retry_window", "refresh_idle_ttl"}, func(c *Config) (string, string) {
		if time.Duration(c.RetryWindow) >= c.RefreshIdleTTL {
			return "a spent token would outlive its session", fmt.Sprintf("until-used, or less than refresh_idle_ttl, %v", c.RefreshIdleTTL)
		}
		return "", ""
	}},
	{[]string{"audit_log", "store", "master_key_file", "tls_cert_file", "tls_key_file", "audit_ca_file", "pepper_file", "page_logo_file", "mail_password_file", "mail_webhook_secret_file"}, overwrites},
	{[]string{"audit_rotate_size", "audit_log"}, func(c *Config) (string, string) { return rotatesNoFile(c, c.AuditRotateSize > 0) }},
	{[]string{"audit_rotate_age", "audit_log"}, func(c *Config) (string, string) { return rotatesNoFile(c, c.AuditRotateAge > 0) }},
	{[]string{"audit_keep", "audit_rotate_size", "audit_rotate_age"}, func(c *Config) (string, string) { return keepsNothing(c, c.AuditKeep > 0) }},
	{[]string{"audit_keep_age", "audit_rotate_size", "audit_rotate_age"}, func(c *Config) (string, string) { return keepsNothing(c, c.AuditKeepAge > 0) }},
	{[]string{"audit_ca_file", "audit_log"}, certifiesNobody},
	{[]string{"argon2_memory", "argon2_time"}, argon2Weak},
	{[]string{"argon2_memory", "argon2_time", "argon2_threads"}, argon2Heavy},
}

// unkept refuses a setting that is a fault of the key policy.
func unkept(setting string) func(c *Config) (reason, accepted string) {
	return func(c *Config) (reason, accepted string) {
		for _, fault := range c.KeyPolicy().Faults() {
			if fault.Setting == setting {
				return fault.Reason, fault.Accepted
			}
		}
		return "", ""
	}
}

// argon2Heavy refuses a cost that no login should pay.
func argon2Heavy(c *Config) (reason, accepted string) {
	if err := c.PasswordParams().Check(); err != nil {
		return err.Error(), ""
	}
	return "", ""
}

// issuerUnfit refuses an issuer that is missing or that contradicts the
// listener.
func issuerUnfit(c *Config) (reason, accepted string) {
	const fit = "the https URL that clients reach this server at, without a trailing slash"
	host, _, err := net.SplitHostPort(c.Listen)
	switch {
	case c.Issuer == "" && (err != nil || !isLoopback(host)):
		return "it is required, as listen (" + quoted(c.Listen) + ") is not a loopback address", fit
	case c.TLSCertFile != "" && strings.HasPrefix(c.Issuer, "http:"):
		return "tls_cert_file is set, so nothing answers there", "the same with https"
	}
	return "", ""
}

// argon2Floor are the weakest costs that OWASP's Password Storage Cheat Sheet
// lists for argon2id with one thread: memory in KiB and passes.
var argon2Floor = []struct{ memory, time uint32 }{{47104, 1}, {19456, 2}, {12288, 3}, {9216, 4}, {7168, 5}}

func argon2Weak(c *Config) (reason, accepted string) {
	for _, floor := range argon2Floor {
		if c.Argon2Memory >= floor.memory && c.Argon2Time >= floor.time {
			return "", ""
		}
	}
	return fmt.Sprintf("with argon2_time %d it is weaker than OWASP's floor", c.Argon2Time),
		"at least 47104 KiB with argon2_time 1, 19456 with 2, 12288 with 3, 9216 with 4, 7168 with 5"
}

// contradict reports contradictions between the settings.
func (l *loader) contradict() {
	for _, x := range slices.Concat(contradictions, mailContradictions) {
		if slices.ContainsFunc(x.settings, func(name string) bool { return l.failed[name] }) {
			continue
		}
		if reason, accepted := x.find(l.config); reason != "" {
			s, _ := lookup(x.settings[0])
			l.report(&refusal{name: s.Name, value: quoted(s.kind.show(l.config)),
				source: l.config.sources[s.Name], reason: reason, accepted: accepted})
		}
	}
}

// CheckMaster returns an error if no master key is given for MongoDB, where
// every replica must have the same one. For SQLite one is made beside the
// database if none is given.
func (c *Config) CheckMaster() error {
	if !c.MongoDB() || c.MasterKeyFile != "" || !c.MasterKey.IsZero() {
		return nil
	}
	return &refusal{name: "master_key_file", value: `""`, source: c.sources["master_key_file"],
		reason:   "with mongodb every replica must be given the same master key",
		accepted: "the path of a file that holds it, or KEYTURN_MASTER_KEY in the environment"}
}
