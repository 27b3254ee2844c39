package oauth

import (
	"time"
)

// Client is a registered OAuth client (RFC 6749 §2).
type Client struct {
	// ID is the client_id.
	ID string
	// Public clients have no secret (RFC 6749 §2.1).
	Public bool
	// SecretHash is the SHA-256 of the secret; nil for public clients. The
	// secret is 256 random bits, so one plain hash keeps it safe.
	SecretHash []byte
	// Grants are the grant types that the client may use.
	Grants []string
	// Scope lists what the client may ask for; Audience the resource servers
	// that its tokens may be for.
	Scope    []string
	Audience []string
	// Lifetimes; zero means the deployment's.
	AccessTTL      time.Duration
	RefreshIdleTTL time.Duration
	RefreshTTL     time.Duration
	// Disabled clients are refused everything.
	Disabled bool
	// Times are UTC with milliseconds.
	CreatedAt time.Time
	UpdatedAt time.Time
}
