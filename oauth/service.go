// Package oauth is the authorization server proper, which is one idea because
// its endpoints and its grants all decide over the same refresh-token families.
package oauth

import (
	"context"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/dpop"
	"github.com/keyturn/keyturn/internal/factors"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/users"
)

// Settings are the deployment's, as the operator chose them.
type Settings struct {
	// Issuer is the iss of every token, TokenEndpoint the URL of the token
	// endpoint: the two audiences that a client assertion may have.
	Issuer        string
	TokenEndpoint string
	// Name is what people know the deployment by.
	Name string
	// ClockSkew is how far a client's clock may be off.
	ClockSkew time.Duration
	// AccessTTL is the life of an access token; a client's own may be
	// shorter.
	AccessTTL time.Duration
	// RefreshIdleTTL and RefreshTTL are how long a session lives since its
	// last use and in all; a client's own count instead.
	RefreshIdleTTL time.Duration
	RefreshTTL     time.Duration
	// BrowserTTL is how long a browser's log-in at the page lives, RememberTTL one that
	// is to be remembered.
	BrowserTTL, RememberTTL time.Duration
	// RetryWindow is how long the token just spent may be presented again; a
	// client's own counts instead.
	RetryWindow clients.RetryWindow
	// PasswordGrant switches the password grant for the whole deployment.
	PasswordGrant bool
	// RequireFactor are the roles whose users need a second factor; "*" is everybody.
	RequireFactor []string
	// FirstPartyClient is the client that the /auth routes act for.
	FirstPartyClient string
}

// Service answers the OAuth endpoints and the first-party routes. Safe for
// concurrent use.
type Service struct {
	// Recorder has the one way in which a decision ends.
	decision.Recorder

	store    Store
	families *Families
	users    *users.Service
	ring     *keys.Ring
	settings Settings
	now      func() time.Time
	// relyingParty is whom passkeys are made for.
	relyingParty factors.RelyingParty

	clients *clients.Authenticator
	proofs  *dpop.Checker
}

// Options are the parts of a Service; every one is needed.
type Options struct {
	Store    Store
	Families *Families
	// ClientKeys finds the keys of clients that have some.
	ClientKeys *clients.Keys
	// Proofs judges DPoP proofs.
	Proofs   *dpop.Checker
	Users    *users.Service
	Ring     *keys.Ring
	Audit    audit.Recorder
	Settings Settings
	// OnError takes what went wrong inside and is not for the caller's eyes.
	OnError func(context.Context, error)
	Now     func() time.Time
}

// NewService puts a Service together.
func NewService(o Options) *Service {
	s := &Service{
		Recorder: decision.Recorder{Audit: o.Audit, OnError: o.OnError},
		store:    o.Store, families: o.Families, users: o.Users, ring: o.Ring,
		settings: o.Settings, now: o.Now, proofs: o.Proofs, relyingParty: factors.RelyingPartyOf(o.Settings.Issuer, o.Settings.Name),
	}
	s.clients = &clients.Authenticator{
		Store: o.Store, Keys: o.ClientKeys, Spend: s.spend, Issuer: o.Settings.Issuer, TokenEndpoint: o.Settings.TokenEndpoint,
		ClockSkew: o.Settings.ClockSkew, Now: o.Now,
	}
	return s
}
