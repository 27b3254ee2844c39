package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
)

const (
	// maxDuties bounds the changes of one poll; the next poll goes on.
	maxDuties = 64
	// maxConflicts bounds the retries after another replica wrote first.
	maxConflicts = 8
)

// perform makes the changes that are due and returns the records as they are
// afterwards. It is no error if another replica has made a change already or is
// about to. The error is decision.ErrOwed if a change was made but its event could
// not be written.
func (k *Keeper) perform(ctx context.Context, b book) (book, error) {
	conflicts, left := 0, map[string]bool{}
	var owed error
	for range maxDuties {
		d, ok := k.due(b, left)
		if !ok {
			break
		}
		next, err := k.do(ctx, b, d)
		switch {
		case errors.Is(err, decision.ErrOwed):
			owed = err
		case errors.Is(err, decision.ErrUnderWay):
			left[d.KID] = true
			continue
		case isConflict(err) && conflicts < maxConflicts:
			conflicts++
			if next, err = k.read(ctx); err != nil {
				return b, errors.Join(owed, err)
			}
		case err != nil:
			return b, errors.Join(owed, err)
		}
		b = next
	}
	return b, owed
}

// due returns the first duty whose time has come, except for the keys in left.
func (k *Keeper) due(b book, left map[string]bool) (duty, bool) {
	if d, ok := k.lateDuty(b.records); ok {
		return d, true
	}
	v := newView(b.records, k.policy, k.clock(), b.material.unusable)
	for _, d := range v.Duties {
		if !left[d.KID] && k.ripe(d, &v) {
			return d, true
		}
	}
	return duty{}, false
}

func isConflict(err error) bool {
	return errors.Is(err, ErrKeyExists) || errors.Is(err, ErrConflict) || errors.Is(err, ErrNoKey)
}

func (k *Keeper) do(ctx context.Context, b book, d duty) (book, error) {
	switch d.Kind {
	case createFirst, createStandby, answer:
		return k.create(ctx, b, d)
	case putOff:
		return k.publishedNow(ctx, b, d.KID)
	case postpone, promoteStandby:
		return k.update(ctx, b, d.KID, func(r *Record) { r.ActivateAt = d.At })
	case end:
		return k.update(ctx, b, d.KID, func(r *Record) { r.EndAt = d.At })
	case raise:
		return k.update(ctx, b, d.KID, func(r *Record) {
			r.TokenTTL, r.Margin = max(r.TokenTTL, k.policy.TokenTTL), max(r.Margin, k.policy.margin())
		})
	case erase:
		return k.erase(ctx, b, d.KID)
	case archive:
		event := audit.Event{Action: audit.KeyArchived, Outcome: audit.Success, KeyID: d.KID}
		return k.decide(ctx, b, d.KID, func(r *Record) { r.Archived = true }, event)
	}
	return b, fmt.Errorf("unknown duty %q", d.Kind)
}

// create creates a key and stores it with its event.
func (k *Keeper) create(ctx context.Context, b book, d duty) (book, error) {
	r, v, s, err := newRecord(ctx, k.policy.ringAlg(d.Ring), k.vault)
	if err != nil {
		return b, fmt.Errorf("making a signing key: %w", err)
	}
	// Generating an RSA key can take a second, so the clock is read afterwards.
	now := k.clock()
	r.CreatedAt, r.ActivateAt, r.Version = now, now, 1
	r.TokenTTL, r.Margin, r.Lead = k.policy.TokenTTL, k.policy.margin(), k.policy.Lead
	r.Answers = lastRevocation(b.records)
	reason := audit.ReasonFirstKey
	if d.Kind != createFirst {
		r.ActivateAt = later(d.At, now.Add(leadFor(b.records, k.policy)))
		reason = audit.ReasonStandby
	}
	r.Seq = int64(d.Ring) * ringSpan
	for _, other := range b.records {
		if other.ring() == d.Ring {
			r.Seq = max(r.Seq, other.Seq+1)
		}
	}
	event := audit.Event{Action: audit.KeyCreated, Outcome: audit.Success, Reason: reason, KeyID: r.KID}
	if d.Kind == answer {
		event.Detail = "a key was revoked; signs from " + r.ActivateAt.Format(time.RFC3339Nano)
	}
	empty := !slices.ContainsFunc(b.records, func(other Record) bool { return !other.Beside() })
	_, err = k.maker().Decide(ctx, decision.Change[Record]{Event: event, After: versioned(r)})
	if err != nil && !errors.Is(err, decision.ErrOwed) {
		return b, fmt.Errorf("storing key %s: %w", r.KID, err)
	}
	owed := err
	b.material = b.material.with(v, s)
	k.book = b
	if b, err = k.read(ctx); err != nil {
		return b, errors.Join(owed, err)
	}
	switch {
	case d.Kind != createFirst:
		b, err = k.putOff(ctx, b, r)
	case empty:
		b, err = k.beginTogether(ctx, b, now)
	}
	return b, errors.Join(owed, err)
}

