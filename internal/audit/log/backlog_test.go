package log_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/audit/line"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// gated is a writer that hangs while its gate is closed.
type gated struct {
	mu   sync.Mutex
	text bytes.Buffer
	gate chan struct{} // nil: open
}

func (w *gated) Write(b []byte) (int, error) {
	w.mu.Lock()
	gate := w.gate
	w.mu.Unlock()
	if gate != nil {
		<-gate
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}

func (w *gated) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gate = make(chan struct{})
}

func (w *gated) open() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.gate)
	w.gate = nil
}

// TestA3_AHangingSinkIsBuffered records into a sink that hangs: three events may
// be kept, two lost, and the next is refused. Nothing that was kept is missing
// afterwards, and the loss is told.
func TestA3_AHangingSinkIsBuffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &gated{}
		l, err := auditlog.Open(auditlog.Options{Writer: w, Node: "n", Keep: 3, Lose: 2})
		if err != nil {
			t.Fatal(err)
		}
		audittest.Record(t, l, 1)
		w.close()
		audittest.Record(t, l, 5)
		if err := l.Record(t.Context(), audit.Event{Action: audit.UserRead, Detail: "refused"}); !errors.Is(err, auditlog.ErrBacklog) {
			t.Errorf("the sixth event: %v", err)
		}
		if got := l.Backlog(); got != (auditlog.Backlog{Held: 3, Lost: 2}) || l.Failures() != 1 {
			t.Errorf("%+v, %d failures", got, l.Failures())
		}
		w.open()
		audittest.Elapse(time.Second)
		audittest.Record(t, l, 1)
		audittest.Close(t, l)
		if got := l.Backlog(); got != (auditlog.Backlog{Lost: 2}) {
			t.Errorf("afterwards %+v", got)
		}
		rep := audittest.MustVerify(t, verify.Options{}, audittest.WriteLines(t, audittest.SplitLines(w.text.String())))
		if rep.Lines != 6 || strings.Contains(w.text.String(), "refused") || strings.Count(w.text.String(), `"count":2,"detail":"from `) != 1 {
			t.Errorf("%+v\n%s", rep, w.text.String())
		}
	})
}

// TestA3_AFullQueueKeepsNobody fills the queue of a log whose sink hangs, so that
// an event that may be kept finds no room: its caller leaves when its time is
// over, and what it was granted is there for the next.
func TestA3_AFullQueueKeepsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &gated{}
		l, err := auditlog.Open(auditlog.Options{Writer: w, Node: "n", Keep: 3})
		if err != nil {
			t.Fatal(err)
		}
		audittest.Record(t, l, 1)
		w.close()
		e := audit.Event{Action: audit.UserRead}
		var all sync.WaitGroup
		all.Go(func() { audittest.Record(t, l, 1) }) // stalls after a second
		audittest.Elapse(auditlog.StallTime / 2)
		brief, cancel := context.WithTimeout(t.Context(), auditlog.StallTime)
		defer cancel()
		for range auditlog.QueueLen + 3 {
			all.Go(func() { _ = l.Record(brief, e) }) // kept, or refused at the end
		}
		audittest.Elapse(auditlog.StallTime/2 + auditlog.StallTime/4)
		if got := l.Backlog().Held; got != 1 {
			t.Fatalf("%d events are held; want the one that stalled", got)
		}
		briefer, cancel := context.WithTimeout(t.Context(), auditlog.StallTime/8)
		defer cancel()
		if err := l.Record(briefer, e); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, audit.ErrNotRecorded) {
			t.Errorf("an event that found no room: %v", err)
		}
		if got := l.Backlog().Held; got != 1 {
			t.Errorf("%d events are held; want the one that stalled", got)
		}
		w.open()
		all.Wait()
		audittest.Close(t, l)
		audittest.MustVerify(t, verify.Options{}, audittest.WriteLines(t, audittest.SplitLines(w.text.String())))
	})
}

// TestA3_ALossThatCouldNotBeToldIsToldWithMore loses events while the line about
// those before them cannot be written: the line that is written in the end has
// them all, from the first to the last.
func TestA3_ALossThatCouldNotBeToldIsToldWithMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &limited{}
		var said []string
		l, err := auditlog.Open(auditlog.Options{Writer: w, Node: "n", Lose: 4, OnError: func(err error) { said = append(said, err.Error()) }})
		if err != nil {
			t.Fatal(err)
		}
		first := time.Now()
		audittest.Record(t, l, 2)
		audittest.Elapse(4 * auditlog.RetryTime) // the line about them fails
		audittest.Record(t, l, 1)
		audittest.Elapse(auditlog.RetryTime / 2)
		last := time.Now()
		audittest.Record(t, l, 1)
		if err := l.Record(t.Context(), audit.Event{Action: audit.UserRead}); !errors.Is(err, auditlog.ErrBacklog) {
			t.Errorf("the fifth event: %v", err)
		}
		w.refill(1 << 20)
		audittest.Elapse(2 * auditlog.RetryTime)
		audittest.Close(t, l)
		want := `"count":4,"detail":"from ` + first.UTC().Format(line.TimeLayout) + " to " + last.UTC().Format(line.TimeLayout) + ": "
		if !strings.Contains(w.String(), want) || l.Backlog() != (auditlog.Backlog{Lost: 4}) {
			t.Errorf("the log lacks %s\n%s%+v", want, w.String(), l.Backlog())
		}
		if !strings.Contains(said[0], "4 events are lost, then decisions stop: ") {
			t.Errorf("the operational log was told %q", said)
		}
	})
}

// TestA3_AFailingSinkIsBuffered has many callers share a sink that fails in the
// midst of a batch, and comes back: whatever was acknowledged is written once or
// told as lost.
func TestA3_AFailingSinkIsBuffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &limited{room: 3000}
		l, err := auditlog.Open(auditlog.Options{Writer: w, Node: "n", Keep: 7, Lose: 5})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var stood atomic.Int64
		for range 40 {
			wg.Go(func() {
				if l.Record(context.Background(), audit.Event{Action: audit.TokenIssued, Outcome: audit.Success, UserID: "u1"}) == nil {
					stood.Add(1)
				}
			})
		}
		wg.Wait()
		if b := l.Backlog(); b != (auditlog.Backlog{Held: 7, Lost: 5}) {
			t.Errorf("%+v", b)
		}
		w.refill(1 << 20)
		audittest.Elapse(2 * auditlog.RetryTime)
		if b := l.Backlog(); b != (auditlog.Backlog{Lost: 5}) {
			t.Errorf("when the sink is back: %+v", b)
		}
		audittest.Close(t, l)
		var whole []string
		for _, text := range audittest.SplitLines(w.String()) {
			if line.IsWhole([]byte(text)) {
				whole = append(whole, text)
			}
		}
		audittest.MustVerify(t, verify.Options{}, audittest.WriteLines(t, whole))
		if n := strings.Count(strings.Join(whole, "\n"), `"action":"token-issued"`); int64(n+5) != stood.Load() {
			t.Errorf("%d decisions stood; %d events are written and 5 told as lost", stood.Load(), n)
		}
	})
}
