package config

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/clientip"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/users"
)

// Setting describes one setting: what documentation, help and error messages
// say of it.
type Setting struct {
	// Name is the key in the YAML file: lower case with underscores.
	Name string
	// Type is what help calls the value: address, duration, file, list, name,
	// number, text, URI, URL, or the two positions of a switch.
	Type string
	// Default is the text that stands where nothing is given.
	Default string
	// Accepts says what Load accepts, Help what the setting is for.
	Accepts string
	Help    string
	// Secret values print masked, wholly or in their secret parts.
	Secret bool
	// EnvironmentOnly settings are neither flags nor allowed in the file.
	EnvironmentOnly bool

	kind kind
}

// Env returns the variable of the setting.
func (s Setting) Env() string { return envPrefix + strings.ToUpper(s.Name) }

// Flag returns the flag of the setting, without the leading dashes; it is not
// there for settings of the environment only.
func (s Setting) Flag() string { return strings.ReplaceAll(s.Name, "_", "-") }

// Settings returns every setting, grouped by subject.
func Settings() []Setting { return slices.Clone(table) }

// table holds every setting there is.
var table = describe(slices.Concat(storage(), network(), logging(), signing(), lifetimes(), hashing(), access(), branding(), letters()))

// describe fills in what follows from the kind.
func describe(settings []Setting) []Setting {
	for i, s := range settings {
		settings[i].Type, settings[i].Accepts = s.kind.typ, s.kind.accepts
	}
	return settings
}

// lookup returns the setting of that name.
func lookup(name string) (Setting, bool) {
	i := slices.IndexFunc(table, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		return Setting{}, false
	}
	return table[i], true
}

// defaults returns the default of every setting.
func defaults() map[string]string {
	m := make(map[string]string)
	for _, s := range table {
		m[s.Name] = s.Default
	}
	return m
}

func storage() []Setting {
	return []Setting{
		{Name: "store", Default: "sqlite:keyturn.db", Secret: true, kind: storeURI(),
			Help: "where everything is kept: sqlite:PATH on one machine, mongodb://HOST,…/DATABASE for several, the database keyturn if none is named; prefer the variable where the URI holds a password"},
		{Name: "master_key_file", kind: filePath(func(c *Config) *string { return &c.MasterKeyFile }, "the path of a file"),
			Help: "file with the key-encryption keys; on SQLite one is made beside the database if this is empty, on MongoDB it is required"},
		{Name: "master_key", Secret: true, EnvironmentOnly: true, kind: masterKey(),
			Help: "the key-encryption keys themselves, where no file can be mounted"},
		{Name: "store_must_exist", Default: "false", kind: switched(func(c *Config) *bool { return &c.StoreMustExist }, "true", "false"),
			Help: "whether a store without keys is refused, as one that was lost, or an empty volume; a deployment begins with false, once"},
		{Name: "mongodb_engine_risk", Default: "refuse", kind: oneOf(func(c *Config) *string { return &c.MongoDBEngineRisk }, "refuse", "accept"),
			Help: "whether a database engine that is known to break promises of Keyturn, as FerretDB 1 is, is refused, or accepted for tests and trials"},
	}
}

// masterKey is the kind of a text that is all secret.
func masterKey() kind {
	return kind{
		typ:     "text",
		accepts: "the content of a master_key_file",
		set: func(c *Config, s string) error {
			if _, err := keys.ParseMasters([]byte(s)); s != "" && err != nil {
				return err
			}
			c.MasterKey = NewSecret(s)
			return nil
		},
		show: func(c *Config) string { return c.MasterKey.String() },
	}
}

