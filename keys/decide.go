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

// records adapts a Store to package decision. A decision about a key takes effect
// together with its audit event, or the event is owed (A3). Decisions create keys and
// change their start of signing, revocation, private half and archival; none deletes a
// key. Other fields, which the schedule may have changed meanwhile, are left alone.
type records struct {
	store Store
	now   func() time.Time
}

// maker carries out decisions on keys.
func (s records) maker(rec audit.Recorder) *decision.Maker[Record] {
	return &decision.Maker[Record]{Audit: rec, Now: s.now, Records: decision.Records[Record]{
		Held:     func(r *Record) *decision.Held { return &r.Decision },
		Create:   s.create,
		Read:     s.read,
		Replace:  s.replace,
		Pending:  s.pending,
		Refused:  refusedWrite,
		Conflict: ErrConflict,
		Same: func(now, after Record) bool {
			turned := now.ActivateAt.Equal(after.ActivateAt) || !now.ActivateAt.After(s.now())
			return turned && now.RevokedAt.Equal(after.RevokedAt)
		},
	}}
}

func (s records) create(ctx context.Context, r Record) error {
	r.Decision.Version = 0
	return s.store.CreateKey(ctx, r)
}

func (s records) read(ctx context.Context, r Record) (Record, error) {
	all, err := s.store.Keys(ctx)
	if err != nil {
		return Record{}, err
	}
	i := find(all, r.KID)
	if i < 0 {
		return Record{}, fmt.Errorf("key %s: %w", r.KID, ErrNoKey)
	}
	return versioned(all[i]), nil
}

// versioned copies the version of the record to where package decision reads it.
func versioned(r Record) Record {
	r.Decision.Version = r.Version
	return r
}

func (s records) replace(ctx context.Context, seen, next Record) error {
	r := seen
	r.RevokedAt, r.RevokeReason = next.RevokedAt, next.RevokeReason
	if !next.ActivateAt.Equal(seen.ActivateAt) {
		// A turn begins when it is written, which may be long after the decision.
		// Until then the previous key signs, and has to stay published for it (K3).
		r.ActivateAt = later(next.ActivateAt, toMilli(s.now()))
	}
	r.Archived = r.Archived || next.Archived
	if next.Sealed == nil {
		r.Sealed = nil
	}
	r.Version, r.Decision = seen.Decision.Version, next.Decision
	r.Decision.Version = 0
	return s.store.UpdateKey(ctx, r)
}

func (s records) pending(ctx context.Context, limit int) ([]Record, error) {
	all, err := s.store.Keys(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(r Record) bool { return r.Decision.Free() })
	for i := range all {
		all[i] = versioned(all[i])
	}
	return all[:min(limit, len(all))], nil
}

func refusedWrite(err error) (audit.Reason, bool) {
	switch {
	case errors.Is(err, ErrNoKey):
		return audit.ReasonNoSuchKey, true
	case isConflict(err):
		return audit.ReasonConflict, true
	}
	return audit.Reason{}, false
}

func (k *Keeper) maker() *decision.Maker[Record] { return records{k.store, k.now}.maker(k.audit) }

// SettleDecisions completes the decisions about keys that were interrupted. A Keeper
// does this at each poll; servers call it every second, and commands when they begin.
func SettleDecisions(ctx context.Context, store Store, rec audit.Recorder, now func() time.Time) (int, error) {
	return records{store, now}.maker(rec).Settle(ctx)
}

// decide carries out a decision about the key kid, with its event. It returns the keys
// as they are afterwards, or b if they cannot be read. The error is a conflict (read
// the keys again), decision.Concluded, or from the store.
func (k *Keeper) decide(ctx context.Context, b book, kid string, change func(*Record), event audit.Event) (book, error) {
	i := find(b.records, kid)
	if i < 0 {
		return b, fmt.Errorf("key %s: %w", kid, ErrNoKey)
	}
	before := versioned(b.records[i])
	after := before
	change(&after)
	_, err := k.maker().Decide(ctx, decision.Change[Record]{Event: event, Before: &before, After: after})
	if errors.Is(err, decision.ErrUnderWay) {
		if k.maker().UnlessSettled(ctx) == nil {
			err = ErrConflict
		}
	}
	if err != nil && !errors.Is(err, decision.ErrOwed) {
		return b, err
	}
	now, read := k.read(ctx)
	if read != nil {
		now = b
	}
	return now, errors.Join(err, read)
}

// settle completes the decisions that were interrupted, and writes the events owed.
func (k *Keeper) settle(ctx context.Context, b book) error {
	if !slices.ContainsFunc(b.records, func(r Record) bool { return !r.Decision.Free() }) {
		return nil
	}
	_, err := k.maker().Settle(ctx)
	return err
}
