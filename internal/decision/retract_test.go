package decision_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
)

// failing is a log that fails after the time, with err.
type failing struct {
	after time.Duration
	err   error
}

func (f failing) Record(context.Context, audit.Event) error {
	time.Sleep(f.after)
	return f.err
}

// delayed is a log that takes its time.
type delayed struct {
	audit.Recorder
	by time.Duration
}

func (d delayed) Record(ctx context.Context, e audit.Event) error {
	time.Sleep(d.by)
	return d.Recorder.Record(ctx, e)
}

// TestA3_WhatIsNotRecordedNeverStands has a log that hangs until its caller's time is over,
// before or after another process takes the decision up, whose log hangs too for a time:
// the caller is told that it came to nothing, so it does, and the log says so last. What
// the other had made before is told as done.
func TestA3_WhatIsNotRecordedNeverStands(t *testing.T) {
	event := func(a audit.Action) audit.Event { return audit.Event{Action: a, Outcome: audit.Success, ClientID: "n"} }
	for name, act := range map[string]func(s *shelf, log audit.Recorder) error{
		"a change": func(s *shelf, log audit.Recorder) error {
			_, _, err := s.maker(log).Revise(context.Background(), decision.Revision[note]{
				Event: event(audit.ClientChanged),
				Read:  func(ctx context.Context) (note, error) { return s.read(ctx, note{Name: "n"}) },
				Alter: func(n *note, _ *audit.Event) error { n.Text = "x"; return nil },
			})
			return err
		},
		"a birth": func(s *shelf, log audit.Recorder) error {
			_, err := s.maker(log).Decide(context.Background(), decision.Change[note]{Event: event(audit.ClientAdded), After: note{Name: "new", Text: "x"}})
			return err
		},
	} {
		for other, c := range map[string]struct {
			takesUp, tells, follows, answered time.Duration
			answer                            error
			stands                            bool
		}{
			"nobody":                 {time.Hour, 0, 0, 3 * time.Second, audit.ErrInDoubt, false},
			"who is late":            {4 * time.Second, 0, 0, 3 * time.Second, audit.ErrInDoubt, false},
			"whose log hangs longer": {6 * time.Second, 4 * time.Second, 0, 8 * time.Second, audit.ErrInDoubt, false},
			"though the log is full": {6 * time.Second, 4 * time.Second, 0, 8 * time.Second, errors.New("no space left on device"), false},
			"who makes it":           {6 * time.Second, time.Second, 0, 8 * time.Second, audit.ErrInDoubt, true},
			"who does what follows":  {6 * time.Second, 0, 4 * time.Second, 8 * time.Second, audit.ErrInDoubt, true},
		} {
			for _, retreats := range []bool{false, true} {
				t.Run(name+", "+other, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := &shelf{notes: map[string]note{"n": {Name: "n"}}, retreats: retreats}
						if c.follows > 0 {
							s.follow = func() error { time.Sleep(c.follows); return nil }
						}
						carried := make(chan struct{})
						go func() {
							time.Sleep(c.takesUp)
							_, _ = s.maker(delayed{s, c.tells}).Settle(context.Background())
							close(carried)
						}()
						stands := c.stands && !(retreats && name == "a birth")
						err := act(s, failing{c.answered, c.answer})
						if stands != (err == nil) || err != nil && !errors.Is(err, decision.ErrNotRecorded) {
							t.Errorf("the caller is told: %v", err)
						}
						<-carried
						time.Sleep(decision.Grace + time.Second)
						if _, err := s.maker(s).Settle(context.Background()); err != nil {
							t.Error(err)
						}
						if made := s.notes["n"].Text == "x" || s.notes["new"].Text == "x"; made != stands || len(s.notes) == 2 && !made {
							t.Errorf("left is %+v", s.notes)
						}
						for _, n := range s.notes {
							if !n.Held.Free() {
								t.Errorf("under way is %+v", n)
							}
						}
						if len(s.events) == 0 {
							t.Fatal("nothing is told")
						}
						for _, e := range s.events {
							if e.ID != s.events[0].ID {
								t.Errorf("two decisions are told: %+v", s.events)
							}
						}
						if last := s.events[len(s.events)-1]; stands != (last.Outcome == audit.Success) {
							t.Errorf("told as %+v", s.events)
						}
						// The same again is served.
						if err := act(s, s); stands != errors.Is(err, errTaken) && name == "a birth" || err != nil && name == "a change" {
							t.Errorf("again: %v", err)
						}
					})
				})
			}
		}
	}
}