func network() []Setting {
	return []Setting{
		{Name: "issuer", kind: text(func(c *Config) *string { return &c.Issuer }, "URL",
			"an https URL without user, query, fragment or trailing slash, such as https://auth.example.com (http for localhost, 127.0.0.0/8 and [::1])", checkIssuer),
			Help: "the URL that clients reach this server at, the iss of every token; while listen is a loopback address it may be left empty and is then that address"},
		{Name: "listen", Default: "127.0.0.1:8080", kind: text(func(c *Config) *string { return &c.Listen }, "address",
			"HOST:PORT, such as 127.0.0.1:8080, [::1]:8080 or :8080", checkListen),
			Help: "address of the public listener; port 0 lets the system choose"},
		{Name: "admin_listen", Default: "127.0.0.1:9090", kind: adminListen(),
			Help: "address of the listener for metrics, which no stranger should reach; off for none"},
		{Name: "profiling", Default: "false", kind: switched(func(c *Config) *bool { return &c.Profiling }, "true", "false"),
			Help: "whether the admin listener serves the profiles of Go's runtime at /debug/pprof/"},
		{Name: "tls_cert_file", kind: filePath(func(c *Config) *string { return &c.TLSCertFile }, "the path of a PEM file"),
			Help: "certificate chain (PEM) of the public listener; leave empty behind a proxy that ends TLS"},
		{Name: "tls_key_file", kind: filePath(func(c *Config) *string { return &c.TLSKeyFile }, "the path of a PEM file"),
			Help: "private key (PEM) that belongs to tls_cert_file"},
		{Name: "trusted_proxies", kind: networks(func(c *Config) *[]netip.Prefix { return &c.TrustedProxies }),
			Help: "proxies whose word on their client's address is believed; from anybody else it is ignored"},
		{Name: "client_address", Default: string(clientip.XForwardedFor), kind: oneOf(func(c *Config) *string { return &c.ClientAddress }, clientip.Sources()...),
			Help: "where a trusted proxy writes the address of its client: the header X-Forwarded-For, the header Forwarded (RFC 7239), or the PROXY protocol, version 1 or 2"},
		{Name: "request_timeout", Default: "10s", kind: duration(func(c *Config) *time.Duration { return &c.RequestTimeout }, time.Millisecond),
			Help: "how long the work on one request may take"},
		{Name: "shutdown_delay", Default: "0s", kind: duration(func(c *Config) *time.Duration { return &c.ShutdownDelay }, 0),
			Help: "how long requests are still served after a signal to stop, while /readyz answers 503: what a load balancer needs to turn away; 5s in the image"},
		{Name: "shutdown_timeout", Default: "15s", kind: duration(func(c *Config) *time.Duration { return &c.ShutdownTimeout }, time.Millisecond),
			Help: "how long requests under way may take to finish after a signal to stop"},
	}
}

func logging() []Setting {
	return []Setting{
		{Name: "audit_log", Default: "keyturn-audit.log", kind: text(func(c *Config) *string { return &c.AuditLog }, "file",
			"the path of a file, stdout, stderr, syslog+tcp://HOST:PORT or syslog+tls://HOST:PORT", checkAuditLog),
			Help: "where every decision is recorded: a path, stdout, stderr or a syslog receiver; each replica needs a file of its own"},
		{Name: "audit_ca_file", kind: filePath(func(c *Config) *string { return &c.AuditCAFile }, "the path of a PEM file"),
			Help: "certificates (PEM) of the authorities that the certificate of a syslog+tls receiver must be of; the system's if this is empty"},
		{Name: "audit_buffer", Default: "0", kind: number(func(c *Config) *int { return &c.AuditBuffer }, 0, 1_000_000, "events"),
			Help: "how many events a server keeps in memory while the audit log cannot be written to, their decisions standing; a crash loses them; 0: no decision stands without its event"},
		{Name: "audit_loss", Default: "0", kind: number(func(c *Config) *int { return &c.AuditLoss }, 0, 1_000_000_000, "events"),
			Help: "how many events beyond audit_buffer a server may lose in one outage of the audit log before decisions stop; what was lost is told in the log when it is back"},
		{Name: "audit_rotate_size", Default: "0", kind: number(func(c *Config) *int { return &c.AuditRotateSize }, 0, 1<<20, "MiB"),
			Help: "how many MiB the file of the audit log may grow to before it is renamed, with the time at the end of its name, and a new one begun; 0: no bound"},
		{Name: "audit_rotate_age", Default: "0s", kind: duration(func(c *Config) *time.Duration { return &c.AuditRotateAge }, 0),
			Help: "how long after its first line the file of the audit log is rotated, at the next event; 0: never"},
		{Name: "audit_keep", Default: "0", kind: number(func(c *Config) *int { return &c.AuditKeep }, 0, 1_000_000, "files"),
			Help: "how many rotated files are kept; older ones are deleted at a rotation and at the start; 0: all"},
		{Name: "audit_keep_age", Default: "0s", kind: duration(func(c *Config) *time.Duration { return &c.AuditKeepAge }, 0),
			Help: "how long rotated files are kept; older ones are deleted at a rotation and at the start; 0: for ever"},
		{Name: "log_level", Default: "info", kind: oneOf(func(c *Config) *string { return &c.LogLevel }, "debug", "info", "warn", "error"),
			Help: "least severity that is logged: debug, info, warn or error; the audit log is not affected"},
	}
}

