package audit

import "errors"

// Standing says from when on a decision stands, which is what A3 asks of its
// event.
type Standing string

// The standings. The zero Standing is of events that change nothing that the
// store keeps.
const (
	Anyway Standing = ""
	// WithEvent: the change is proposed, its event written, and only then is
	// the change made. Without the event nothing changes.
	WithEvent Standing = "with its event"
	// AtOnce: it takes rights away, and a protection that waits for a log that
	// is away is none. The change is made with the event owed, in one write;
	// the event is written when the log takes it. Keys, too, follow their
	// schedule whether or not the log can be written.
	AtOnce Standing = "at once, its event owed"
)

// StandsAtOnce reports whether what the action decides stands before its event
// is written. An action outside the vocabulary waits for its event.
func (a Action) StandsAtOnce() bool { return atOnce[a] }

var atOnce = func() map[Action]bool {
	set := map[Action]bool{}
	for _, t := range vocabulary {
		set[t.Action] = t.Stands == AtOnce
	}
	return set
}()

// ErrInDoubt is what a Recorder's error is where the event may have been written
// all the same: its decision must not be taken back then, but be told again.
var ErrInDoubt = errors.New("audit event may not have been written")

// MarshalText returns the word that stands for the reason.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.word), nil }

// UnmarshalText finds the reason that a word stands for.
func (r *Reason) UnmarshalText(word []byte) error {
	known, ok := reasons[string(word)]
	if !ok {
		return errors.New("no reason of the vocabulary")
	}
	*r = known
	return nil
}

// reasons are all reasons of the vocabulary by their words.
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
