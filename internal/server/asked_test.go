package server_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/mail"
	"github.com/keyturn/keyturn/internal/mail/mailtest"
	"github.com/keyturn/keyturn/internal/outbox"
	"github.com/keyturn/keyturn/internal/store/storetest"
)

// askedLog leaves the first event of a letter that is asked for to first.
type askedLog struct {
	*journal
	first func(ctx context.Context, e audit.Event) error
	asked []audit.Request
}

func (l *askedLog) Record(ctx context.Context, e audit.Event) error {
	if e.Action == audit.LetterAsked {
		l.asked = append(l.asked, audit.RequestFrom(ctx))
		if first := l.first; first != nil {
			l.first = nil
			return first(ctx, e)
		}
	}
	return l.journal.Record(ctx, e)
}

// hangs is a log that may write the event, and does not answer in time.
func (l *askedLog) hangs(lands bool) func(context.Context, audit.Event) error {
	return func(ctx context.Context, e audit.Event) error {
		if lands {
			must(l.t, l.journal.Record(context.WithoutCancel(ctx), e))
		}
		<-ctx.Done()
		return fmt.Errorf("%w: %w", audit.ErrInDoubt, ctx.Err())
	}
}

// letterbox takes letters, unless it answers something else.
type letterbox struct {
	mu      sync.Mutex
	got     []mail.Message
	answers error
}

func (b *letterbox) Send(_ context.Context, m mail.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answers == nil {
		b.got = append(b.got, m)
	}
	return b.answers
}

func (b *letterbox) set(answers error) (got int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers = answers
	return len(b.got)
}

// asker is a world where somebody asks for a letter.
type asker struct {
	*world
	log *askedLog
	box *letterbox
}

func (w *world) asker() *asker {
	a := &asker{w, &askedLog{journal: w.journal}, &letterbox{}}
	w.audit, w.smtp = a.log, &mailtest.Server{}
	w.handler = w.build()
	post := w.users.Post
	post.Carrier = a.box
	post.Box.Kinds = map[string]outbox.Kind{mail.LetterKind: post.Kind()}
	w.journal.take()
	time.Sleep(time.Second) // the account is there before a letter is asked for
	return a
}

// runs has a replica send what waits, for so long.
func (a *asker) runs(d time.Duration) {
	ctx, cancel := context.WithTimeout(a.t.Context(), d)
	defer cancel()
	a.users.Post.Box.Run(ctx)
}

// comes checks what has come of it: so many letters, and events of letters asked for, which
// it returns.
func (a *asker) comes(letters, events int) []audit.Event {
	a.t.Helper()
	var asked []audit.Event
	for _, e := range a.journal.take() {
		if e.Action == audit.LetterAsked {
			asked = append(asked, e)
		}
	}
	if got := a.box.set(nil); got != letters || len(asked) != events {
		a.t.Errorf("%d letters, told %+v; want %d and %d", got, asked, letters, events)
	}
	return append(asked, audit.Event{})
}

func (a *asker) waiting() int {
	a.t.Helper()
	list, err := a.store.Messages(a.t.Context(), "", 10)
	must(a.t, err)
	return len(list)
}

// byOperator asks as a command that waits so long.
func (a *asker) byOperator(ctx context.Context) (status int) {
	switch err := a.users.SendLetter(ctx, a.uid, mail.Reset, ""); {
	case err == nil:
		return 202
	case errors.Is(err, decision.ErrNotRecorded):
		return 503
	default:
		a.t.Error(err)
		return 0
	}
}

// asking runs a test for each way to ask for a letter.
func asking(t *testing.T, test func(t *testing.T, a *asker, ask func() (status int))) {
	for name, ask := range map[string]func(a *asker) int{
		"forgot": func(a *asker) int {
			return a.sendJSON("POST", "/auth/forgot", "", map[string]string{"email": email}).Code
		},
		"sign-up": func(a *asker) int {
			return a.sendJSON("POST", "/auth/signup", "", map[string]string{"email": augusta, "password": long}).Code
		},
		"operator": func(a *asker) int {
			ctx, cancel := context.WithTimeout(a.t.Context(), a.timeout)
			defer cancel()
			return a.byOperator(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newWorld(t).asker()
				test(t, a, func() int { return ask(a) })
			})
		})
	}
}

