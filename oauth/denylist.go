package oauth

import (
	"context"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/refusal"
)

// DeniedToken is one entry of the denylist: an access token that was revoked, or
// a client assertion that was used.
type DeniedToken struct {
	JTI string
	// ExpireAt is when the entry may be removed, unless it holds a decision.
	ExpireAt time.Time
	// Held has the event of a revocation until it is written: the SlotID and the
	// Slot, no more.
	decision.Held
}

// denials carries out the revocation of access tokens, each the birth of an entry.
func denials(store Store, rec audit.Recorder, now func() time.Time) *decision.Maker[DeniedToken] {
	return &decision.Maker[DeniedToken]{Audit: rec, Now: now, Records: decision.Records[DeniedToken]{
		Held:     func(d *DeniedToken) *decision.Held { return &d.Held },
		Create:   store.DenyToken,
		Read:     func(ctx context.Context, d DeniedToken) (DeniedToken, error) { return store.HeldDenied(ctx, d.JTI) },
		Replace:  store.HoldDenied,
		Pending:  store.PendingDenied,
		Refused:  refusal.Among(ErrTokenDenied, ErrDeniedChanged),
		Conflict: ErrDeniedChanged,
		Same:     func(_, _ DeniedToken) bool { return true }, // but for the slot it never changes
	}}
}