// beginTogether lets the first keys of the other rings that exist when the first key
// of a store is created sign at once. No replica served before that first key
// existed, so every replica that serves has read the others too.
func (k *Keeper) beginTogether(ctx context.Context, b book, now time.Time) (book, error) {
	for _, r := range slices.Clone(b.records) {
		if !r.Beside() || r.Seq%ringSpan > 0 || r.revoked() {
			continue
		}
		next, err := k.update(ctx, b, r.KID, func(r *Record) { r.ActivateAt = later(r.CreatedAt, now) })
		if err != nil {
			return b, err
		}
		b = next
	}
	return b, nil
}

// putOff keeps K1 if the write that published the key took longer than the clock
// skew: other replicas could not read the key before the write ended.
func (k *Keeper) putOff(ctx context.Context, b book, r Record) (book, error) {
	if k.clock().Sub(r.CreatedAt) <= k.policy.Skew {
		return b, nil
	}
	return k.publishedNow(ctx, b, r.KID)
}

// erase destroys a private half in the vault, then in the record.
func (k *Keeper) erase(ctx context.Context, b book, kid string) (book, error) {
	if i := find(b.records, kid); i >= 0 {
		if err := k.vault.Destroy(ctx, b.records[i].Sealed); err != nil {
			return b, fmt.Errorf("destroying the private half of key %s: %w", kid, err)
		}
	}
	event := audit.Event{Action: audit.KeyErased, Outcome: audit.Success, KeyID: kid}
	return k.decide(ctx, b, kid, func(r *Record) { r.Sealed = nil }, event)
}

// publishedNow records that a key was published no earlier than now.
func (k *Keeper) publishedNow(ctx context.Context, b book, kid string) (book, error) {
	now := k.clock()
	return k.update(ctx, b, kid, func(r *Record) {
		lead := leadFor(older(b.records, r), k.policy)
		r.CreatedAt, r.ActivateAt = now, later(r.ActivateAt, now.Add(lead))
	})
}

// update changes one record, without an event.
func (k *Keeper) update(ctx context.Context, b book, kid string, change func(*Record)) (book, error) {
	i := find(b.records, kid)
	if i < 0 {
		return b, fmt.Errorf("key %s: %w", kid, ErrNoKey)
	}
	r := b.records[i]
	change(&r)
	if err := k.store.UpdateKey(ctx, r); err != nil {
		return b, fmt.Errorf("storing key %s: %w", kid, err)
	}
	r.Version++
	b.records = slices.Clone(b.records)
	b.records[i] = r
	b.material = k.open(ctx, b.records, b.material)
	return b, nil
}

// announce records an event for each ring in which this replica has begun to sign
// with another key.
func (k *Keeper) announce(ctx context.Context) error {
	k.turnMu.Lock()
	defer k.turnMu.Unlock()
	s := k.ring.current()
	if s == nil {
		return nil
	}
	var errs []error
	for _, ring := range s.view.rings {
		if ring.signing < 0 {
			continue
		}
		kid := s.view.Keys[ring.signing].KID
		k.count(ring, kid)
		if kid == k.announced[ring.number] {
			continue
		}
		e := audit.Event{Action: audit.KeyActivated, Outcome: audit.Success, KeyID: kid}
		if ring.emergency {
			e.Detail = "emergency"
		}
		if err := k.audit.Record(ctx, e); err != nil {
			errs = append(errs, fmt.Errorf("recording that key %s signs: %w", kid, err))
			continue
		}
		k.announced[ring.number] = kid
	}
	return errors.Join(errs...)
}
