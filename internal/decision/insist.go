package decision

import (
	"context"
	"errors"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

const (
	// attempts bounds how often a step that must be done is tried at once.
	attempts = 4
	// between is the wait between two attempts.
	between = 20 * time.Millisecond
)

// errElsewhere means that another process took the decision up and carried it
// further.
var errElsewhere = errors.New("carried on by another")

// insist repeats a step that must be done because the event is in the log. If the
// records refuse it (a name was taken meanwhile, or an engine lost the proposal),
// it tells the log that the decision came to nothing.
func (m *Maker[T]) insist(ctx context.Context, p *proposal[T], step func(context.Context, *proposal[T]) error) error {
	var err error
	doubtful := false
	for try := range attempts {
		if try > 0 {
			time.Sleep(between)
		}
		if err = m.within(ctx, p, step); err == nil {
			return nil
		}
		reason, refused := m.Records.Refused(err)
		doubtful = doubtful || !refused
		before, was := p.slot, p.held
		found := m.find(ctx, p)
		switch {
		case errors.Is(found, errGone):
			return m.gone(ctx, p, found, err, doubtful)
		case found == nil && before.After != nil && p.After == nil && before.Rev == p.Rev:
			return nil // only the answer was lost
		case found == nil && before.After != nil && p.After == nil:
			return errElsewhere
		case found == nil && !m.Records.Same(p.held, was):
			// A server of an older version, which does not know proposals, changed
			// the record.
			return m.refute(ctx, p, err)
		}
		if refused && reason != audit.ReasonConflict {
			return m.refute(ctx, p, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return conclude(ErrUnfinished, err)
}

// within does a step, with new time if earlier steps used up that of ctx.
func (m *Maker[T]) within(ctx context.Context, p *proposal[T], step func(context.Context, *proposal[T]) error) error {
	if ctx.Err() == nil {
		return step(ctx, p)
	}
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	return step(ctx, p)
}

// refute tells the log that a decision whose event it has came to nothing, and
// withdraws the proposal.
func (m *Maker[T]) refute(ctx context.Context, p *proposal[T], cause error) error {
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	e := p.Event
	e.Outcome, e.Count = audit.Failure, 0
	if e.Reason, _ = m.Records.Refused(cause); e.Reason == (audit.Reason{}) {
		e.Reason = audit.ReasonConflict
	}
	if err := m.Audit.Record(audit.WithRequest(ctx, p.Request), e); err != nil {
		return conclude(ErrUnfinished, errors.Join(cause, err))
	}
	if s, err := m.Records.Held(&p.held).read(); err == nil && s.ID == p.ID {
		if err := m.withdraw(ctx, p); err != nil {
			return conclude(ErrUnfinished, errors.Join(cause, err))
		}
	}
	return concluded{cause}
}
