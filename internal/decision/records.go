package decision

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// Records are the operations on records of one kind, which a domain package
// provides.
type Records[T any] struct {
	// Held returns the record's state of decisions.
	Held func(*T) *Held
	// Create adds a record, including its Held; it is nil if no decision creates
	// one. Read returns the record with r's id, even if unborn. Replace replaces
	// seen by next if the store still has seen, and Remove removes seen on the same
	// condition (nil if no decision removes one). The store gives a written record
	// the Version after seen's.
	Create  func(ctx context.Context, r T) error
	Read    func(ctx context.Context, r T) (T, error)
	Replace func(ctx context.Context, seen, next T) error
	Remove  func(ctx context.Context, seen T) error
	// Pending returns at most limit records whose slot is not empty.
	Pending func(ctx context.Context, limit int) ([]T, error)

	// Refused reports whether err means that a write was not done, and the reason.
	// Any other error leaves that open.
	Refused func(err error) (audit.Reason, bool)
	// Conflict is the error of a write whose record changed since it was read.
	Conflict error
	// Same reports whether the store's record now shows that the change to after
	// was made.
	Same func(now, after T) bool
	// Shell returns an unborn record in a form that grants nothing to servers of an
	// older version, which do not know unborn records. A nil Shell leaves the
	// record as it is.
	Shell func(r T) T
	// Retreats says that a creation which its maker left unfinished comes to nothing: what
	// it makes is of use to nobody but who asked the maker for it.
	Retreats bool
	// Follow makes the consequences of a decision elsewhere once the record has its
	// new version, and adds to the event what it did. It may be called again.
	// Follows reports whether an action has consequences. Both are nil if no action
	// has.
	Follow  func(ctx context.Context, r T, e *audit.Event) error
	Follows func(a audit.Action) bool
	// Notify gives the notice of the decision id, once: it may be called again. If it
	// fails, or is nil, another who can give it does so later.
	Notify func(ctx context.Context, id string, text json.RawMessage) error
}

func (r Records[T]) shell(record T) T {
	if r.Shell == nil {
		return record
	}
	return r.Shell(record)
}

func (r Records[T]) follow(ctx context.Context, record T, e *audit.Event) error {
	if r.Follow == nil {
		return nil
	}
	return r.Follow(ctx, record, e)
}

func (r Records[T]) follows(a audit.Action) bool { return r.Follows != nil && r.Follows(a) }

// Change is a decision to carry out.
type Change[T any] struct {
	// Event is the event to write.
	Event audit.Event
	// Before is the record in the store, or nil to create one. After is its new
	// version.
	Before *T
	After  T
	// Ends says that the record is removed once the change to After was made.
	Ends bool
	// Check, if not nil, is called before the event is written. It sees what others
	// changed before the proposal was stored, while later changes see the proposal.
	// If it fails the proposal is withdrawn.
	Check func(context.Context) error
	// Notice is what people are told of the change once it stands and its event is
	// written, or nil.
	Notice json.RawMessage
}

// Revision is a change of an existing record, whatever its version.
type Revision[T any] struct {
	Event audit.Event
	Read  func(context.Context) (T, error)
	// Alter changes the record and fills in the event. It may be called again. An
	// error refuses the change.
	Alter func(*T, *audit.Event) error
	Ends  bool
	// Notice returns that of the change, or nil. It may be nil itself.
	Notice func(ctx context.Context, before, after T, e audit.Event) json.RawMessage
}

// maxTries bounds how often a revision is tried on a record that others keep
// changing.
const maxTries = 5

// Revise carries c out as Decide does, on the current record, and returns the new
// version of the record. For an error that is not Concluded the caller has to
// record an event.
func (m *Maker[T]) Revise(ctx context.Context, c Revision[T]) (T, audit.Event, error) {
	for tries := 1; ; tries++ {
		change, err := m.revised(ctx, c)
		decided := err == nil
		e := change.Event
		if decided {
			e, err = m.Decide(ctx, change)
		}
		switch {
		case err == nil || Concluded(err):
			return change.After, e, err
		case tries < maxTries && decided && errors.Is(err, m.Records.Conflict):
			continue
		case tries < maxTries && errors.Is(err, ErrUnderWay):
			if err = m.UnlessSettled(ctx); err == nil {
				continue
			}
		}
		return change.After, e, err
	}
}

