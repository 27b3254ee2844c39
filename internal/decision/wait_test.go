package decision_test

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/decision"
)

// note is a record with a name and a text.
type note struct {
	Name, Text string
	Held       decision.Held `json:"-"`
}

var (
	errNone     = errors.New("no such note")
	errTaken    = errors.New("the name is taken")
	errConflict = errors.New("changed meanwhile")
)

// shelf keeps notes, with their events.
type shelf struct {
	mu     sync.Mutex
	notes  map[string]note
	events []audit.Event
	// hung, if it is there, keeps the log from answering until it is closed; nothing
	// was written then.
	hung chan struct{}
	// meanwhile is called before an event is written.
	meanwhile func()
	// notify gives notices; follow is what follows from a change of the note's text.
	notify func(id string, text json.RawMessage) error
	follow func() error
	// retreats is that of its records.
	retreats bool
}

func (s *shelf) Record(_ context.Context, e audit.Event) error {
	if s.hung != nil {
		<-s.hung
		return errors.New("it hung")
	}
	if s.meanwhile != nil {
		s.meanwhile()
	}
	s.events = append(s.events, e)
	return nil
}

func (s *shelf) replace(_ context.Context, seen, next note) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now, ok := s.notes[seen.Name]; !ok || now.Held.Version != seen.Held.Version {
		return errConflict
	}
	next.Held.Version = seen.Held.Version + 1
	s.notes[seen.Name] = next
	return nil
}

func (s *shelf) maker(log audit.Recorder) *decision.Maker[note] {
	return &decision.Maker[note]{Audit: log, Now: time.Now, Records: decision.Records[note]{
		Held: func(n *note) *decision.Held { return &n.Held },
		Create: func(_ context.Context, n note) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if _, ok := s.notes[n.Name]; ok {
				return errTaken
			}
			s.notes[n.Name] = n
			return nil
		},
		Read:    s.read,
		Replace: s.replace,
		Remove: func(_ context.Context, seen note) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.notes[seen.Name].Held.Version != seen.Held.Version {
				return errConflict
			}
			delete(s.notes, seen.Name)
			return nil
		},
		Pending: func(context.Context, int) (pending []note, err error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, n := range s.notes {
				if !n.Held.Free() {
					pending = append(pending, n)
				}
			}
			return pending, nil
		},
		Refused: func(err error) (audit.Reason, bool) {
			if errors.Is(err, errConflict) || errors.Is(err, errNone) || errors.Is(err, errTaken) {
				return audit.ReasonConflict, true
			}
			return audit.Reason{}, false
		},
		Conflict: errConflict,
		Same:     func(now, after note) bool { return now.Text == after.Text && now.Held.Unborn == after.Held.Unborn },
		Retreats: s.retreats,
		Follows: func(a audit.Action) bool {
			return s.follow != nil && (a == audit.ClientChanged || a == audit.ClientDisabled)
		},
		Follow: func(context.Context, note, *audit.Event) error {
			if s.follow == nil {
				return nil
			}
			return s.follow()
		},
		Notify: func(_ context.Context, id string, text json.RawMessage) error {
			if s.notify == nil {
				return errors.New("there is nobody to give it")
			}
			return s.notify(id, text)
		},
	}}
}

func (s *shelf) read(_ context.Context, n note) (note, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, ok := s.notes[n.Name]
	if !ok {
		return n, errNone
	}
	return now, nil
}

// unborn reports whether err is that a note still to be born has the name.
func (s *shelf) unborn(name string) func(error) bool {
	return func(err error) bool {
		now, _ := s.read(context.Background(), note{Name: name})
		return errors.Is(err, errTaken) && now.Held.Unborn
	}
}

