package users

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// Consent is that a user lets a client have a scope.
type Consent struct {
	ClientID string    `json:"client_id" bson:"client_id"`
	Scope    []string  `json:"scope" bson:"scope"`
	GivenAt  time.Time `json:"given_at" bson:"given_at"`
}

// ErrNoConsent means that the user lets the client have nothing.
var ErrNoConsent error = refusal.New(refusal.NotFound, audit.ReasonUnknownConsent, "no such consent")

// ConsentsTo reports whether the user lets the client have all of the scope.
func (u User) ConsentsTo(clientID string, scope []string) bool {
	for _, c := range u.Consents {
		if c.ClientID == clientID {
			return !slices.ContainsFunc(scope, func(s string) bool { return !slices.Contains(c.Scope, s) })
		}
	}
	return false
}

// GiveConsent has the user of the session let the client have the scope, beside what
// it may have already. The error is ErrNotFound, ErrConflict, decision.ErrNotRecorded
// or from the store.
func (s *Service) GiveConsent(ctx context.Context, uid, clientID string, scope []string, session string) error {
	event := audit.Event{Action: audit.ConsentGiven, ClientID: clientID, SessionID: session, Scope: strings.Join(scope, " ")}
	_, _, err := s.change(ctx, event, uid, false, func(u *User, _ *audit.Event) error {
		given := Consent{ClientID: clientID, Scope: slices.Clone(scope), GivenAt: s.now()}
		rest := u.withoutConsent(clientID)
		for _, c := range u.Consents {
			if c.ClientID == clientID {
				given.Scope = append(slices.Clone(c.Scope), slices.DeleteFunc(given.Scope, func(s string) bool { return slices.Contains(c.Scope, s) })...)
			}
		}
		u.Consents = append(rest, given)
		return nil
	})
	return err
}

// WithdrawConsent takes it back and ends the sessions that the user has with the
// client; the reason says who did it. The error is ErrNotFound, ErrNoConsent,
// ErrConflict, decision.ErrOwed (it is withdrawn; only the event is missing),
// decision.ErrUnfinished or from the store.
func (s *Service) WithdrawConsent(ctx context.Context, uid, clientID string, reason audit.Reason) (ended int, err error) {
	event := audit.Event{Action: audit.ConsentWithdrawn, ClientID: clientID, Reason: reason}
	_, e, err := s.change(ctx, event, uid, false, func(u *User, e *audit.Event) error {
		rest := u.withoutConsent(clientID)
		if len(rest) == len(u.Consents) {
			e.ClientID = "" // it is any text that the caller sent
			return ErrNoConsent
		}
		u.Consents = rest
		return nil
	})
	return e.Count, err
}

func (u User) withoutConsent(clientID string) (rest []Consent) {
	for _, c := range u.Consents {
		if c.ClientID != clientID {
			rest = append(rest, c)
		}
	}
	return rest
}
