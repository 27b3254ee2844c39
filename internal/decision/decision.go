// Package decision makes changes of records stand only together with their
// audit events (A3), whoever hangs up and whatever dies meanwhile (F9).
//
// A change is proposed, told, made. The record itself holds the proposal, in one
// slot, so that each step is one write of one record and no transaction is
// needed:
//
//  1. Propose: the slot takes the event and the record as it is to be. A record
//     that is to be born is there as unborn: it holds its names, and every
//     reader takes it for absent. Nothing that anybody decides by has changed.
//  2. Tell: the event is written to the audit log.
//  3. Make: the record becomes what was proposed, and its slot is empty.
//
// Where the event cannot be written, the proposal is withdrawn and the record is
// what it was. Where a process dies after the first step, whoever comes upon the
// proposal later carries it forward: the event is told again under the same id
// (so it counts once), and the change is made. As long as it cannot be told it
// stays a proposal.
//
// What takes rights away (audit.AtOnce) does not wait for the log: the first
// step makes the change, and the slot holds the event that is owed. It is
// written at once, or as soon as the log is back.
package decision

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// Held is what a record holds for the decisions on it. Stores keep it with the
// record; only this package looks into a slot.
type Held struct {
	// Version grows by one with each write of the record.
	Version int64 `json:"-" bson:"version,omitempty"`
	// Unborn records hold their names, and are absent to every reader.
	Unborn bool `json:"-" bson:"unborn,omitempty"`
	// SlotID names the proposal in the slot and how often it was taken up;
	// empty where no decision is under way.
	SlotID string `json:"-" bson:"slot_id,omitempty"`
	// Slot is the proposal.
	Slot []byte `json:"-" bson:"slot,omitempty"`
}

// Free reports whether no decision is under way.
func (h Held) Free() bool { return h.SlotID == "" }

// slot is a proposal: a decision under way on one record.
type slot struct {
	// ID is the event's id, Rev how often the proposal was taken up by
	// somebody else than who made it, At when it was made or taken up.
	ID  string
	Rev int
	At  time.Time
	// Event is what the log is to be told, Request from where it was asked for.
	Event   audit.Event
	Request audit.Request
	// After is the record as it is to be, nil once it is so. Ends says that the
	// record is to be removed in the end.
	After json.RawMessage `json:",omitempty"`
	Ends  bool
	// Told says that the log has the event.
	Told bool
	// Earlier are the events of decisions before this one that are owed too.
	Earlier []note `json:",omitempty"`
}

// note is an event that is owed.
type note struct {
	Event   audit.Event
	Request audit.Request
}

// owes reports whether the decision stands, and only its event is missing.
func (s slot) owes() bool { return s.After == nil && !s.Told && !s.Ends }

// fill puts s into the slot of a record.
func (s slot) fill(h *Held) error {
	encoded, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("decision: %w", err)
	}
	h.SlotID, h.Slot = fmt.Sprintf("%s.%d", s.ID, s.Rev), encoded
	return nil
}

// read returns the proposal that a record holds.
func (h Held) read() (slot, error) {
	var s slot
	if err := json.Unmarshal(h.Slot, &s); err != nil {
		return s, fmt.Errorf("decision %s cannot be read: %w", h.SlotID, err)
	}
	return s, nil
}

func (h *Held) empty() { h.SlotID, h.Slot = "", nil }

// What Decide answers beside the refusals of the records' own. Test with
// errors.Is.
var (
	// ErrUnderWay means that another decision on the record is under way.
	ErrUnderWay = errors.New("it is being changed by another at this moment: try again")
	// ErrNotRecorded means that the event could not be written. Nothing was
	// changed.
	ErrNotRecorded = errors.New("the audit event could not be written")
	// ErrOwed means that the change stands, and its event is still to be
	// written.
	ErrOwed = errors.New("it is done; its audit event could not be written, is owed, and will be written when the log is back")
	// ErrUnfinished means that what was decided could not be carried out to its
	// end, and will be when store and log answer.
	ErrUnfinished = errors.New("it is decided, and not carried out to the end yet; it will be when the store and the audit log answer")
	// ErrToFollow is the ErrUnfinished of a change that stands, while what follows
	// from it elsewhere is still to be done.
	ErrToFollow = fmt.Errorf("%w: it stands, and what follows from it could not be done yet", ErrUnfinished)
)

// concluded marks an error of which the audit log needs to be told no more.
type concluded struct{ error }

func (c concluded) Unwrap() error { return c.error }

// Concluded reports whether all that can be told of err is in the log already.
func Concluded(err error) bool {
	var c concluded
	return errors.As(err, &c)
}

func conclude(sentinel, cause error) error { return concluded{fmt.Errorf("%w: %w", sentinel, cause)} }

// inDoubt marks an error after which the store may hold the proposal.
type inDoubt struct {
	id string
	error
}

func (d inDoubt) Unwrap() error { return d.error }

// IDOf returns the id of a decision that may be carried forward though it failed
// with err, or "". The event that says so bears it: should the decision come about
// after all, that is told under the same id.
func IDOf(err error) string {
	var d inDoubt
	errors.As(err, &d)
	return d.id
}