// revised returns the change that c makes of the current record. It may be refused because
// the record does not have what c takes away, but would by a change that is only proposed:
// if c takes rights away at once it is decided then, so that the change comes to nothing;
// otherwise the error is ErrUnderWay.
func (m *Maker[T]) revised(ctx context.Context, c Revision[T]) (Change[T], error) {
	before, err := c.Read(ctx)
	change := Change[T]{Event: c.Event, Before: &before, After: before, Ends: c.Ends}
	if err == nil {
		err = c.Alter(&change.After, &change.Event)
	}
	if proposed, is := m.awaited(before); err != nil && is {
		if told := c.Event; c.Alter(&proposed, &told) == nil {
			if err = ErrUnderWay; told.Action.StandsAtOnce() {
				change.After, change.Event, err = before, told, nil
			}
		}
	}
	if err == nil && c.Notice != nil {
		change.Notice = c.Notice(ctx, before, change.After, change.Event)
	}
	return change, err
}

// awaited returns what the record is to be by a change that is only proposed, if there
// is one.
func (m *Maker[T]) awaited(record T) (after T, is bool) {
	h := m.Records.Held(&record)
	if h.Free() {
		return after, false
	}
	s, err := h.read()
	return after, err == nil && s.After != nil && json.Unmarshal(s.After, &after) == nil
}

// Settled returns the record that read returns once no change of it is only proposed. It
// waits for one as Revise does.
func (m *Maker[T]) Settled(ctx context.Context, read func(context.Context) (T, error)) (T, error) {
	for tries := 1; ; tries++ {
		record, err := read(ctx)
		if err != nil {
			return record, err
		}
		if _, is := m.awaited(record); !is {
			return record, nil
		}
		if err := m.UnlessSettled(ctx); err != nil || tries == maxTries {
			return record, cmp.Or(err, ErrUnderWay)
		}
	}
}

// Awaited reports whether a change that is only proposed makes a record that is wanted.
func (m *Maker[T]) Awaited(ctx context.Context, wanted func(T) bool) (bool, error) {
	pending, err := m.Records.Pending(ctx, settleBatch)
	return slices.ContainsFunc(pending, func(r T) bool {
		after, is := m.awaited(r)
		return is && wanted(after)
	}), err
}

// Add carries out c, which creates a record. unborn reports whether a refusal is
// due to a name that another unborn record reserves; that record may yet come to
// nothing.
func (m *Maker[T]) Add(ctx context.Context, c Change[T], unborn func(error) bool) error {
	for tries := 1; ; tries++ {
		_, err := m.Decide(ctx, c)
		if err == nil || tries == maxTries || !unborn(err) {
			return err
		}
		if err = m.UnlessSettled(ctx); err != nil {
			return err
		}
	}
}

const (
	// patience is how often an operator's command checks whether a pending decision
	// can be carried on, and lookEvery the time between checks. Together they
	// outlast Grace, the time of a process that began the decision and died.
	patience  = int((Grace + time.Second) / lookEvery)
	lookEvery = 200 * time.Millisecond
)

// UnlessSettled carries on pending decisions. It returns nil if it finished one or
// none is pending, and otherwise the error for a caller that another decision
// blocks. An operator's command waits first.
func (m *Maker[T]) UnlessSettled(ctx context.Context) error {
	looks := 1
	if audit.RequestFrom(ctx).Operator != (audit.Operator{}) {
		looks = patience
	}
	for {
		pending, n, err := m.carryOn(ctx)
		if n > 0 || err == nil && pending == 0 {
			return nil
		}
		looks--
		if err != nil || looks <= 0 || ctx.Err() != nil {
			return fmt.Errorf("%w: %w", m.Records.Conflict, ErrUnderWay)
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookEvery):
		}
	}
}