// TestA3_ARepeatWaitsForWhoDied lets a command die between the proposal and its
// event. An operator who repeats it at once is served when its time is over; a
// request of a server is told to try again, at once.
func TestA3_ARepeatWaitsForWhoDied(t *testing.T) {
	event := func(a audit.Action) audit.Event { return audit.Event{Action: a, Outcome: audit.Success, ClientID: "n"} }
	for name, act := range map[string]func(ctx context.Context, s *shelf, log audit.Recorder) error{
		"a change": func(ctx context.Context, s *shelf, log audit.Recorder) error {
			_, _, err := s.maker(log).Revise(ctx, decision.Revision[note]{
				Event: event(audit.ClientChanged),
				Read:  func(ctx context.Context) (note, error) { return s.read(ctx, note{Name: "old"}) },
				Alter: func(n *note, _ *audit.Event) error { n.Text += "x"; return nil },
			})
			return err
		},
		"a birth": func(ctx context.Context, s *shelf, log audit.Recorder) error {
			return s.maker(log).Add(ctx, decision.Change[note]{Event: event(audit.ClientAdded), After: note{Name: "new", Text: "x"}}, s.unborn("new"))
		},
	} {
		for _, other := range []string{"", "a server settles it", "its maker withdraws it"} {
			t.Run(name+", "+other, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					operator := audit.WithRequest(t.Context(), audit.Request{Operator: audit.Operator{User: "root", PID: 1}})
					s := &shelf{notes: map[string]note{"old": {Name: "old"}}}
					dead := &shelf{hung: make(chan struct{})}
					go func() { _ = act(context.Background(), s, dead) }()
					synctest.Wait()
					began := time.Now()
					if err := act(context.Background(), s, s); !errors.Is(err, decision.ErrUnderWay) || time.Since(began) != 0 {
						t.Errorf("a request, after %v: %v", time.Since(began), err)
					}
					switch other {
					case "":
						defer close(dead.hung)
					case "a server settles it":
						defer close(dead.hung)
						go func() {
							time.Sleep(decision.Grace)
							_, _ = s.maker(s).Settle(context.Background())
						}()
					default:
						time.AfterFunc(time.Second, func() { close(dead.hung) })
					}
					err := act(operator, s, s)
					if took := time.Since(began); took > decision.Grace+time.Second {
						t.Errorf("it took %v", took)
					}
					text, births := s.notes["old"].Text, len(s.notes)-1
					switch withdrawn := other == "its maker withdraws it"; {
					case name == "a birth" && (births != 1 || withdrawn != (err == nil) || !withdrawn && !errors.Is(err, errTaken)):
						t.Errorf("%d births, %v", births, err)
					case name == "a change" && (err != nil || withdrawn && text != "x" || !withdrawn && text != "xx"):
						t.Errorf("%q, %v", text, err)
					}
					if len(s.events) != births+len(text) {
						t.Errorf("events %+v", s.events)
					}
				})
			})
		}
	}
}

// TestA3_TakingRightsAwayWaitsForNoChangeInDoubt lets a change hang between the proposal
// and its event, or die there, and somebody take rights away meanwhile: that stands at
// once, the change comes to nothing, and the log has both in the end.
func TestA3_TakingRightsAwayWaitsForNoChangeInDoubt(t *testing.T) {
	for _, dies := range []bool{false, true} {
		for owed := range 20 {
			synctest.Test(t, func(t *testing.T) {
				change := func(ctx context.Context, s *shelf, log audit.Recorder, action audit.Action, text string) error {
					_, _, err := s.maker(log).Revise(ctx, decision.Revision[note]{
						Event: audit.Event{Action: action, Outcome: audit.Success, ClientID: "n"},
						Read:  func(ctx context.Context) (note, error) { return s.read(ctx, note{Name: "n"}) },
						Alter: func(n *note, _ *audit.Event) error { n.Text = text; return nil },
					})
					return err
				}
				operator := audit.WithRequest(context.Background(), audit.Request{Operator: audit.Operator{User: "root", PID: 1}})
				s := &shelf{notes: map[string]note{"n": {Name: "n", Text: "as it was"}}}
				away := &shelf{hung: make(chan struct{})}
				for range owed { // by others, who may be many
					go func() { _ = change(operator, s, away, audit.SessionsEnded, "as it was") }()
					synctest.Wait()
				}
				if owed == 0 {
					go func() { _ = change(context.Background(), s, away, audit.ClientChanged, "changed") }()
					synctest.Wait()
				}
				done := make(chan error, 1)
				go func() { done <- change(operator, s, away, audit.ClientDisabled, "disabled") }()
				synctest.Wait()
				if now := s.notes["n"]; now.Text != "disabled" {
					t.Fatalf("with %d owed, it stands as %q", owed, now.Text)
				}
				if !dies {
					close(away.hung) // and nothing was written
					if err := <-done; !errors.Is(err, decision.ErrOwed) {
						t.Errorf("the end of rights: %v", err)
					}
				} else {
					defer close(away.hung)
				}
				time.Sleep(decision.Grace + time.Second)
				if _, err := s.maker(s).Settle(context.Background()); err != nil || !s.notes["n"].Held.Free() || s.notes["n"].Text != "disabled" {
					t.Errorf("%v; it stands as %+v", err, s.notes["n"])
				}
				last := s.events[len(s.events)-1]
				if len(s.events) != max(owed, 1)+1 || last.Action != audit.ClientDisabled || last.Outcome != audit.Success {
					t.Errorf("events %+v", s.events)
				}
				if first := s.events[0]; owed == 0 && (first.Action != audit.ClientChanged || first.Outcome != audit.Failure) {
					t.Errorf("the change is told as %+v", first)
				}
			})
		}
	}
}

