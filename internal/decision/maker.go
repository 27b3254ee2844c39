package decision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
)

const (
	// maxOwed bounds the events, and the notices, that a record owes at once, except to operators, whom
	// nobody may keep from taking rights away.
	maxOwed = 16
	// maxHang is how long a log that hangs keeps those who need not wait for it. A
	// command is done with it within ten seconds: it waits so long for its own event,
	// half of that for those that are owed, and a second where it is known to hang.
	maxHang = 5 * time.Second
)

// Maker carries out decisions on records of one kind. It is safe for concurrent
// use.
type Maker[T any] struct {
	Records Records[T]
	Audit   audit.Recorder
	Now     func() time.Time
}

// proposal is a slot under way and the record that holds it.
type proposal[T any] struct {
	slot
	held  T // as the store has it
	after T
	// former is what the record held before: owed events, or nothing.
	former Held
}

// Decide carries c out, to its end even if ctx is done. It returns the event,
// completed with what was done elsewhere.
//
// A nil error means that the change was made and its event is written. A refusal of
// the records, or an error of a store that could not answer, means that nothing is
// in the log yet. All other errors are Concluded: ErrNotRecorded, ErrOwed,
// ErrUnfinished, ErrToFollow, or a late refusal.
func (m *Maker[T]) Decide(ctx context.Context, c Change[T]) (audit.Event, error) {
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	p, err := m.propose(ctx, c)
	if err != nil {
		return c.Event, err
	}
	if c.Event.Action.StandsAtOnce() {
		err = m.owed(ctx, p)
		return p.Event, unlessNotice(err)
	}
	if c.Check != nil {
		if err := c.Check(ctx); err != nil {
			return p.Event, m.refused(ctx, p, err)
		}
	}
	if err := m.tell(ctx, p); err != nil {
		return p.Event, m.unrecorded(ctx, p, err)
	}
	err = m.finish(ctx, p)
	return p.Event, unlessNotice(err)
}

// refused takes back a proposal whose check failed.
func (m *Maker[T]) refused(ctx context.Context, p *proposal[T], cause error) error {
	disowned, err := m.retract(ctx, p, false)
	switch {
	case errors.Is(err, errElsewhere):
		return concluded{cause} // it was carried on; that is told
	case err != nil || disowned:
		return inDoubt{p.ID, errors.Join(cause, err)}
	}
	return cause
}

// propose does the first step. It changes nothing that decisions depend on, unless
// the change takes effect at once.
func (m *Maker[T]) propose(ctx context.Context, c Change[T]) (*proposal[T], error) {
	p := &proposal[T]{
		slot:  slot{ID: uuid.NewString(), At: m.Now().UTC(), Event: c.Event, Request: audit.RequestFrom(ctx), Ends: c.Ends},
		after: c.After,
	}
	p.Event.ID = p.ID
	if c.Notice != nil {
		p.Notices = []notice{{p.ID, c.Notice}}
	}
	next, err := m.proposed(ctx, p, c)
	if err != nil {
		return nil, err
	}
	if c.Before == nil {
		err = m.Records.Create(ctx, next)
	} else {
		err = m.Records.Replace(ctx, *c.Before, next)
		m.Records.Held(&next).Version++
	}
	if p.held = next; err == nil {
		return p, nil
	}
	// Perhaps only the answer was lost; or the write was done, then retried, and
	// the retry was refused because of the first.
	switch found := m.find(ctx, p); {
	case found == nil:
		return p, nil
	case errors.Is(found, errGone):
		return nil, err
	}
	return nil, inDoubt{p.ID, err}
}

