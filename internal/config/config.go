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

	"github.com/keyturn/keyturn/internal/clients"
)

// Config holds every setting, parsed and checked. Load makes it; it is not
// changed afterwards and may be read from many goroutines. The Help of a setting
// in settings.go says what it is for, and in what unit. The comments here say what
// a reader of the parsed value has to know beside that.
type Config struct {
	// Store may hold a password and therefore prints masked.
	Store Secret
	// MasterKey and MasterKeyFile: at most one of the two is set. See CheckMaster.
	MasterKey         Secret
	MasterKeyFile     string
	MongoDBEngineRisk string
	StoreMustExist    bool

	// Issuer is empty only if Listen leaves the port to the system. IssuerFor
	// returns it once the port is known.
	Issuer string
	Listen string
	// AdminListen is empty if it is off.
	AdminListen string
	Profiling   bool
	// TLSCertFile and TLSKeyFile are both set or both empty.
	TLSCertFile, TLSKeyFile string
	TrustedProxies          []netip.Prefix
	// ClientAddress is a clientip.Source.
	ClientAddress   string
	RequestTimeout  time.Duration
	ShutdownDelay   time.Duration
	ShutdownTimeout time.Duration

	AuditLog, AuditCAFile        string
	AuditBuffer, AuditLoss       int
	AuditRotateSize, AuditKeep   int
	AuditRotateAge, AuditKeepAge time.Duration
	LogLevel                     string

	// SigningAlg and SigningAlgs: KeyPolicy tells what holds.
	SigningAlg          string
	SigningAlgs         []string
	KeyRotationInterval time.Duration
	// KeyPublishLead is that of K1.
	KeyPublishLead  time.Duration
	KeyPollInterval time.Duration
	ClockSkew       time.Duration
	// JWKSMaxAge may have a fraction of a second; an HTTP header has none.
	JWKSMaxAge time.Duration

	AccessTokenTTL             time.Duration
	RefreshIdleTTL, RefreshTTL time.Duration
	// BrowserRememberTTL is zero if nobody is asked whether to stay logged in.
	BrowserSessionTTL, BrowserRememberTTL time.Duration
	// AccountDeletionGrace is zero if users delete their accounts at once.
	AccountDeletionGrace time.Duration
	// RetryWindow is that of F2.
	RetryWindow clients.RetryWindow

	PasswordMinLength int
	Argon2Memory      uint32
	Argon2Time        uint32
	Argon2Threads     uint8
	PepperFile        string
	// HashConcurrency is at least 1.
	HashConcurrency int

	PasswordGrant bool
	Signup        bool
	// DPoPNonce asks for a nonce in every DPoP proof.
	DPoPNonce bool
	// RequireSecondFactor are the roles whose users need a second factor; "*" is everybody.
	RequireSecondFactor []string
	// LoginThrottle is U4.
	LoginThrottle bool
	// CORSOrigins are as a browser writes them in the header Origin.
	CORSOrigins        []string
	FirstPartyClient   string
	ClientJWKSNetworks []netip.Prefix

	// The pages' brand: what is empty is left out.
	PageName, PageLogoFile, PageColor, PageDarkColor string
	PagePrivacyURL, PageTermsURL, PageSupportURL     string
	// PageMessagesDir has further files of messages.
	PageMessagesDir string

	// Mail tells whether there is any.
	MailHost                              string
	MailPort                              int
	MailSecurity                          string
	MailUsername, MailPasswordFile        string
	MailFrom                              string
	MailWebhookURL, MailWebhookSecretFile string
	MailLanguage, MailTemplatesDir        string
	MailNotices                           string

	sources map[string]Source
}
