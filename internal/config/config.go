// Package config turns defaults, a YAML file, KEYTURN_* variables and flags
// into one typed Config, each overriding the one before. It refuses what it
// does not know or cannot use and never adjusts a value: a server that starts
// does what its settings say.
//
// Every setting is one entry of the table that Settings returns; flags,
// variables, file keys, printing and documentation all come from there.
package config

import (
	"net/netip"
	"time"

	"github.com/keyturn/keyturn/oauth"
)

// Config holds every setting, parsed and checked. Load makes it; it is not
// changed afterwards and may be read from many goroutines.
type Config struct {
	// Store is where everything is kept: sqlite:PATH, mongodb://… or
	// mongodb+srv://…; it may hold a password and therefore prints masked.
	Store Secret
	// Issuer is the iss of every token, an absolute URL without a trailing
	// slash. It is empty only where Listen leaves the port to the system;
	// IssuerFor tells it once the port is known.
	Issuer string
	// Listen is the HOST:PORT of the public listener.
	Listen string
	// AdminListen is the HOST:PORT of the listener for metrics; empty if it
	// is off.
	AdminListen string
	// Profiling adds /debug/pprof/ to the admin listener.
	Profiling bool
	// TLSCertFile and TLSKeyFile are PEM files, both set or both empty.
	// Without them the public listener speaks plain HTTP, for a proxy.
	TLSCertFile string
	TLSKeyFile  string
	// TrustedProxies are the networks whose forwarded addresses are believed.
	TrustedProxies []netip.Prefix
	// ClientAddress is where those proxies write their client's address; see
	// clientip.Source.
	ClientAddress string
	// MasterKey and MasterKeyFile hold the key-encryption keys, or the path
	// of a file with them; at most one of the two is set. See CheckMaster.
	MasterKey     Secret
	MasterKeyFile string
	// MongoDBEngineRisk is refuse or accept: what is done with an engine that
	// is known to break promises.
	MongoDBEngineRisk string
	// AuditLog is the path of the audit log, or stdout, or stderr, or a syslog
	// receiver as syslog+tcp://HOST:PORT or syslog+tls://HOST:PORT.
	AuditLog string
	// AuditCAFile is a PEM file of the authorities that a receiver's
	// certificate must be of; the system's if it is empty.
	AuditCAFile string
	// AuditBuffer is how many events a server may keep in memory, AuditLoss
	// how many more it may lose, while the audit log cannot be written to.
	AuditBuffer, AuditLoss int
	// AuditRotateSize (MiB) and AuditRotateAge say when the file of the audit
	// log is rotated, AuditKeep and AuditKeepAge how many rotated files are
	// kept and for how long; 0 is no bound.
	AuditRotateSize int
	AuditRotateAge  time.Duration
	AuditKeep       int
	AuditKeepAge    time.Duration
	// LogLevel is debug, info, warn or error.
	LogLevel string
	// SigningAlgs are the JWS algorithms to sign with, the default first;
	// SigningAlg is the one where there are none. KeyPolicy tells what holds.
	SigningAlg  string
	SigningAlgs []string
	// KeyRotationInterval is how long a key signs before the next one does.
	KeyRotationInterval time.Duration
	// KeyPublishLead is how long a key is published before it signs (K1).
	KeyPublishLead time.Duration
	// KeyPollInterval is how often a replica reads the keys from the store.
	KeyPollInterval time.Duration
	// ClockSkew is how far apart the clocks of replicas and resource servers
	// may be.
	ClockSkew time.Duration
	// JWKSMaxAge is how long the key set may be cached. An HTTP header counts
	// in whole seconds: round it down there.
	JWKSMaxAge time.Duration
	// AccessTokenTTL is the life of an access token.
	AccessTokenTTL time.Duration
	// RefreshIdleTTL is how long a session lives unused, RefreshTTL how long
	// it lives in all.
	RefreshIdleTTL time.Duration
	RefreshTTL     time.Duration
	// RetryWindow is how long a spent refresh token still yields its
	// successor (F2).
	RetryWindow oauth.RetryWindow
	// PasswordGrant allows the password grant to clients registered with it.
	PasswordGrant bool
	// Signup allows strangers to make themselves an account.
	Signup bool
	// PasswordMinLength is the least number of characters of a new password.
	PasswordMinLength int
	// Argon2Memory (KiB), Argon2Time (passes) and Argon2Threads are the cost
	// of hashing a password.
	Argon2Memory  uint32
	Argon2Time    uint32
	Argon2Threads uint8
	// PepperFile is a file with the pepper of imported hashes; empty for none.
	PepperFile string
	// HashConcurrency is how many passwords are hashed at once, at least 1.
	HashConcurrency int
	// LoginThrottle slows guessing per account and per network (U4).
	LoginThrottle bool
	// CORSOrigins are the origins whose scripts may call from a browser, as a
	// browser writes them in the header Origin.
	CORSOrigins []string
	// FirstPartyClient is the client that the /auth routes act for; empty if
	// they are not served.
	FirstPartyClient string
	// ClientJWKSNetworks are networks that a client's jwks_uri may lead to
	// though their addresses are not public.
	ClientJWKSNetworks []netip.Prefix
	// ShutdownDelay is how long requests are still served after a signal to
	// stop, while readiness says 503.
	ShutdownDelay time.Duration
	// ShutdownTimeout is how long requests under way may take to finish after
	// a signal to stop.
	ShutdownTimeout time.Duration
	// RequestTimeout bounds the work on one request.
	RequestTimeout time.Duration

	sources map[string]Source
}
