package oauth

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/strictjson"
	"github.com/keyturn/keyturn/users"
)

// Family is one session, from a login through its refreshes. Its live refresh
// token is not stored but derived (see refreshtoken.go), so that a reader of the
// store cannot present one (F4).
type Family struct {
	// ID is a UUID. It is the sid of the family's access tokens.
	ID string
	// Client, user, scope and audience never change (F7).
	ClientID string
	UserID   string
	Scope    []string
	Audience []string
	// Email is the user's address if the scope email was granted.
	Email string
	// Claims are further claims about the user for tokens, as far as the client's
	// registration allows: a JSON object, or empty. They follow the account while
	// the family is live.
	Claims string
	// JKT is the thumbprint (RFC 7638) of the key that each refresh must prove
	// (F8), or empty. It never changes.
	JKT string
	// LoginID is the browser's log-in with which the family ends when its user logs
	// out, or empty. It never changes.
	LoginID string
	// TellEnd says that the client is to be told when the family ends (OpenID Connect
	// Back-Channel Logout 1.0), and was not yet.
	TellEnd bool
	// Factor is what the user proved at the log-in, as RFC 8176 has it, but for "mfa", or
	// empty if the password alone; "otp" stands beside the password.
	Factor string
	// Authenticated says that the client authenticated when the family began, as it
	// must then at each refresh. It never changes.
	Authenticated bool
	// Salt enters the derivation of the family's tokens. MasterID names the
	// master secret for the token of the live generation.
	Salt     []byte
	MasterID string
	// Generation counts the refreshes; the live token contains it. RotatedAt is
	// when it last grew, at first the time of the login.
	Generation int64
	RotatedAt  time.Time
	// AuthTime is when the user's password was checked.
	AuthTime  time.Time
	CreatedAt time.Time
	// IdleExpiresAt advances with every refresh. ExpiresAt never does; it is earlier
	// after one if the clock that wrote it was ahead (T1).
	IdleExpiresAt time.Time
	ExpiresAt     time.Time
	// PurgeAt is when the record may be removed: after the expiry of every access
	// token of the family.
	PurgeAt time.Time
	// Where the family began and where it was last used.
	FirstIP, FirstUserAgent string
	LastIP, LastUserAgent   string
	// RevokedAt is zero while the family is live. RevokeReason says why it was
	// ended.
	RevokedAt    time.Time
	RevokeReason string
	// Held is the family's state of decisions. Only HeldFamily and
	// PendingFamilies of a Store set it.
	decision.Held
}

// emailVerified reports whether the user's address was confirmed.
func (f Family) emailVerified() bool {
	var said map[string]json.RawMessage
	err := strictjson.Unmarshal([]byte(f.Claims), &said)
	return err == nil && string(said[users.VerifiedClaim]) == "true"
}

// lives reports whether the family has neither ended nor expired at now.
func (f Family) lives(now time.Time) bool {
	return f.RevokedAt.IsZero() && now.Before(f.ExpiresAt) && now.Before(f.IdleExpiresAt)
}

// root is the id by which the families of a browser's log-in name it. A log-in that
// takes the place of the same user's has that one's.
func (f Family) root() string { return cmp.Or(f.LoginID, f.ID) }

// Rotation advances a family by one generation.
type Rotation struct {
	// Presented is the generation of the presented token. The family advances to
	// Presented+1.
	Presented int64
	// MasterID names the master secret of the new generation's token.
	MasterID string
	// At is the current time. IdleExpiresAt and PurgeAt are the family's new ones, and
	// so is ExpiresAt unless it is zero.
	At            time.Time
	IdleExpiresAt time.Time
	PurgeAt       time.Time
	ExpiresAt     time.Time
	// IP and UserAgent become LastIP and LastUserAgent.
	IP, UserAgent string
	// Spends is added to the denylist with the rotation, as by DenyToken, unless
	// it has no JTI.
	Spends DeniedToken
	// Stays says that the family stays as it is, and only Spends is done.
	Stays bool
}

// Apply returns f after the rotation.
func (r Rotation) Apply(f Family) Family {
	if r.Stays {
		return f
	}
	f.Generation, f.RotatedAt, f.MasterID = r.Presented+1, r.At, r.MasterID
	f.IdleExpiresAt, f.PurgeAt = r.IdleExpiresAt, r.PurgeAt
	if !r.ExpiresAt.IsZero() {
		f.ExpiresAt = r.ExpiresAt
	}
	f.LastIP, f.LastUserAgent = r.IP, r.UserAgent
	return f
}

// Decide decides a refresh. It gets the family of the presented token and the
// client that presents it, each as the zero value if there is none. It returns a
// rotation, or nil to leave the family as it is, or an error to refuse, with a rotation
// that stays if the refusal too is to spend what the request brought. A store
// may call it more than once, and in a goroutine that others wait for: it must be
// quick and have no side effects.
type Decide func(f Family, by clients.Client) (*Rotation, error)
