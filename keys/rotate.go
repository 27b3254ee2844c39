package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
)

// errTurnScheduled means that the standby is already scheduled for the earliest time
// allowed.
var errTurnScheduled = errors.New("no key can sign sooner than scheduled")

// Rotate lets the standby of an algorithm, or of the default if alg is empty, sign as
// soon as K1 allows: at once if it has been published for the lead, otherwise when it
// will have been. It first publishes the next standby (K2). It returns the key that
// will sign. If that key is scheduled as early already, Rotate changes nothing and
// returns an error.
//
// A turn without its event does not take effect (A3). Replicas read of the turn
// within one poll.
func (k *Keeper) Rotate(ctx context.Context, alg string) (Record, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	event := audit.Event{Action: audit.KeyRotated, Outcome: audit.Success}
	for range maxConflicts {
		r, err := k.rotateOnce(ctx, alg, event)
		if !isConflict(err) {
			return r, err
		}
	}
	return Record{}, errors.New("the signing keys kept changing; try again")
}

func (k *Keeper) rotateOnce(ctx context.Context, alg string, event audit.Event) (Record, error) {
	b, err := k.start(ctx)
	if err != nil {
		return Record{}, err
	}
	now := k.clock()
	v := newView(b.records, k.policy, now, b.material.unusable)
	standby, ok := nextStandby(v, v.ringFor(alg), b.material)
	if !ok {
		return Record{}, fmt.Errorf("there is no standby key %sthat could sign", forAlg(alg))
	}
	event.KeyID = standby.KID
	at := later(now, standby.CreatedAt.Add(leadFor(older(b.records, &standby.Record), k.policy)))
	if !at.Before(standby.ActivateAt) {
		return Record{}, k.refuse(ctx, event, audit.ReasonAlreadyScheduled, fmt.Errorf("%w: key %s signs from %s on",
			errTurnScheduled, standby.KID, standby.ActivateAt.UTC().Format(time.RFC3339Nano)))
	}
	turn := func(r *Record) { r.ActivateAt = at }
	b, err = k.createAhead(ctx, b, standby.KID, turn)
	if err != nil {
		return Record{}, err
	}
	event.Detail = "signs from " + at.Format(time.RFC3339Nano)
	b, err = k.decide(ctx, b, standby.KID, turn, event)
	switch {
	case isConflict(err) || decision.Concluded(err):
		return Record{}, err
	case err != nil:
		event.Detail, event.ID = "", decision.IDOf(err)
		return Record{}, k.refuse(ctx, event, audit.ReasonStoreError, err)
	}
	k.book = b
	return b.records[find(b.records, standby.KID)], nil
}

func forAlg(alg string) string {
	if alg == "" {
		return ""
	}
	return "for " + alg + " "
}

// ringFor returns the number of the ring that signs for alg: the main ring if alg is
// empty or the main ring's algorithm.
func (v *view) ringFor(alg string) int {
	if main, _ := v.signingKey(mainRing); alg == "" || alg == main.Alg {
		return mainRing
	}
	return besideRing(alg)
}

// nextStandby returns the usable standby of a ring that signs next. After a
// revocation that is the key that answers it, not the one created before.
func nextStandby(v view, ring int, m *material) (next keyView, ok bool) {
	signing, _ := v.signingKey(ring)
	for _, key := range v.Keys {
		if key.ring() == ring && key.Seq >= signing.Seq && key.State == Standby && m.signers[key.KID] != nil &&
			(!ok || !key.ActivateAt.After(next.ActivateAt)) {
			next, ok = key, true
		}
	}
	return next, ok
}