func signing() []Setting {
	return []Setting{
		{Name: "signing_alg", Default: "ES256", kind: oneOf(func(c *Config) *string { return &c.SigningAlg }, keys.Algorithms()...),
			Help: "where signing_algs is empty, the one algorithm of signing keys; keys that exist keep theirs"},
		{Name: "signing_algs", kind: listOf(func(c *Config) *[]string { return &c.SigningAlgs }, strings.Join(keys.Algorithms(), ", "), parseAlgorithm, func(s string) string { return s }),
			Help: "algorithms to sign with, each with keys and a schedule of its own; the first is the default, the others for clients that are registered with them"},
		{Name: "key_rotation_interval", Default: "720h", kind: duration(func(c *Config) *time.Duration { return &c.KeyRotationInterval }, time.Millisecond),
			Help: "how long a key signs before the next one takes over"},
		{Name: "key_publish_lead", Default: "24h", kind: duration(func(c *Config) *time.Duration { return &c.KeyPublishLead }, time.Millisecond),
			Help: "how long a key is published before it signs; at least jwks_max_age + key_poll_interval + clock_skew, better a day for caches that ignore max-age"},
		{Name: "key_poll_interval", Default: "10s", kind: duration(func(c *Config) *time.Duration { return &c.KeyPollInterval }, time.Millisecond),
			Help: "how often each replica reads the keys from the store; the time within which a revoked key is gone everywhere"},
		{Name: "clock_skew", Default: "30s", kind: duration(func(c *Config) *time.Duration { return &c.ClockSkew }, time.Millisecond),
			Help: "how far apart the clocks of replicas and resource servers may be"},
		{Name: "jwks_max_age", Default: "15m", kind: duration(func(c *Config) *time.Duration { return &c.JWKSMaxAge }, time.Millisecond),
			Help: "how long resource servers may cache the key set; the HTTP header rounds it down to seconds"},
	}
}

func lifetimes() []Setting {
	return []Setting{
		{Name: "access_token_ttl", Default: "1h", kind: duration(func(c *Config) *time.Duration { return &c.AccessTokenTTL }, time.Millisecond),
			Help: "life of an access token, unless its client has another"},
		{Name: "refresh_idle_ttl", Default: "48h", kind: duration(func(c *Config) *time.Duration { return &c.RefreshIdleTTL }, time.Millisecond),
			Help: "how long a session lives since its last refresh, unless its client has another limit"},
		{Name: "refresh_ttl", Default: "720h", kind: duration(func(c *Config) *time.Duration { return &c.RefreshTTL }, time.Millisecond),
			Help: "how long a session lives in all, unless its client has another limit"},
		{Name: "browser_session_ttl", Default: "12h", kind: duration(func(c *Config) *time.Duration { return &c.BrowserSessionTTL }, time.Second),
			Help: "how long a browser that logged in at the page is asked for no password again; it forgets when it is closed"},
		{Name: "browser_remember_ttl", Default: "30d", kind: duration(func(c *Config) *time.Duration { return &c.BrowserRememberTTL }, 0),
			Help: "the same where the user chose to stay logged in on the device; 0: that is not offered"},
		{Name: "retry_window", Default: "until-used", kind: retryWindow(),
			Help: "how long a refresh token just spent yields its successor again, for clients whose response was lost, unless its client has another: until the successor is used, or a bound beside that; 0 takes every retry for theft"},
	}
}