// TestA3_TheLastWordIsTheLaterByEveryClock has the clock of a process be ahead whose log
// hangs. That its decision came to nothing is told by another, later than the line that
// may be in the log.
func TestA3_TheLastWordIsTheLaterByEveryClock(t *testing.T) {
	const ahead = 10 * time.Second
	for name, c := range map[string]struct {
		born    bool
		hangs   time.Duration
		another func(s *shelf) error
	}{
		"its caller's time is over": {false, 3 * time.Second, func(*shelf) error { return nil }},
		"it is taken for dead":      {true, time.Hour, func(*shelf) error { time.Sleep(ahead + decision.Grace); return nil }},
		"it is overtaken": {false, time.Hour, func(s *shelf) error {
			now, _ := s.read(context.Background(), note{Name: "n"})
			after := now
			after.Text = "disabled"
			_, err := s.maker(s).Decide(context.Background(), decision.Change[note]{
				Event: audit.Event{Action: audit.ClientDisabled, Outcome: audit.Success}, Before: &now, After: after,
			})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &shelf{notes: map[string]note{"n": {Name: "n"}}, retreats: true}
				first := s.maker(failing{c.hangs, audit.ErrInDoubt})
				first.Now = func() time.Time { return time.Now().Add(ahead) }
				before := s.notes["n"]
				change := decision.Change[note]{Event: audit.Event{Action: audit.ClientChanged, Outcome: audit.Success}, Before: &before, After: note{Name: "n", Text: "x"}}
				if c.born {
					change.Before, change.After.Name = nil, "new"
				}
				asked := first.Now()
				over := make(chan struct{})
				go func() {
					_, _ = first.Decide(context.Background(), change)
					close(over)
				}()
				time.Sleep(time.Millisecond)
				if err := c.another(s); err != nil {
					t.Fatal(err)
				}
				time.Sleep(decision.Grace)
				if _, err := s.maker(s).Settle(context.Background()); err != nil {
					t.Fatal(err)
				}
				if len(s.events) == 0 || s.events[0].Outcome != audit.Failure || !s.events[0].After.After(asked) {
					t.Errorf("told as %+v; the first line is of %v", s.events, asked)
				}
				<-over
			})
		})
	}
}

// TestA3_WhoseLogHangsLeavesItToOthers has two processes carry on what a third owes, of
// which the one with a log that hangs looks first.
func TestA3_WhoseLogHangsLeavesItToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{notes: map[string]note{"n": {Name: "n"}}}
		before := s.notes["n"]
		_, err := s.maker(failing{0, audit.ErrInDoubt}).Decide(context.Background(), decision.Change[note]{
			Event: audit.Event{Action: audit.ClientChanged, Outcome: audit.Success}, Before: &before, After: note{Name: "n", Text: "x"},
		})
		if !errors.Is(err, decision.ErrNotRecorded) {
			t.Fatal(err)
		}
		_, _ = s.maker(knowing{failing{time.Second, audit.ErrInDoubt}}).Settle(context.Background())
		if n, err := s.maker(s).Settle(context.Background()); n != 1 || err != nil || len(s.events) != 1 {
			t.Errorf("%d carried on, %v: %+v", n, err, s.events)
		}
	})
}

// TestA3_WhatIsOwedIsLeftToOthers has a process take rights away whose log hangs, and look
// again and again at what it owes: it keeps nobody from telling it.
func TestA3_WhatIsOwedIsLeftToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		followed := 0
		s := &shelf{notes: map[string]note{"n": {Name: "n"}}, follow: func() error { followed++; return nil }}
		before := s.notes["n"]
		after := note{Name: "n", Text: "disabled"}
		_, err := s.maker(failing{time.Second, audit.ErrInDoubt}).Decide(context.Background(), decision.Change[note]{
			Event: audit.Event{Action: audit.ClientDisabled, Outcome: audit.Success}, Before: &before, After: after,
		})
		if !errors.Is(err, decision.ErrOwed) {
			t.Fatal(err)
		}
		owed := s.notes["n"].Held
		_, _ = s.maker(knowing{failing{time.Second, audit.ErrInDoubt}}).Settle(context.Background())
		if s.notes["n"].Held.Version != owed.Version {
			t.Error("it was taken up by whose log is known to hang")
		}
		if n, err := s.maker(s).Settle(context.Background()); n != 1 || err != nil || len(s.events) != 1 || followed != 1 {
			t.Errorf("%d carried on, %v, followed %d times: %+v", n, err, followed, s.events)
		}
	})
}

// knowing is a log that knows that it takes nothing.
type knowing struct{ failing }

func (knowing) Away() (why error, stands bool) { return audit.ErrInDoubt, false }