// proposed returns the record with the proposal in its slot.
func (m *Maker[T]) proposed(ctx context.Context, p *proposal[T], c Change[T]) (next T, err error) {
	atOnce := c.Event.Action.StandsAtOnce()
	if !atOnce {
		if p.After, err = json.Marshal(c.After); err != nil {
			return next, fmt.Errorf("decision: %w", err)
		}
	}
	if c.Before == nil {
		if next = c.After; !atOnce {
			next = m.Records.shell(c.After)
			m.Records.Held(&next).Unborn = true
		}
		return next, p.fill(m.Records.Held(&next))
	}
	had := *m.Records.Held(c.Before)
	p.Carried = had.carried()
	if !had.Free() {
		if err := m.takeOver(ctx, p, c, had); err != nil {
			return next, err
		}
	}
	if next = *c.Before; atOnce {
		next = c.After
	}
	h := m.Records.Held(&next)
	*h = had
	return next, p.fill(h)
}

// takeOver has p take the place of a decision whose slot is still full, and with it what
// that one owes, or returns ErrUnderWay.
func (m *Maker[T]) takeOver(ctx context.Context, p *proposal[T], c Change[T], had Held) error {
	earlier, err := had.read()
	if err != nil {
		return err
	}
	owed := true
	switch byOperator := p.Request.Operator != (audit.Operator{}); {
	case max(len(earlier.Earlier), len(earlier.Notices)) >= maxOwed && !byOperator:
		return ErrUnderWay
	case m.owesNotices(earlier):
		// A decision need not wait for the notices of an earlier one.
		p.former, owed = had, false
	case earlier.owes():
		// Nor for its owed event. But who made that may have died before its
		// consequences, and nobody finds them once the slot is another's.
		if !earlier.Followed {
			if err := m.Records.follow(ctx, *c.Before, &earlier.Event); err != nil {
				return err
			}
		}
		p.former = had
	case c.Event.Action.StandsAtOnce() && earlier.After != nil:
		// Nor one that takes rights away for a change that was not made, whose log
		// may hang. Whoever makes that change finds it overtaken, and tells so too.
		earlier.Notices = earlier.noticesBut(earlier.ID)
		earlier.Event.Outcome, earlier.Event.Reason, earlier.Event.Count = audit.Failure, audit.ReasonConflict, 0
		earlier.Event.After = earlier.spoken(m.Now()).UTC()
	default:
		return ErrUnderWay
	}
	p.Notices, p.Earlier = append(earlier.Notices, p.Notices...), earlier.Earlier
	if owed {
		earlier.Event.Retold = true
		p.Earlier = append(p.Earlier, note{earlier.Event, earlier.Request})
	}
	return nil
}

// errGone means that the record does not hold the proposal.
var errGone = errors.New("no such decision is under way")

// find reads the record that holds p.
func (m *Maker[T]) find(ctx context.Context, p *proposal[T]) error {
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	now, err := m.Records.Read(ctx, p.after)
	if err != nil {
		if _, refused := m.Records.Refused(err); refused {
			return errors.Join(errRecordGone, err)
		}
		return err
	}
	h := m.Records.Held(&now)
	if h.Free() {
		p.held = now
		return errGone
	}
	s, err := h.read()
	if err != nil {
		return err
	}
	if p.held = now; s.ID != p.ID {
		return errGone
	}
	p.slot = s
	return nil
}

// unrecorded takes back a proposal whose event could not be written. It returns nil if
// another process has carried it on.
func (m *Maker[T]) unrecorded(ctx context.Context, p *proposal[T], cause error) error {
	_, err := m.retract(ctx, p, errors.Is(cause, audit.ErrInDoubt))
	switch {
	case errors.Is(err, errElsewhere):
		return nil
	case err != nil:
		return conclude(ErrUnfinished, errors.Join(cause, err))
	}
	return conclude(ErrNotRecorded, cause)
}

// tell writes the events that the record owed before, and then the event.
func (m *Maker[T]) tell(ctx context.Context, p *proposal[T]) error {
	for _, n := range append(p.Earlier, note{p.Event, p.Request}) {
		if err := m.Audit.Record(audit.WithRequest(ctx, n.Request), n.Event); err != nil {
			return err
		}
	}
	return nil
}

