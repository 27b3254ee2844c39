// Package decision makes changes of records take effect only together with their
// audit events (A3), even if the caller hangs up or a process dies meanwhile (F9).
//
// A change is proposed, told and made. The record itself holds the proposal in one
// slot, so that each step is one write of one record and no transaction is needed:
//
//  1. Propose: the slot takes the event and the new version of the record. A
//     record that is to be created is stored as unborn: it reserves its names,
//     and every reader treats it as absent. Nothing that decisions depend on has
//     changed.
//  2. Tell: the event is written to the audit log.
//  3. Make: the record is replaced by the proposed version, with an empty slot.
//
// If the event cannot be written, the proposal is withdrawn and the record is as
// before. If a process dies after the first step, another that finds the proposal
// carries it forward: it writes the event again under the same id (so that it
// counts once), and makes the change. The proposal stays one until its event can
// be written.
//
// A change that takes rights away (audit.AtOnce) does not wait for the log: the
// first step makes the change, and the slot holds the event that is owed. The
// event is written at once, or as soon as the log is back. It overtakes a change of
// the record that is only proposed: that comes to nothing, which is owed to the log too.
//
// A decision may owe people a notice, which the slot holds until it is given. Nothing
// waits for that: the decision is done, and others on the record may follow.
package decision

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// Held is the state of decisions in a record. Stores keep it with the record; only
// this package reads the slot.
type Held struct {
	// Version grows by one with each write of the record.
	Version int64 `json:"-" bson:"version,omitempty"`
	// Unborn records reserve their names and are absent to every reader.
	Unborn bool `json:"-" bson:"unborn,omitempty"`
	// SlotID is the id of the proposal in the slot and how often it was taken up.
	// It is empty if no decision is under way.
	SlotID string `json:"-" bson:"slot_id,omitempty"`
	// Slot is the proposal, and what is remembered of earlier ones. It may have a text
	// although SlotID is empty.
	Slot []byte `json:"-" bson:"slot,omitempty"`
}

// Free reports whether no decision is under way.
func (h Held) Free() bool { return h.SlotID == "" }

// slot is a proposal: a decision on one record that is under way.
type slot struct {
	// ID is the event's id. Rev is how often another process took the proposal up.
	// At is when it was made or taken up.
	ID  string
	Rev int
	At  time.Time
	// Event is the event to write. Request is the request that asked for the
	// change.
	Event   audit.Event
	Request audit.Request
	// After is the new version of the record, or nil once it was made. Ends says
	// that the record is to be removed in the end.
	After json.RawMessage `json:",omitempty"`
	Ends  bool
	// Told says that the event is in the log, Followed that everything which follows
	// from the change is done but the Notices.
	Told     bool
	Followed bool `json:",omitempty"`
	// Earlier are the events owed for decisions before this one.
	Earlier []note `json:",omitempty"`
	// Notices are owed to people for this decision and for earlier ones.
	Notices []notice `json:",omitempty"`
	// Carried are the earlier decisions that others than their makers carried on.
	Carried []string `json:",omitempty"`
}

// note is an event that is owed.
type note struct {
	Event   audit.Event
	Request audit.Request
}

// owes reports whether the change was made and only its event is missing.
func (s slot) owes() bool { return s.After == nil && !s.Told && !s.Ends }

// fill puts s into h.
func (s slot) fill(h *Held) error {
	encoded, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("decision: %w", err)
	}
	h.SlotID, h.Slot = fmt.Sprintf("%s.%d", s.ID, s.Rev), encoded
	return nil
}

// read returns the proposal in the slot.
func (h Held) read() (slot, error) {
	var s slot
	if err := json.Unmarshal(h.Slot, &s); err != nil {
		return s, fmt.Errorf("decision %s cannot be read: %w", h.SlotID, err)
	}
	return s, nil
}

// Errors of Decide besides those of the records, for errors.Is.
var (
	// ErrUnderWay means that another decision on the record is under way.
	ErrUnderWay error = refusal.New(refusal.Conflict, audit.ReasonConflict, "It is being changed by another at this moment; try again.")
	// ErrNotRecorded means that the event could not be written. Nothing was
	// changed.
	ErrNotRecorded = errors.New("the audit event could not be written")
	// ErrOwed means that the change was made, and its event is still to be
	// written.
	ErrOwed = errors.New("it is done; its audit event could not be written, is owed, and will be written when the log is back")
	// ErrUnfinished means that a change was decided but not completed. It will be
	// completed when the store and the log answer.
	ErrUnfinished = errors.New("it is decided, and not carried out to the end yet; it will be when the store and the audit log answer")
	// ErrToFollow is the ErrUnfinished of a change that was made, but whose
	// consequences elsewhere are still missing.
	ErrToFollow = fmt.Errorf("%w: it stands, and what follows from it could not be done yet", ErrUnfinished)
)

// concluded marks an error that needs no further audit event.
type concluded struct{ error }

func (c concluded) Unwrap() error { return c.error }

// Concluded reports whether the log already has every event about err.
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

// IDOf returns the id of a decision that failed with err but may still be carried
// forward, or "". The event about the failure must have that id, so that a later
// success is told under the same id.
func IDOf(err error) string {
	var d inDoubt
	errors.As(err, &d)
	return d.id
}
