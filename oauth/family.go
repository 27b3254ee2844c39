package oauth

import (
	"time"

	"github.com/keyturn/keyturn/internal/decision"
)

// Family is one session: what a login started and refreshes carry on. Its live
// refresh token is not stored but derived (see refreshtoken.go), so that nobody
// who reads the store can present one (F4).
type Family struct {
	// ID is a UUID; the sid of the family's access tokens.
	ID string
	// Client, user, scope and audience are bound for life (F7).
	ClientID string
	UserID   string
	Scope    []string
	Audience []string
	// Email is the user's address if the scope email was granted.
	Email string
	// Claims are what tokens may say of the user beyond that, as far as the
	// client's registration says: a JSON object, or empty. They follow the
	// account while the family lives.
	Claims string
	// JKT is the thumbprint (RFC 7638) of the key that each refresh has to prove
	// (F8), bound for life; empty if there is none.
	JKT string
	// Salt enters the derivation of the family's tokens; MasterID names the
	// master secret that the token of the live generation is derived under.
	Salt     []byte
	MasterID string
	// Generation counts the refreshes; the live token bears it. RotatedAt is
	// when it last grew (at first: the login).
	Generation int64
	RotatedAt  time.Time
	// AuthTime is when the user's password was checked.
	AuthTime  time.Time
	CreatedAt time.Time
	// IdleExpiresAt moves with every refresh, ExpiresAt never does.
	IdleExpiresAt time.Time
	ExpiresAt     time.Time
	// PurgeAt is when the record may be removed: later than the expiry of
	// every access token issued from it.
	PurgeAt time.Time
	// Where it began and where it was last used.
	FirstIP, FirstUserAgent string
	LastIP, LastUserAgent   string
	// RevokedAt is zero while the family is alive; RevokeReason says why it
	// was ended.
	RevokedAt    time.Time
	RevokeReason string
	// Held is what the family holds for the decisions on it. Only HeldFamily and
	// PendingFamilies of a Store fill it in.
	decision.Held
}

// lives reports whether the family has neither ended nor expired at now.
func (f Family) lives(now time.Time) bool {
	return f.RevokedAt.IsZero() && now.Before(f.ExpiresAt) && now.Before(f.IdleExpiresAt)
}

// Rotation moves a family on by one generation.
type Rotation struct {
	// Presented is the generation of the token that was presented. The
	// family moves to Presented+1.
	Presented int64
	// MasterID names the master secret of the new generation's token.
	MasterID string
	// At is now; IdleExpiresAt and PurgeAt the family's new ones.
	At            time.Time
	IdleExpiresAt time.Time
	PurgeAt       time.Time
	// IP and UserAgent become LastIP and LastUserAgent.
	IP, UserAgent string
	// Spends goes on the denylist beside the rotation, as by DenyToken; without a
	// JTI nothing does.
	Spends DeniedToken
}

// Apply returns what the rotation makes of f.
func (r Rotation) Apply(f Family) Family {
	f.Generation, f.RotatedAt, f.MasterID = r.Presented+1, r.At, r.MasterID
	f.IdleExpiresAt, f.PurgeAt = r.IdleExpiresAt, r.PurgeAt
	f.LastIP, f.LastUserAgent = r.IP, r.UserAgent
	return f
}

// Decide judges a refresh: it is shown the family whose token was presented
// and the client that presents it, each as its zero value where there is none,
// and returns what becomes of the family: a rotation, or nil to leave it, or an
// error to refuse. A store may call it more than once, and in a goroutine that
// others wait for: it must be quick and have no effect of its own.
type Decide func(f Family, by Client) (*Rotation, error)
