package audit

import "errors"

// Standing says when a decision takes effect relative to its event (A3).
type Standing string

// The standings. The zero Standing is for events that change nothing in the
// store.
const (
	Anyway Standing = ""
	// WithEvent: the change is proposed, its event written, and only then is the
	// change made. Without the event nothing changes.
	WithEvent Standing = "with its event"
	// AtOnce: the change takes rights away, and a protection must not wait for a
	// log that cannot be written. One write makes the change and records that
	// the event is owed; the event is written when the log takes it. Keys too
	// follow their schedule whether or not the log can be written.
	AtOnce Standing = "at once, its event owed"
)

// StandsAtOnce reports whether a decision of the action takes effect before its
// event is written. It is false for an action outside the vocabulary.
func (a Action) StandsAtOnce() bool { return atOnce[a] }

var atOnce = func() map[Action]bool {
	set := map[Action]bool{}
	for _, t := range vocabulary {
		set[t.Action] = t.Stands == AtOnce
	}
	return set
}()

// ErrInDoubt is wrapped by a Recorder's error if the event may have been written
// nevertheless. If its decision comes to nothing, the log must be told so.
var ErrInDoubt = errors.New("audit event may not have been written")

// MarshalText returns the word of the reason.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.word), nil }

// UnmarshalText sets the reason that a word stands for.
func (r *Reason) UnmarshalText(word []byte) error {
	known, ok := reasons[string(word)]
	if !ok {
		return errors.New("no reason of the vocabulary")
	}
	*r = known
	return nil
}

// reasons holds all reasons of the vocabulary by their words.
var reasons = func() map[string]Reason {
	all := map[string]Reason{"": {}}
	for _, t := range vocabulary {
		for _, of := range [][]Reason{t.Success, t.Failure} {
			for _, r := range of {
				all[r.word] = r
			}
		}
	}
	return all
}()