// finish makes a change whose event is in the log, and then its consequences.
// Consequences that fail are left to Settle.
func (m *Maker[T]) finish(ctx context.Context, p *proposal[T]) error {
	if p.After != nil {
		if err := m.insist(ctx, p, m.make); err != nil {
			return settled(err)
		}
		if m.Records.Held(&p.held).Free() {
			return nil
		}
	}
	if p.Ends || m.Records.follows(p.Event.Action) && !p.Followed {
		if err := m.follow(ctx, p); err != nil {
			return err
		}
	}
	if err := m.notify(ctx, p); err != nil {
		return err
	}
	return settled(m.insist(ctx, p, m.clear))
}

// follow makes the consequences of a change. It retries after a failed write,
// because one of many that failed is no reason to leave the rest to Settle. If the
// retries fail too, it lets Settle carry the decision on without waiting for Grace.
func (m *Maker[T]) follow(ctx context.Context, p *proposal[T]) error {
	var err error
	for try := range attempts {
		if try > 0 {
			time.Sleep(between)
		}
		if err = m.Records.follow(ctx, p.held, &p.Event); err == nil {
			return nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	m.note(ctx, p)
	return conclude(ErrToFollow, err)
}

// settled turns errElsewhere into success.
func settled(err error) error {
	if errors.Is(err, errElsewhere) {
		return nil
	}
	return err
}

// make replaces the record by its new version. The slot stays while consequences
// elsewhere are missing.
func (m *Maker[T]) make(ctx context.Context, p *proposal[T]) error {
	next := p.after
	h := m.Records.Held(&next)
	*h = Held{Version: m.Records.Held(&p.held).Version}
	made := p.slot
	made.After, made.Told, made.Earlier = nil, true, nil
	if p.Rev > 0 {
		made.Carried = withCarried(p.Carried, p.ID)
	}
	err := h.release(made.Carried)
	if p.Ends || m.Records.follows(p.Event.Action) || len(p.Notices) > 0 {
		err = made.fill(h)
	}
	if err != nil {
		return err
	}
	if err := m.Records.Replace(ctx, p.held, next); err != nil {
		return err
	}
	h.Version++
	p.slot, p.held = made, next
	return nil
}

// clear empties the slot of a completed decision.
func (m *Maker[T]) clear(ctx context.Context, p *proposal[T]) error {
	if p.Ends {
		return m.Records.Remove(ctx, p.held)
	}
	next := p.held
	if err := m.Records.Held(&next).release(p.Carried); err != nil {
		return err
	}
	if err := m.Records.Replace(ctx, p.held, next); err != nil {
		return err
	}
	m.Records.Held(&next).Version++
	p.held = next
	return nil
}

// owed makes the consequences of a change that was made at once, and writes its
// event.
func (m *Maker[T]) owed(ctx context.Context, p *proposal[T]) error {
	if !p.Followed {
		if err := m.follow(ctx, p); err != nil {
			return err
		}
		p.Followed = true
	}
	telling, cancel := context.WithTimeout(ctx, maxHang)
	defer cancel()
	if err := m.tell(telling, p); err != nil {
		m.leave(ctx, p)
		return conclude(ErrOwed, err)
	}
	if err := m.notify(ctx, p); err != nil {
		return err
	}
	// If the slot cannot be emptied now, Settle empties it later and writes the
	// event again.
	_ = m.insist(ctx, p, m.clear)
	return nil
}

// leave lets others carry on at once what this process's log does not take.
func (m *Maker[T]) leave(ctx context.Context, p *proposal[T]) {
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	p.At = time.Time{}
	m.note(ctx, p)
}

// note stores in the slot what Follow added to the event, for when the event is
// written. It also releases the decision, so that another process may carry it on
// at once.
func (m *Maker[T]) note(ctx context.Context, p *proposal[T]) {
	if p.Rev == 0 {
		p.At = time.Time{}
	}
	next := p.held
	if p.fill(m.Records.Held(&next)) == nil {
		_ = m.Records.Replace(ctx, p.held, next) // else the event lacks the count
	}
}
