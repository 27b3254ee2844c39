package oauth

import (
	"context"
	"errors"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/refusal"
)

// DeniedToken is an entry of the denylist: a revoked access token, or a used
// client assertion.
type DeniedToken struct {
	JTI string
	// ExpireAt is when the entry may be removed, unless it has a decision.
	ExpireAt time.Time
	// Held contains the event of a revocation until it is written. Only SlotID and
	// Slot are used.
	decision.Held
}

// denials returns the Maker for revocations of access tokens, each of which
// creates an entry.
func denials(store Store, rec audit.Recorder, now func() time.Time) *decision.Maker[DeniedToken] {
	return &decision.Maker[DeniedToken]{Audit: rec, Now: now, Records: decision.Records[DeniedToken]{
		Held:     func(d *DeniedToken) *decision.Held { return &d.Held },
		Create:   store.DenyToken,
		Read:     func(ctx context.Context, d DeniedToken) (DeniedToken, error) { return store.HeldDenied(ctx, d.JTI) },
		Replace:  store.HoldDenied,
		Pending:  store.PendingDenied,
		Refused:  refusal.Among(ErrTokenDenied, ErrDeniedChanged),
		Conflict: ErrDeniedChanged,
		Same:     func(_, _ DeniedToken) bool { return true }, // only the slot ever changes
	}}
}

// spend puts an id on the denylist until then, and reports whether it was not there.
func (s *Service) spend(ctx context.Context, id string, until time.Time) (bool, error) {
	err := s.store.DenyToken(ctx, DeniedToken{JTI: id, ExpireAt: until.Add(purgeGrace)})
	if errors.Is(err, ErrTokenDenied) {
		return false, nil
	}
	return err == nil, err
}
