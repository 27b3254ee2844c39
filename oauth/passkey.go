package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/factors"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/users"
)

// passkeyTTL is how long a passkey may answer a challenge.
const passkeyTTL = factors.PasskeyTimeout * time.Millisecond

// ceremony is the question to a passkey that a challenge asks. What the passkey signs is
// the hash of the challenge as it was sealed, which nobody else can make.
func (s *Service) ceremony(sealed string, c challenge) factors.Ceremony {
	sum := sha256.Sum256([]byte(sealed))
	return factors.Ceremony{RelyingParty: s.relyingParty, Challenge: sum[:], Alone: c.UserID == ""}
}

// HasPasskeys reports whether the deployment can have passkeys.
func (s *Service) HasPasskeys() bool { return s.relyingParty.ID != "" }

// AskPasskey begins a log-in by a passkey alone, of whomever, to the client, or to the
// page if it is empty. It returns the options for the browser, nil where there are no
// passkeys.
func (s *Service) AskPasskey(clientID string) (sealed string, options json.RawMessage) {
	if !s.HasPasskeys() {
		return "", nil
	}
	c := challenge{SessionID: uuid.NewString(), ClientID: clientID, Expires: s.families.latest().Add(challengeTTL).UnixMilli()}
	sealed = s.families.challenges.seal(c)
	return sealed, s.ceremony(sealed, c).Request(factors.Set{})
}

// enrolPasskey adds the passkey that answers a challenge to the account of a user.
func (s *Service) enrolPasskey(ctx context.Context, c challenge, user users.User, a FactorAnswer) (methods string, recovery []string, err error) {
	if s.tooLate(c) {
		return "", nil, refusal.New(refusal.BadChallenge, audit.ReasonBadChallenge, "")
	}
	f, recovery, err := s.users.EnrolPasskey(ctx, user, c.Factor, a.Name, s.ceremony(a.Challenge, c), a.Passkey)
	return "pwd " + f.Methods(), recovery, err
}

// tooLate reports whether a challenge is older than a passkey may answer it.
func (s *Service) tooLate(c challenge) bool {
	return s.families.latest().UnixMilli() >= c.Expires-(challengeTTL-passkeyTTL).Milliseconds()
}

// answerAlone is answerChallenge for a log-in by a passkey alone. An account that is not
// there is refused as one whose passkey is another, and costs the same (U1).
func (s *Service) answerAlone(ctx context.Context, c challenge, a FactorAnswer, event *audit.Event) (answered, *refusal.Error) {
	assertion := factors.ParseAssertion(a.Passkey)
	user, err := s.users.ByID(ctx, assertion.UserID())
	if err != nil && !errors.Is(err, users.ErrNotFound) {
		return answered{}, refusal.Undecided(audit.ReasonStore, err)
	}
	event.UserID, event.UserEmail = user.UID, user.Email
	methods, err := s.usePasskey(ctx, c, user, a, assertion, event)
	return answered{user: user, methods: methods}, refusalOf(err)
}

// usePasskey judges an assertion for the log-in of a user, and returns what it proved.
func (s *Service) usePasskey(ctx context.Context, c challenge, user users.User, a FactorAnswer, assertion factors.Assertion, event *audit.Event) (string, error) {
	if s.tooLate(c) {
		return "", refusal.New(refusal.BadChallenge, audit.ReasonBadChallenge, "")
	}
	f, err := s.users.UsePasskey(ctx, user, s.ceremony(a.Challenge, c), assertion)
	if err != nil && refusal.Of(err).Reason == audit.ReasonClonedPasskey {
		event.Action, event.Detail = audit.FactorCloned, string(f.Kind)+" "+f.ID
	}
	return f.Methods(), err
}