// TestA3_WhatIsAboutToBeGivenCanBeTakenAway lets a change that gives something hang before
// its event, and somebody take that away meanwhile: it comes to nothing. What neither the
// record nor the change gives cannot be taken.
func TestA3_WhatIsAboutToBeGivenCanBeTakenAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{notes: map[string]note{"n": {Name: "n"}}}
		revise := func(log audit.Recorder, action audit.Action, alter func(*note) error) error {
			_, _, err := s.maker(log).Revise(context.Background(), decision.Revision[note]{
				Event: audit.Event{Action: action, Outcome: audit.Success, ClientID: "n"},
				Read:  func(ctx context.Context) (note, error) { return s.read(ctx, note{Name: "n"}) },
				Alter: func(n *note, _ *audit.Event) error { return alter(n) },
			})
			return err
		}
		take := func(what string) error {
			return revise(s, audit.ConsentWithdrawn, func(n *note) error {
				if n.Text != what {
					return errNone
				}
				n.Text = ""
				return nil
			})
		}
		away := &shelf{hung: make(chan struct{})}
		given := make(chan error, 1)
		go func() {
			given <- revise(away, audit.ConsentGiven, func(n *note) error { n.Text = "wiki"; return nil })
		}()
		synctest.Wait()
		if err := take("shop"); !errors.Is(err, errNone) {
			t.Errorf("what nobody gives: %v", err)
		}
		if err := take("wiki"); err != nil {
			t.Errorf("what is about to be given: %v", err)
		}
		close(away.hung)
		if err := <-given; err == nil {
			t.Error("the consent stands")
		}
		time.Sleep(decision.Grace + time.Second)
		if _, err := s.maker(s).Settle(context.Background()); err != nil || s.notes["n"].Text != "" || !s.notes["n"].Held.Free() {
			t.Errorf("%v; it stands as %+v", err, s.notes["n"])
		}
		if len(s.events) != 2 || s.events[0].Action != audit.ConsentGiven || s.events[0].Outcome != audit.Failure || s.events[1].Action != audit.ConsentWithdrawn {
			t.Errorf("events %+v", s.events)
		}
	})
}