func hashing() []Setting {
	return []Setting{
		{Name: "password_min_length", Default: "15", kind: number(func(c *Config) *int { return &c.PasswordMinLength }, users.LeastMinLength, 64, "characters"),
			Help: "least length of a new password; NIST SP 800-63B-4 asks for 15 where nothing but the password is checked"},
		{Name: "argon2_memory", Default: "19456", kind: number(func(c *Config) *uint32 { return &c.Argon2Memory }, 7168, passwords.MaxMemoryKiB, "KiB"),
			Help: "memory in KiB that hashing one password takes; with argon2_time not below OWASP's floor"},
		{Name: "argon2_time", Default: "2", kind: number(func(c *Config) *uint32 { return &c.Argon2Time }, 1, passwords.MaxTime, ""),
			Help: "passes over that memory"},
		{Name: "argon2_threads", Default: "1", kind: number(func(c *Config) *uint8 { return &c.Argon2Threads }, 1, passwords.MaxThreads, ""),
			Help: "threads that hash one password"},
		{Name: "pepper_file", kind: filePath(func(c *Config) *string { return &c.PepperFile }, "the path of a file"),
			Help: "file with the pepper of password hashes that were imported with --peppered; needed until the last of their users has logged in"},
		{Name: "hash_concurrency", Default: "0", kind: number(func(c *Config) *int { return &c.HashConcurrency }, 0, passwords.MaxConcurrency, ""),
			Help: "passwords hashed at once, each taking argon2_memory; logins beyond wait and then get 503; 0 is the number of CPUs"},
	}
}

func access() []Setting {
	return []Setting{
		{Name: "password_grant", Default: "true", kind: switched(func(c *Config) *bool { return &c.PasswordGrant }, "true", "false"),
			Help: "allow the password grant to clients that are registered with it; false switches it off for all"},
		{Name: "signup", Default: "true", kind: switched(func(c *Config) *bool { return &c.Signup }, "true", "false"),
			Help: "let people make themselves an account, at the page and at /auth/signup"},
		{Name: "account_deletion_grace", Default: "7d", kind: duration(func(c *Config) *time.Duration { return &c.AccountDeletionGrace }, 0),
			Help: "how long an account that its user deleted is only closed, and an operator can give it back (users enable); 0: it is deleted at once"},
		{Name: "require_second_factor", kind: listOf(func(c *Config) *[]string { return &c.RequireSecondFactor },
			"names of roles, or * for everybody", parseRole, func(s string) string { return s }),
			Help: "roles whose users log in with a second factor alone; who has none sets one up at the log-in"},
		{Name: "dpop_nonce", Default: "false", kind: switched(func(c *Config) *bool { return &c.DPoPNonce }, "true", "false"),
			Help: "ask for a nonce of the server's in every DPoP proof, so that none can be made ahead of its time; costs a client one more request when its nonce is older than five minutes"},
		{Name: "login_throttle", Default: "on", kind: switched(func(c *Config) *bool { return &c.LoginThrottle }, "on", "off"),
			Help: "slow down guessing of passwords, per account and per network; off only where something before Keyturn does it"},
		{Name: "cors_origins", kind: listOf(func(c *Config) *[]string { return &c.CORSOrigins },
			"origins such as https://app.example.com or http://localhost:3000", parseOrigin, func(s string) string { return s }),
			Help: "origins whose scripts may call from a browser"},
		{Name: "first_party_client", kind: text(func(c *Config) *string { return &c.FirstPartyClient }, "text",
			"the id of a client, 1 to 128 visible ASCII characters or spaces, or nothing", checkClientID),
			Help: "client that the /auth routes act for; they are not served while this is empty"},
		{Name: "client_jwks_networks", kind: networks(func(c *Config) *[]netip.Prefix { return &c.ClientJWKSNetworks }),
			Help: "networks of your own that a client's jwks_uri and backchannel_logout_uri may lead to; without any, public addresses alone"},
	}
}

func parseRole(s string) (string, error) {
	if s == "*" {
		return s, nil
	}
	return users.CheckRole(s)
}

func checkClientID(s string) error {
	if s != "" && !clients.ValidID(s) {
		return errNotAccepted
	}
	return nil
}
