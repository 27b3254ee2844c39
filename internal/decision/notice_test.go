package decision_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
)

// noticed carries a change of the note n out that owes a notice of its text.
func (s *shelf) noticed(log audit.Recorder, action audit.Action, text string) error {
	_, _, err := s.maker(log).Revise(context.Background(), decision.Revision[note]{
		Event: audit.Event{Action: action, Outcome: audit.Success, ClientID: "n"},
		Read:  func(ctx context.Context) (note, error) { return s.read(ctx, note{Name: "n"}) },
		Alter: func(n *note, _ *audit.Event) error { n.Text = text; return nil },
		Notice: func(_ context.Context, _, after note, _ audit.Event) json.RawMessage {
			said, _ := json.Marshal(after.Text)
			return said
		},
	})
	return err
}

// TestA3_ANoticeIsGivenOnceItsDecisionStands: with its event, whatever follows, and not of
// what came to nothing.
func TestA3_ANoticeIsGivenOnceItsDecisionStands(t *testing.T) {
	for _, action := range []audit.Action{audit.ClientAdded, audit.ClientChanged, audit.ClientDisabled} {
		s := &shelf{notes: map[string]note{"n": {Name: "n", Text: "as it was"}}, follow: func() error { return nil }}
		var given []string
		s.notify = func(id string, text json.RawMessage) error {
			if last := s.events[len(s.events)-1]; last.ID != id || last.Outcome != audit.Success || !s.notes["n"].Held.OwesNotice(id) {
				t.Errorf("%s: the notice of %s after %+v", action, id, last)
			}
			given = append(given, string(text))
			return nil
		}
		if err := s.noticed(full, action, "with no event"); err == nil || len(given) != 0 {
			t.Errorf("%s: %v without its event, given %q", action, err, given)
		}
		if _, err := s.maker(s).Settle(context.Background()); err != nil || (len(given) == 1) != action.StandsAtOnce() {
			t.Errorf("%s: %v, given %q", action, err, given)
		}
		given = nil
		if err := s.noticed(s, action, "changed"); err != nil || !slices.Equal(given, []string{`"changed"`}) || !s.notes["n"].Held.Free() {
			t.Errorf("%s: %v, given %q, %+v", action, err, given, s.notes["n"])
		}
	}
}

// TestF3_NothingWaitsForANotice: while none can be given, decisions stand and others on
// the same record follow, also those that take rights away; each is given when it can be.
func TestF3_NothingWaitsForANotice(t *testing.T) {
	s := &shelf{notes: map[string]note{"n": {Name: "n", Text: "as it was"}}, follow: func() error { return nil }}
	for i, action := range []audit.Action{audit.ClientAdded, audit.ClientDisabled, audit.ClientChanged, audit.ClientAdded} {
		text := string(rune('a' + i))
		if err := s.noticed(s, action, text); err != nil || s.notes["n"].Text != text {
			t.Fatalf("%s: %v, %+v", action, err, s.notes["n"])
		}
	}
	if err := s.noticed(full, audit.ClientAdded, "lost"); !errors.Is(err, decision.ErrNotRecorded) {
		t.Errorf("without its event: %v", err)
	}
	// The log knew of this one before another took its place.
	s.meanwhile = func() {
		s.meanwhile = nil
		n := s.notes["n"]
		n.Held.Version++
		n.Text = "of an older server"
		s.notes["n"] = n
	}
	if err := s.noticed(s, audit.ClientAdded, "overtaken"); !decision.Concluded(err) {
		t.Errorf("overtaken: %v", err)
	}
	var given []string
	s.notify = func(id string, text json.RawMessage) error {
		if len(given) == 2 && !slices.Contains(given, "failed") {
			given = append(given, "failed")
			return errors.New("the store does not answer")
		}
		given = append(given, string(text))
		return nil
	}
	for i := range 3 {
		m := s.maker(s)
		m.Now = func() time.Time { return time.Now().Add(time.Duration(i) * time.Hour) }
		_, _ = m.Settle(context.Background())
	}
	if want := []string{`"a"`, `"b"`, "failed", `"c"`, `"d"`}; !slices.Equal(given, want) || !s.notes["n"].Held.Free() {
		t.Errorf("given %q, %+v", given, s.notes["n"])
	}
	told := map[string]int{}
	for _, e := range s.events {
		told[e.ID+string(e.Outcome)]++
	}
	for id, n := range told {
		if n != 1 {
			t.Errorf("%s is told %d times", id, n)
		}
	}
}

// full is a log that takes nothing.
var full = recorder(func(audit.Event) error { return errors.New("no space left on device") })

type recorder func(audit.Event) error

func (r recorder) Record(_ context.Context, e audit.Event) error { return r(e) }
