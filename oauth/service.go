// Package oauth is the authorization server proper: the token, revocation,
// introspection and userinfo endpoints, the grants, the clients, and the
// refresh-token families.
package oauth

import (
	"context"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/users"
)

// Settings are the deployment's, as the operator chose them.
type Settings struct {
	// Issuer is the iss of every token, TokenEndpoint the URL of the token
	// endpoint: the two audiences that a client assertion may have.
	Issuer        string
	TokenEndpoint string
	// ClockSkew is how far a client's clock may be off.
	ClockSkew time.Duration
	// AccessTTL is the life of an access token; a client's own may be
	// shorter.
	AccessTTL time.Duration
	// RefreshIdleTTL and RefreshTTL are how long a session lives since its
	// last use and in all; a client's own count instead.
	RefreshIdleTTL time.Duration
	RefreshTTL     time.Duration
	// RetryWindow is how long the token just spent may be presented again
	// (F2). Zero is strict: any second presentation is reuse.
	RetryWindow time.Duration
	// PasswordGrant switches the password grant for the whole deployment.
	PasswordGrant bool
	// FirstPartyClient is the client that the /auth routes act for.
	FirstPartyClient string
}

// Service answers the OAuth endpoints and the first-party routes. Safe for
// concurrent use.
type Service struct {
	store    Store
	families *Families
	users    *users.Service
	ring     *keys.Ring
	audit    audit.Recorder
	settings Settings
	onError  func(context.Context, error)
	now      func() time.Time

	clientKeys *ClientKeys
}

// Options are the parts of a Service; every one is needed.
type Options struct {
	Store    Store
	Families *Families
	// ClientKeys finds the keys of clients that have some.
	ClientKeys *ClientKeys
	Users      *users.Service
	Ring       *keys.Ring
	Audit      audit.Recorder
	Settings   Settings
	// OnError takes what went wrong inside and is not for the caller's eyes.
	OnError func(context.Context, error)
	Now     func() time.Time
}

// NewService puts a Service together.
func NewService(o Options) *Service {
	return &Service{
		store: o.Store, families: o.Families, users: o.Users, ring: o.Ring, audit: o.Audit,
		settings: o.Settings, onError: o.OnError, now: o.Now, clientKeys: o.ClientKeys,
	}
}

// record writes the one event of a decision, also for a caller that hung up or
// whose time is over (A1). If it cannot, the decision must not stand (A3): the
// caller answers with the error returned.
func (s *Service) record(ctx context.Context, e audit.Event) *refusal.Error {
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	if err := s.audit.Record(ctx, e); err != nil {
		failure := refusal.Undecided(audit.ReasonUnavailable, err)
		s.report(ctx, failure)
		return failure
	}
	return nil
}

// conclude writes the one event of a decision that ended in e, or well where e
// is nil, and returns what the caller is to be told. An event with an ID was
// written when the decision was carried out.
func (s *Service) conclude(ctx context.Context, event audit.Event, e *refusal.Error) *refusal.Error {
	event.Outcome = audit.Success
	if e != nil {
		s.report(ctx, e)
		event.Outcome, event.Reason = audit.Failure, e.Reason
	}
	if event.ID != "" || e != nil && decision.Concluded(e.Cause) {
		return e
	}
	if e != nil {
		event.ID = decision.IDOf(e.Cause)
	}
	if failure := s.record(ctx, event); failure != nil {
		return failure
	}
	return e
}

// report hands what callers may not see to the operational log.
func (s *Service) report(ctx context.Context, e *refusal.Error) {
	if e.Cause != nil {
		s.onError(ctx, e)
	}
}
