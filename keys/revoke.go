package keys

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
)

var (
	errRevoked  = errors.New("key is revoked already")
	errNoReason = errors.New("a reason of 1 to 500 bytes is needed")
)

const maxReason = 500

// Revoke revokes a key: within one poll every replica drops it from the JWKS and
// refuses its tokens, and if it was the signing key the standby signs (K6).
// Revoke first creates the keys that will be missing. It returns ErrNoKey if
// there is no such key; it is also an error if the key is revoked already, or if
// the reason is missing or too long.
//
// The revocation does not wait for its event, because a stolen key must be
// stopped even while the log cannot be written. With decision.ErrOwed the key is
// revoked and only the event is missing.
//
// A second turn follows. Many verifiers fetch the key set again only for an
// unknown kid, and they know the standby. So a key created after the revocation
// signs as soon as K1 allows.
func (k *Keeper) Revoke(ctx context.Context, kid, reason string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	reason = strings.TrimSpace(reason)
	event := audit.Event{Action: audit.KeyRevoked, Outcome: audit.Success, KeyID: kid, Detail: reason}
	if reason == "" || len(reason) > maxReason {
		event.Detail = ""
		return k.refuse(ctx, event, audit.ReasonNoReason, errNoReason)
	}
	var tried time.Time
	for range maxConflicts {
		err := k.revokeOnce(ctx, event, &tried)
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrKeyExists) {
			return err
		}
	}
	return errors.New("the signing keys kept changing; try again")
}

// revokeOnce sets tried to the time of the revocation that it tries.
func (k *Keeper) revokeOnce(ctx context.Context, event audit.Event, tried *time.Time) error {
	b, err := k.read(ctx)
	if err != nil {
		return err
	}
	if err := b.check(); err != nil {
		return err
	}
	i := find(b.records, event.KeyID)
	if i < 0 {
		event.KeyID = fmt.Sprintf("%.64s", event.KeyID)
		return k.refuse(ctx, event, audit.ReasonNoSuchKey, fmt.Errorf("key %q: %w", event.KeyID, ErrNoKey))
	}
	switch r := b.records[i]; {
	case r.revoked() && r.RevokedAt.Equal(*tried) && r.RevokeReason == event.Detail:
		// The write was done, and then repeated and refused for what it had done
		// itself; a replica tells of it, or has done so.
		return k.afterRevoke(ctx, b, event.KeyID)
	case r.revoked():
		return k.refuse(ctx, event, audit.ReasonAlreadyRevoked, fmt.Errorf("key %s: %w", event.KeyID, errRevoked))
	}
	// The time is later than every other revocation, so that no key created
	// before seems to answer this one.
	now := later(k.clock(), lastRevocation(b.records).Add(time.Millisecond))
	*tried = now
	revoke := func(r *Record) { r.RevokedAt, r.RevokeReason = now, event.Detail }
	b, err = k.createAhead(ctx, b, event.KeyID, revoke)
	if isConflict(err) {
		return err
	}
	if v := k.foresee(b, event.KeyID, revoke); err != nil && v.ring(mainRing).signing < 0 {
		return fmt.Errorf("key %s is the last one that can sign, and no other could be made: %w", event.KeyID, err)
	}
	missing := err
	b, err = k.decide(ctx, b, event.KeyID, revoke, event)
	switch {
	case isConflict(err):
		return err
	case err != nil && !errors.Is(err, decision.ErrOwed):
		event.ID = decision.IDOf(err)
		if event.ID != "" {
			err = fmt.Errorf("whether key %s is revoked is not known; see keys list and try again: %w", event.KeyID, err)
		}
		return k.refuse(ctx, event, audit.ReasonStoreError, err)
	}
	return errors.Join(missing, err, k.afterRevoke(ctx, b, event.KeyID))
}

// afterRevoke makes the changes that follow from a revocation. If it fails, the
// replicas make them at their next poll.
func (k *Keeper) afterRevoke(ctx context.Context, b book, kid string) error {
	b, err := k.perform(ctx, b)
	k.book = b
	if err != nil {
		err = fmt.Errorf("key %s is revoked; the server will do the rest: %w", kid, err)
	}
	return err
}
