package keys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

const (
	// maxDuties bounds what one poll does; the next goes on.
	maxDuties = 64
	// maxConflicts bounds how often it starts over because another replica
	// was faster.
	maxConflicts = 8
)

// perform does what is due and returns the records as they then are. That
// another replica has done it already is no error.
func (k *Keeper) perform(ctx context.Context, b book) (book, error) {
	conflicts := 0
	for range maxDuties {
		d, ok := k.due(b)
		if !ok {
			return b, nil
		}
		next, err := k.do(ctx, b, d)
		if isConflict(err) && conflicts < maxConflicts {
			conflicts++
			next, err = k.read(ctx)
		}
		if err != nil {
			return b, err
		}
		b = next
	}
	return b, nil
}

// due returns the first duty whose time has come.
func (k *Keeper) due(b book) (duty, bool) {
	if d, ok := k.lateDuty(b.records); ok {
		return d, true
	}
	v := newView(b.records, k.policy, k.clock(), b.material.unusable)
	for _, d := range v.Duties {
		if k.ripe(d, &v) {
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
		return k.update(ctx, b, d.KID, func(r *Record) { r.ActivateAt = d.At }, "")
	case end:
		return k.update(ctx, b, d.KID, func(r *Record) { r.EndAt = d.At }, "")
	case raise:
		return k.update(ctx, b, d.KID, func(r *Record) {
			r.TokenTTL, r.Margin = max(r.TokenTTL, k.policy.TokenTTL), max(r.Margin, k.policy.margin())
		}, "")
	case erase:
		return k.erase(ctx, b, d.KID)
	case archive:
		return k.update(ctx, b, d.KID, func(r *Record) { r.Archived = true }, audit.KeyArchived)
	}
	return b, fmt.Errorf("unknown duty %q", d.Kind)
}

// create makes a key, stores it and records that. The returned book holds the
// key only once the event is written, so that it is not published here before.
func (k *Keeper) create(ctx context.Context, b book, d duty) (book, error) {
	r, v, s, err := newRecord(ctx, k.policy.ringAlg(d.Ring), k.vault)
	if err != nil {
		return b, fmt.Errorf("making a signing key: %w", err)
	}
	// Making an RSA key can take a second: the clock is read after that.
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
	if err := k.store.CreateKey(ctx, r); err != nil {
		if !isConflict(err) {
			k.owe(event, false)
		}
		return b, fmt.Errorf("storing key %s: %w", r.KID, err)
	}
	if err := k.record(ctx, event); err != nil {
		return b, err
	}
	empty := !slices.ContainsFunc(b.records, func(other Record) bool { return !other.Beside() })
	b.records = append(slices.Clone(b.records), r)
	slices.SortFunc(b.records, func(a, b Record) int { return cmp.Compare(a.Seq, b.Seq) })
	b.material = b.material.with(v, s)
	switch {
	case d.Kind != createFirst:
		return k.putOff(ctx, b, r)
	case empty:
		return k.beginTogether(ctx, b, now)
	}
	return b, nil
}

// beginTogether lets the first keys of the other rings sign at once that this
// replica knew when it made the first key of a store. Nobody served before that key
// was there, so whoever serves has read the others too.
func (k *Keeper) beginTogether(ctx context.Context, b book, now time.Time) (book, error) {
	for _, r := range slices.Clone(b.records) {
		if !r.Beside() || r.Seq%ringSpan > 0 || r.revoked() {
			continue
		}
		next, err := k.update(ctx, b, r.KID, func(r *Record) { r.ActivateAt = later(r.CreatedAt, now) }, "")
		if err != nil {
			return b, err
		}
		b = next
	}
	return b, nil
}

// putOff keeps K1 when the write that published the key took longer than the
// clock skew covers: others could not read it before the write ended.
func (k *Keeper) putOff(ctx context.Context, b book, r Record) (book, error) {
	if k.clock().Sub(r.CreatedAt) <= k.policy.Skew {
		return b, nil
	}
	return k.publishedNow(ctx, b, r.KID)
}

// erase destroys a private half where the vault keeps it, then in the record.
func (k *Keeper) erase(ctx context.Context, b book, kid string) (book, error) {
	if i := find(b.records, kid); i >= 0 {
		if err := k.vault.Destroy(ctx, b.records[i].Sealed); err != nil {
			return b, fmt.Errorf("destroying the private half of key %s: %w", kid, err)
		}
	}
	return k.update(ctx, b, kid, func(r *Record) { r.Sealed = nil }, audit.KeyErased)
}

// publishedNow writes down that a key was published no earlier than now.
func (k *Keeper) publishedNow(ctx context.Context, b book, kid string) (book, error) {
	now := k.clock()
	return k.update(ctx, b, kid, func(r *Record) {
		lead := leadFor(older(b.records, r), k.policy)
		r.CreatedAt, r.ActivateAt = now, later(r.ActivateAt, now.Add(lead))
	}, "")
}

// update changes one record. If event is not empty it is recorded once the
// write has been won.
func (k *Keeper) update(ctx context.Context, b book, kid string, change func(*Record), event audit.Action) (book, error) {
	i := find(b.records, kid)
	if i < 0 {
		return b, fmt.Errorf("key %s: %w", kid, ErrNoKey)
	}
	r := b.records[i]
	change(&r)
	e := audit.Event{Action: event, Outcome: audit.Success, KeyID: kid}
	if err := k.store.UpdateKey(ctx, r); err != nil {
		if event != "" && !isConflict(err) {
			k.owe(e, false)
		}
		return b, fmt.Errorf("storing key %s: %w", kid, err)
	}
	r.Version++
	b.records = slices.Clone(b.records)
	if r.Archived {
		b.records = slices.Delete(b.records, i, i+1)
	} else {
		b.records[i] = r
	}
	b.material = k.open(ctx, b.records, b.material)
	if event == "" {
		return b, nil
	}
	return b, k.record(ctx, e)
}

// owedEvent is an event that could not be recorded, or whose write may or may
// not have been done.
type owedEvent struct {
	event audit.Event
	sure  bool
}

func (k *Keeper) owe(e audit.Event, sure bool) {
	k.owed = append(k.owed, owedEvent{e, sure})
}

// record writes the event of a change that the store has taken. If that fails
// the change stands, as other replicas already act on it; the event is owed and
// every poll tries again.
func (k *Keeper) record(ctx context.Context, e audit.Event) error {
	if err := k.audit.Record(ctx, e); err != nil {
		k.owe(e, true)
		return fmt.Errorf("recording %s of key %s, which stands: %w", e.Action, e.KeyID, err)
	}
	return nil
}

// recordOwed records what is owed. An event whose write was in doubt is recorded if
// the records show the change, and dropped if they do not.
func (k *Keeper) recordOwed(ctx context.Context, records []Record) error {
	owed := k.owed
	k.owed = nil
	var errs []error
	for _, o := range owed {
		if o.sure || shows(records, o.event) {
			errs = append(errs, k.record(ctx, o.event))
		}
	}
	return errors.Join(errs...)
}

func shows(records []Record, e audit.Event) bool {
	i := find(records, e.KeyID)
	switch e.Action {
	case audit.KeyCreated:
		return i >= 0
	case audit.KeyErased:
		return i >= 0 && len(records[i].Sealed) == 0
	case audit.KeyArchived:
		return i < 0
	}
	return false
}

// announce records that this replica signs with another key of a ring than before.
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