// TestF7_WhatADeadProcessOwedIsDoneFirst lets a process die between a decision that
// stands at once and its consequences, and somebody decide on the same record before
// another process has carried it on.
func TestF7_WhatADeadProcessOwedIsDoneFirst(t *testing.T) {
	for _, next := range []audit.Action{audit.ClientChanged, audit.ClientDisabled} {
		synctest.Test(t, func(t *testing.T) {
			s := &shelf{notes: map[string]note{"n": {Name: "n"}}}
			var ended []audit.Action
			decide := func(ctx context.Context, action audit.Action, follow func() error) error {
				m := s.maker(s)
				m.Records.Follows = func(audit.Action) bool { return true }
				m.Records.Follow = func(_ context.Context, _ note, e *audit.Event) error {
					if err := follow(); err != nil {
						return err
					}
					e.Count++
					ended = append(ended, e.Action)
					return nil
				}
				_, _, err := m.Revise(ctx, decision.Revision[note]{
					Event: audit.Event{Action: action, Outcome: audit.Success, ClientID: "n"},
					Read:  func(ctx context.Context) (note, error) { return s.read(ctx, note{Name: "n"}) },
					Alter: func(n *note, _ *audit.Event) error { n.Text += "x"; return nil },
				})
				return err
			}
			go func() {
				_ = decide(context.Background(), audit.SessionsEnded, func() error { runtime.Goexit(); return nil })
			}()
			synctest.Wait()
			if err := decide(t.Context(), next, func() error { return errNone }); !errors.Is(err, errNone) || s.notes["n"].Text != "x" {
				t.Errorf("where nothing can follow: %v, %+v", err, s.notes["n"])
			}
			if err := decide(t.Context(), next, func() error { return nil }); err != nil {
				t.Error(err)
			}
			if len(ended) != 2 || ended[0] != audit.SessionsEnded || ended[1] != next {
				t.Errorf("what followed: %v", ended)
			}
			if len(s.events) != 2 || s.events[0].Action != audit.SessionsEnded || s.events[0].Count != 1 {
				t.Errorf("events %+v", s.events)
			}
		})
	}
}

// TestA3_TakingRightsAwayIsDoneThoughTheLogHangs: it waits for its event as long as is
// documented, whoever asks.
func TestA3_TakingRightsAwayIsDoneThoughTheLogHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{notes: map[string]note{"n": {Name: "n", Text: "as it was"}}}
		before, began := s.notes["n"], time.Now()
		_, err := s.maker(hanging{}).Decide(context.Background(), decision.Change[note]{
			Event: audit.Event{Action: audit.ClientDisabled, Outcome: audit.Success}, Before: &before, After: note{Name: "n", Text: "disabled"},
		})
		if took := time.Since(began); !errors.Is(err, decision.ErrOwed) || took > 5*time.Second || s.notes["n"].Text != "disabled" {
			t.Errorf("%v after %v; it stands as %+v", err, took, s.notes["n"])
		}
	})
}

// hanging is a log that answers nobody.
type hanging struct{}

func (hanging) Record(ctx context.Context, _ audit.Event) error {
	<-ctx.Done()
	return ctx.Err()
}

// byOthers are the decisions that no Maker carries out.
var byOthers = map[audit.Action]string{
	audit.TokenRefreshed: "a family's generation is taken back",
	audit.KeyRewrapped:   "the key is what it was, sealed otherwise",
	audit.StoreCopied:    "a file has its name, or has not",
	audit.StoreRestored:  "the same",
}

// TestA1_WhatComesToNothingIsInTheVocabulary has others replace a record, in each
// decision that a Maker carries out, between its event and the change: what is told
// then under the same id is in the vocabulary.
func TestA1_WhatComesToNothingIsInTheVocabulary(t *testing.T) {
	for _, term := range audit.Vocabulary() {
		_, other := byOthers[term.Action]
		if other && term.Stands == audit.Anyway {
			t.Errorf("%s is no decision: take it off the list", term.Action)
		}
		if other || term.Stands == audit.Anyway {
			continue
		}
		s := &shelf{notes: map[string]note{"n": {Name: "n"}}}
		s.meanwhile = func() {
			s.meanwhile = nil
			n := s.notes["n"]
			n.Held.Version++
			if n.Text = "another's"; term.Stands == audit.WithEvent {
				n.Held.SlotID, n.Held.Slot = "", nil
			}
			s.notes["n"] = n
		}
		before := s.notes["n"]
		_, err := s.maker(s).Decide(t.Context(), decision.Change[note]{
			Event: audit.Event{Action: term.Action, Outcome: audit.Success}, Before: &before, After: note{Name: "n", Text: "ours"},
		})
		if term.Stands == audit.WithEvent && !decision.Concluded(err) {
			t.Errorf("%s: %v", term.Action, err)
		}
		if len(s.events) != 2 || s.events[0].ID != s.events[1].ID || s.events[1].Outcome != audit.Failure {
			told, _ := json.Marshal(s.events)
			t.Errorf("%s: %s", term.Action, told)
			continue
		}
		if err := audittest.Check(s.events[1]); err != nil {
			t.Error(err)
		}
	}
}
