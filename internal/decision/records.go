package decision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// Records are the records of one kind, as a domain package keeps them.
type Records[T any] struct {
	// Held returns where a record holds its decision.
	Held func(*T) *Held
	// Create adds a record, Held as it is; nil where no decision makes one. Read
	// returns the one with r's id, an unborn one included. Replace puts next in the
	// place of seen if the store still has that, and Remove takes seen away on the
	// same condition (nil where no decision does); the store gives what it writes
	// the Version after seen's.
	Create  func(ctx context.Context, r T) error
	Read    func(ctx context.Context, r T) (T, error)
	Replace func(ctx context.Context, seen, next T) error
	Remove  func(ctx context.Context, seen T) error
	// Pending returns at most limit records whose slot is not empty.
	Pending func(ctx context.Context, limit int) ([]T, error)

	// Refused reports whether err says that a write was not done, and with
	// what reason; any other error leaves that open.
	Refused func(err error) (audit.Reason, bool)
	// Conflict is the error of a write that did not find the record as it was seen.
	Conflict error
	// Same reports whether the store's record shows that a change to after was
	// made.
	Same func(now, after T) bool
	// Shell returns what an unborn record is to those that know of no unborn
	// ones, servers of an older version: of no use to anybody. Nil leaves it as it
	// is.
	Shell func(r T) T
	// Follow does what a decision asks for elsewhere once the record is as it
	// is to be, and adds to the event what it did. It may be called again.
	// Follows says whether there is anything for it to do. Both are nil where there
	// never is.
	Follow  func(ctx context.Context, r T, e *audit.Event) error
	Follows func(a audit.Action) bool
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

// Change is a decision to be carried out.
type Change[T any] struct {
	// Event is what the log is to be told.
	Event audit.Event
	// Before is the record as the store has it, nil for one to be born. After
	// is what it is to be.
	Before *T
	After  T
	// Ends says that the record is to be removed once it is as After says.
	Ends bool
	// Check, if not nil, has the last word before the event is written: it sees
	// what was changed by others before the proposal stood, while those who come
	// later see the proposal. Its error takes the proposal back.
	Check func(context.Context) error
}

// Revision is a change of a record that is there, whatever others make of it
// meanwhile.
type Revision[T any] struct {
	Event audit.Event
	Read  func(context.Context) (T, error)
	// Alter makes of the record what it is to be and fills in the event. It may be
	// called again, and refuses with an error.
	Alter func(*T, *audit.Event) error
	Ends  bool
}

// maxTries bounds how often a revision is tried on a record that others keep
// changing.
const maxTries = 5

// Revise carries c out as Decide does, on the record as it then is, and returns
// what became of the record. An error that is not Concluded is still to be told.
func (m *Maker[T]) Revise(ctx context.Context, c Revision[T]) (T, audit.Event, error) {
	for tries := 1; ; tries++ {
		e := c.Event
		before, err := c.Read(ctx)
		after := before
		if err == nil {
			err = c.Alter(&after, &e)
		}
		if err != nil {
			return after, e, err
		}
		e, err = m.Decide(ctx, Change[T]{Event: e, Before: &before, After: after, Ends: c.Ends})
		switch {
		case err == nil || Concluded(err):
			return after, e, err
		case tries < maxTries && errors.Is(err, m.Records.Conflict):
			continue
		case tries < maxTries && errors.Is(err, ErrUnderWay):
			if err = m.unlessSettled(ctx); err == nil {
				continue
			}
		}
		return after, e, err
	}
}

// Add carries out c, by which a record is born. unborn says of a refusal whether it
// is that of a name which another record has that is still to be born: that one may
// come to nothing.
func (m *Maker[T]) Add(ctx context.Context, c Change[T], unborn func(error) bool) error {
	for tries := 1; ; tries++ {
		_, err := m.Decide(ctx, c)
		if err == nil || tries == maxTries || !unborn(err) {
			return err
		}
		if err = m.unlessSettled(ctx); err != nil {
			return err
		}
	}
}

const (
	// patience is how often an operator's command looks whether what is under way
	// can be carried on, and lookEvery how far these are apart: who began it and
	// died has Grace.
	patience  = int((Grace + time.Second) / lookEvery)
	lookEvery = 200 * time.Millisecond
)

// unlessSettled carries on what is under way: nil if there was something that
// could be, else what one is told whom another decision keeps waiting. A command
// waits for it.
func (m *Maker[T]) unlessSettled(ctx context.Context) error {
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