// TestA3_ALetterThatIsAnswered503IsNeverSent has the log hang until the time of who asks
// for a letter is over. Within seconds the last word says that it came to nothing, and the
// same request is served when the log is well.
func TestA3_ALetterThatIsAnswered503IsNeverSent(t *testing.T) {
	for _, lands := range []bool{false, true} {
		t.Run(fmt.Sprint("lands: ", lands), func(t *testing.T) {
			asking(t, func(t *testing.T, a *asker, ask func() int) {
				var id string
				hangs := a.log.hangs(lands)
				a.log.first = func(ctx context.Context, e audit.Event) error {
					id = e.ID
					return hangs(ctx, e)
				}
				asked := time.Now()
				if status := ask(); status != 503 {
					t.Errorf("status %d", status)
				}
				a.runs(3 * time.Second)
				n := 1
				if lands {
					n = 2
				}
				if e := a.comes(0, n)[n-1]; e.ID != id || e.Outcome != audit.Failure || e.Reason != audit.ReasonConflict || !e.Retold || !e.After.After(asked) {
					t.Errorf("the last word is %+v", e)
				}
				a.runs(time.Hour)
				if a.comes(0, 0); a.waiting() != 0 {
					t.Errorf("%d letters wait", a.waiting())
				}
				if status := ask(); status != 202 {
					t.Errorf("again: status %d", status)
				}
				a.runs(3 * time.Second)
				a.comes(1, 1)
			})
		})
	}
}

// TestA3_ALetterWithoutItsEventIsNotLeft has the log refuse the event.
func TestA3_ALetterWithoutItsEventIsNotLeft(t *testing.T) {
	asking(t, func(t *testing.T, a *asker, ask func() int) {
		a.log.first = func(context.Context, audit.Event) error { return errors.New("no space left on device") }
		if status := ask(); status != 503 || a.waiting() != 0 {
			t.Errorf("status %d, %d letters wait", status, a.waiting())
		}
		a.comes(0, 0)
	})
}

// TestF9_ALetterWhoseServerDiesIsCarriedOn has the process die at the event of a letter.
// Another tells it once, as who asked, and sends the letter, if not at the first try; or,
// where the log is away until the letter is over, tells that it came to nothing.
func TestF9_ALetterWhoseServerDiesIsCarriedOn(t *testing.T) {
	for _, away := range []bool{false, true} {
		t.Run(fmt.Sprint("the log is away: ", away), func(t *testing.T) {
			asking(t, func(t *testing.T, a *asker, ask func() int) {
				var id string
				a.log.first = func(_ context.Context, e audit.Event) error {
					id = e.ID
					runtime.Goexit()
					return nil
				}
				inAProcess(func() { ask() })
				a.runs(3 * time.Second)
				a.comes(0, 0)
				outcome, letters := audit.Success, 1
				if away {
					outcome, letters = audit.Failure, 0
					a.journal.breakDown(true)
					time.Sleep(24 * time.Hour)
					a.runs(3 * time.Second)
					a.journal.breakDown(false)
				}
				a.box.set(errors.New("it does not answer"))
				a.runs(2 * time.Minute)
				e := a.comes(0, 1)[0]
				if e.ID != id || e.Outcome != outcome || !e.Retold {
					t.Errorf("told as %+v", e)
				}
				if by := a.log.asked; by[0] != by[len(by)-1] {
					t.Errorf("told of %+v as of %+v", by[0], by[len(by)-1])
				}
				a.runs(10 * time.Minute)
				if a.comes(letters, 0); a.waiting() != 0 {
					t.Errorf("%d letters wait", a.waiting())
				}
			})
		})
	}
}

// TestF9_ALetterIsCarriedOnBesideACommandThatHangs has the log of a command hang for longer
// than others leave it the letter. Whatever it answers then, the letter was sent, once.
func TestF9_ALetterIsCarriedOnBesideACommandThatHangs(t *testing.T) {
	for _, fails := range []error{nil, errors.New("no space left on device"), audit.ErrInDoubt} {
		synctest.Test(t, func(t *testing.T) {
			a := newWorld(t).asker()
			a.log.first = func(context.Context, audit.Event) error {
				a.runs(2 * time.Minute)
				return fails
			}
			if status := a.byOperator(t.Context()); status != 202 {
				t.Errorf("%v: status %d", fails, status)
			}
			a.runs(2 * time.Minute)
			if e := a.comes(1, 1)[0]; e.Outcome != audit.Success {
				t.Errorf("%v: told as %+v", fails, e)
			}
		})
	}
}

// TestA3_ALetterThatCouldNotBeTakenBack has the store fail, too. Who asks is told that it
// may yet be sent, and the event is told when it is.
func TestA3_ALetterThatCouldNotBeTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFaultyWorld(t)
		a := w.asker()
		a.log.first = func(context.Context, audit.Event) error {
			w.faulty.Inject(func(string) storetest.Fault { return storetest.Fails })
			return errors.New("no space left on device")
		}
		rec := a.sendJSON("POST", "/auth/forgot", "", map[string]string{"email": email})
		w.faulty.Inject(nil)
		if rec.Code != 503 || !strings.Contains(rec.Body.String(), "may yet take effect") {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
		a.runs(2 * time.Minute)
		if e := a.comes(1, 1)[0]; e.Outcome != audit.Success || !e.Retold {
			t.Errorf("told as %+v", e)
		}
	})
}
