package keys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
)

// start reads the keys for a command and makes the changes that are due, so that
// the command acts on keys in good order.
func (k *Keeper) start(ctx context.Context) (book, error) {
	b, err := k.read(ctx)
	if err != nil {
		return b, err
	}
	if err := b.check(); err != nil {
		return b, err
	}
	b, err = k.perform(ctx, b)
	k.book = b
	return b, err
}

// refuse records that a command was refused and returns the reason.
func (k *Keeper) refuse(ctx context.Context, e audit.Event, reason audit.Reason, why error) error {
	e.Outcome, e.Reason = audit.Failure, reason
	if err := k.audit.Record(ctx, e); err != nil {
		return errors.Join(why, fmt.Errorf("recording the refusal: %w", err))
	}
	return why
}

func find(records []Record, kid string) int {
	return slices.IndexFunc(records, func(r Record) bool { return r.KID == kid })
}

// createAhead creates the keys that a key's ring will need once change is made
// to that key. It is called before change is made.
func (k *Keeper) createAhead(ctx context.Context, b book, kid string, change func(*Record)) (book, error) {
	ring := b.records[find(b.records, kid)].ring()
	// At most two keys are missing: one to sign and one standby.
	var owed error
	for range 2 {
		v := k.foresee(b, kid, change)
		i := slices.IndexFunc(v.Duties, func(d duty) bool {
			return d.Ring == ring && (d.Kind == createFirst || d.Kind == createStandby)
		})
		var d duty
		if i >= 0 {
			d = v.Duties[i]
		} else if _, ok := v.signingKey(ring); !ok && ring == mainRing {
			d = duty{Kind: createFirst}
		} else {
			break
		}
		next, err := k.create(ctx, b, d)
		if err != nil && !errors.Is(err, decision.ErrOwed) {
			return b, err
		}
		b, owed = next, cmp.Or(owed, err)
	}
	return b, owed
}

// foresee returns the view of the keys with change made, and with the promotion
// that follows from it.
func (k *Keeper) foresee(b book, kid string, change func(*Record)) view {
	records := slices.Clone(b.records)
	change(&records[find(records, kid)])
	now := k.clock()
	v := newView(records, k.policy, now, b.material.unusable)
	for _, d := range v.Duties {
		if d.Kind == promoteStandby {
			records[find(records, d.KID)].ActivateAt = d.At
			return newView(records, k.policy, now, b.material.unusable)
		}
	}
	return v
}

// Look reads the keys once and fills the ring, but makes none of the changes
// that are due. It is for commands that only sign.
func (k *Keeper) Look(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	b, err := k.read(ctx)
	if err != nil {
		return err
	}
	k.ring.fill(b, k.clock())
	return b.check()
}

// List returns the keys that are not archived, by Seq.
func (k *Keeper) List(ctx context.Context) ([]Info, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	b, err := k.read(ctx)
	if err != nil {
		return nil, err
	}
	unusable := b.material.unusable
	if b.check() != nil {
		// The master keys are the wrong ones; the records can be read without
		// them.
		unusable = nil
	}
	v := newView(b.records, k.policy, k.clock(), unusable)
	list := make([]Info, 0, len(v.Keys))
	for _, key := range v.Keys {
		info := newInfo(key, k.vault)
		if why := b.material.unusable[key.KID]; why != nil {
			info.Problem = why.Error()
		}
		list = append(list, info)
	}
	return list, nil
}
