package decision

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
)

// retract takes a proposal back, for good: nobody carries it on. doubtful says that its
// event may be in the log, or get there. Then, and if another process took the proposal
// up, retract disowns it. The error is errElsewhere if the change was made already. Any
// other means that the proposal may still be carried on.
func (m *Maker[T]) retract(ctx context.Context, p *proposal[T], doubtful bool) (disowned bool, err error) {
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	for range attempts {
		if disowned = doubtful || p.Rev > 0; !disowned {
			err = m.withdraw(ctx, p)
		} else if after := m.Now(); p.Rev == 0 {
			err = m.disown(ctx, p, after)
		} else {
			err = m.disown(ctx, p, p.spoken(after))
		}
		if err == nil {
			return disowned, nil
		}
		_, refused := m.Records.Refused(err)
		switch found := m.find(ctx, p); {
		case found == nil && p.After == nil:
			return disowned, errElsewhere
		case errors.Is(found, errGone):
			return disowned, m.retracted(p, errors.Is(found, errRecordGone), refused, err)
		case found != nil:
			return disowned, err
		}
	}
	return disowned, err
}

// retracted returns what became of a proposal that the record does not hold after a step
// of retract failed with cause: nil if it came to nothing, errElsewhere if it stands, or
// else cause. lost says that the record is gone too, refused that the step was not done.
func (m *Maker[T]) retracted(p *proposal[T], lost, refused bool, cause error) error {
	carried := m.Records.Held(&p.held).carried()
	switch {
	case m.retreats(p.held):
		return nil
	case lost && p.Ends, !lost && slices.Contains(carried, p.ID):
		return errElsewhere
	case refused && (lost || len(carried) >= maxCarried):
		return cause
	}
	return nil // only the answer was lost, or what takes rights away overtook it
}

// toTell is how soon a proposal's event is told after it was made or taken up. Who takes
// longer, and finds it gone, tells that too.
const toTell = time.Second

// spoken returns now, or when the event of s was told at the latest by the clock of who
// did so, if that is later.
func (s slot) spoken(now time.Time) time.Time {
	if told := s.At.Add(toTell); told.After(now) {
		return told
	}
	return now
}

// disown withdraws a proposal, and owes the log that it came to nothing: that is told
// last, later than after, and counts. A record that was to be created reserves its names
// until then.
func (m *Maker[T]) disown(ctx context.Context, p *proposal[T], after time.Time) error {
	next := p.held
	h := m.Records.Held(&next)
	owing := p.slot
	// To whoever took the proposal up it is gone.
	owing.ID, owing.Rev, owing.At = uuid.NewString(), 0, time.Time{}
	owing.Event.Outcome, owing.Event.Reason, owing.Event.Count = audit.Failure, audit.ReasonConflict, 0
	owing.Event.After = after.UTC()
	owing.After, owing.Followed, owing.Ends = nil, true, h.Unborn
	owing.Notices = p.noticesBut(p.ID)
	if err := owing.fill(h); err != nil {
		return err
	}
	if err := m.Records.Replace(ctx, p.held, next); err != nil {
		return err
	}
	h.Version++
	p.slot, p.held = owing, next
	return nil
}

// retreats reports whether a proposal that its maker left in the record comes to nothing.
func (m *Maker[T]) retreats(record T) bool {
	return m.Records.Retreats && m.Records.Held(&record).Unborn
}

// withdraw removes a proposal and restores the record, with the notices that are owed for
// earlier decisions.
func (m *Maker[T]) withdraw(ctx context.Context, p *proposal[T]) error {
	if m.Records.Held(&p.held).Unborn {
		return m.Records.Remove(ctx, p.held)
	}
	former := p.held
	h := m.Records.Held(&former)
	var err error
	rest := p.noticesBut(p.ID)
	switch {
	case !p.former.Free():
		h.SlotID, h.Slot = p.former.SlotID, p.former.Slot
	case len(rest) > 0:
		owing := slot{ID: rest[0].ID, Event: p.Event, Request: p.Request, Told: true, Followed: true, Notices: rest, Carried: p.Carried}
		err = owing.fill(h)
	default:
		err = h.release(p.Carried)
	}
	if err != nil {
		return err
	}
	return m.Records.Replace(ctx, p.held, former)
}
