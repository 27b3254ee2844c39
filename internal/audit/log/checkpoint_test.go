package log_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/audit/line"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

func count(t *testing.T, f *audittest.Fixture, a audit.Action) int {
	t.Helper()
	return strings.Count(strings.Join(f.Lines(t), "\n"), `"action":"`+string(a)+`"`)
}

func TestA2_CheckpointsByNumberByTimeAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := audittest.NewFixture(t)
		l := f.Open(t, func(o *auditlog.Options) { o.CheckpointEvery = time.Minute })
		expect := func(when string, checkpoints int) {
			t.Helper()
			synctest.Wait()
			if got := count(t, f, audit.Checkpoint); got != checkpoints {
				t.Errorf("%s: %d checkpoints, want %d", when, got, checkpoints)
			}
			a := f.Anchors.All()[0]
			if n := int64(len(f.Lines(t))); checkpoints > 0 && a.Seq >= n {
				t.Errorf("%s: line %d of %d is anchored", when, a.Seq, n)
			}
		}
		audittest.Record(t, l, 1)
		expect("after the first line", 1)
		audittest.Record(t, l, 4)
		expect("after four more", 1)
		audittest.Record(t, l, 1)
		expect("after five", 2)
		audittest.Elapse(3 * time.Minute)
		expect("when nothing is new", 2)
		audittest.Record(t, l, 1)
		audittest.Elapse(time.Minute)
		expect("after a minute", 3)
		audittest.Record(t, l, 1)
		audittest.Close(t, l)
		expect("at the end", 4)
		lines := f.Lines(t)
		if a := f.Anchors.All()[0]; a.Seq != int64(len(lines)-1) || a.Chain != l.Chain() || a.Node != l.Node() {
			t.Errorf("the head was not anchored: %+v", a)
		}
		if rep := audittest.MustVerify(t, f.Options(), f.Path); rep.Checkpoints != 4 || rep.Anchored != 1 {
			t.Errorf("%+v", rep)
		}
	})
}

func TestA2_WithoutASignerTheHeadIsAnchoredAllTheSame(t *testing.T) {
	f := audittest.NewFixture(t)
	l := f.Open(t)
	l.SetSigner(nil)
	audittest.Record(t, l, 3)
	audittest.Close(t, l)
	if a := f.Anchors.All(); len(a) != 1 || a[0].Seq != 2 || count(t, f, audit.Checkpoint) != 0 {
		t.Errorf("%+v", a)
	}
	audittest.MustVerify(t, verify.Options{Anchors: f.Anchors.All()}, f.Path)
}

func TestA2_TheChainIsAnnouncedBeforeItsFirstLine(t *testing.T) {
	f := audittest.NewFixture(t)
	l := f.Open(t)
	early := &announced{t: t, f: f}
	l.SetAnchors(early)
	audittest.Record(t, l, 1)
	audittest.Close(t, l)
	if early.first.Seq != -1 || early.first.Hash != line.NoHash || early.first.Chain != l.Chain() {
		t.Errorf("%+v", early.first)
	}
}

// announced keeps the first anchor and checks that the file was empty then.
type announced struct {
	audittest.MemoryAnchors
	t     *testing.T
	f     *audittest.Fixture
	first audit.Anchor
}

func (a *announced) SetAnchor(ctx context.Context, anchor audit.Anchor) error {
	if a.first.Chain == "" {
		a.first = anchor
		if lines := a.f.Lines(a.t); lines[0] != "" {
			a.t.Errorf("%d lines were there before", len(lines))
		}
	}
	return a.MemoryAnchors.SetAnchor(ctx, anchor)
}

func TestA3_CheckpointsThatFailDoNotFailDecisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := audittest.NewFixture(t)
		f.Signer.Fail(errors.New("no key"))
		f.Anchors.FailHeads(errors.New("store is down"))
		var mu sync.Mutex
		var errs []string
		l := f.Open(t, func(o *auditlog.Options) {
			o.CheckpointEvery = time.Minute
			o.OnError = func(err error) {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err.Error())
			}
		})
		audittest.Record(t, l, 3)
		audittest.Elapse(time.Minute)
		all := strings.Join(errs, "\n")
		if !strings.Contains(all, "no key") || !strings.Contains(all, "store is down") {
			t.Errorf("reported: %s", all)
		}
		f.Signer.Fail(nil)
		f.Anchors.Fail(nil)
		audittest.Elapse(time.Minute)
		if a := f.Anchors.All(); count(t, f, audit.Checkpoint) != 1 || len(a) != 1 || a[0].Seq != 3 {
			t.Errorf("not tried again: %+v", a)
		}
		audittest.Close(t, l)
		audittest.MustVerify(t, f.Options(), f.Path)
	})
}

// TestA2_NoLineBeforeItsChainIsAnnounced has the store's disk full when a command
// begins: no line is left that the store has never heard of, and once there is
// room the same log goes on.
func TestA2_NoLineBeforeItsChainIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := audittest.NewFixture(t)
		f.Anchors.Fail(errors.New("disk is full"))
		l := f.Open(t)
		for range 3 {
			err := l.Record(t.Context(), audit.Event{Action: audit.UserAdded, Outcome: audit.Success})
			if !errors.Is(err, audit.ErrNotRecorded) || !strings.Contains(err.Error(), "not announced to the store: disk is full") {
				t.Errorf("got %v", err)
			}
		}
		if n := f.Anchors.Called(); n != 1 {
			t.Errorf("the store was asked %d times at once", n)
		}
		if lines := f.Lines(t); lines[0] != "" {
			t.Errorf("%d lines", len(lines))
		}
		f.Anchors.Fail(nil)
		audittest.Elapse(time.Second)
		audittest.Record(t, l, 2)
		audittest.Close(t, l)
		audittest.MustVerify(t, f.Options(), f.Path)
	})
}

func TestA2_AnAnchorThatFailedIsOwedWhileNothingIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := audittest.NewFixture(t)
		f.Anchors.FailHeads(errors.New("store is down"))
		l := f.Open(t, func(o *auditlog.Options) { o.CheckpointEvery = time.Minute })
		audittest.Record(t, l, 1)
		synctest.Wait()
		f.Anchors.Fail(nil)
		audittest.Elapse(time.Minute)
		if a := f.Anchors.All(); len(a) != 1 || a[0].Seq != 1 {
			t.Errorf("%+v", a)
		}
		calls := f.Anchors.Called()
		audittest.Elapse(5 * time.Minute)
		if f.Anchors.Called() != calls {
			t.Error("the head was anchored again though nothing was new")
		}
		audittest.Close(t, l)
	})
}

// syncing counts the lines that were written and synced.
type syncing struct {
	mu             sync.Mutex
	written, safe  int
	first          int // lines of the first write
	anchoredBefore bool
}

// watch has s count what l writes.
func (s *syncing) watch(l *auditlog.Log) {
	l.Spy(func(b []byte) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.written += bytes.Count(b, []byte("\n"))
		if s.first == 0 {
			s.first = s.written
		}
	}, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.safe = s.written
	})
}

// synced is an AnchorStore that refuses what a power loss could take back.
type synced struct {
	audittest.MemoryAnchors
	s *syncing
}

func (a *synced) SetAnchor(ctx context.Context, anchor audit.Anchor) error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if anchor.Seq >= int64(a.s.safe) {
		a.s.anchoredBefore = true
	}
	return a.MemoryAnchors.SetAnchor(ctx, anchor)
}

func TestA2_WhatIsAnchoredIsOnTheDisk(t *testing.T) {
	f := audittest.NewFixture(t)
	l := f.Open(t)
	s := &syncing{}
	s.watch(l)
	l.SetAnchors(&synced{s: s})
	audittest.Record(t, l, 12)
	audittest.Close(t, l)
	if s.anchoredBefore || s.safe < 12 {
		t.Errorf("a line was anchored before it was synced; %d were", s.safe)
	}
}

// TestA2_TheFirstLineIsSignedInOneWrite has kill -9 no moment to leave a line in
// the log that no key vouches for.
func TestA2_TheFirstLineIsSignedInOneWrite(t *testing.T) {
	f := audittest.NewFixture(t)
	l := f.Open(t)
	s := &syncing{}
	s.watch(l)
	audittest.Record(t, l, 1)
	audittest.Close(t, l)
	if s.first != 2 {
		t.Errorf("%d lines in the first write; want the event and its checkpoint", s.first)
	}
}

func TestASignerThatReturnsNoJWSIsRefused(t *testing.T) {
	f := audittest.NewFixture(t)
	var reported error
	l := f.Open(t, func(o *auditlog.Options) { o.OnError = func(err error) { reported = err } })
	l.SetSigner(badSigner{})
	audittest.Record(t, l, 1)
	audittest.Close(t, l)
	if reported == nil || count(t, f, audit.Checkpoint) != 0 {
		t.Errorf("reported %v", reported)
	}
	if _, err := os.Stat(f.Path); err != nil {
		t.Fatal(err)
	}
	audittest.MustVerify(t, verify.Options{Anchors: f.Anchors.All()}, f.Path)
}

// TestASignerThatFailsIsAskedSeldom: each attempt may cost much, and events wait.
func TestASignerThatFailsIsAskedSeldom(t *testing.T) {
	f := audittest.NewFixture(t)
	reported := 0
	l := f.Open(t, func(o *auditlog.Options) { o.CheckpointLines, o.OnError = 10, func(error) { reported++ } })
	l.SetSigner(badSigner{})
	audittest.Record(t, l, 30) // one to a batch
	audittest.Close(t, l)
	if want := 1 + 3 + 1 + 3; reported != want {
		t.Errorf("asked %d times; want %d: for the first event, every 10, and at the end four times", reported, want)
	}
}

type badSigner struct{}

func (badSigner) Sign(string, []byte) (string, string, error) { return "a\"b", "k", nil }

// away is an AnchorStore that answers no more once a chain is announced.
type away struct{ audittest.MemoryAnchors }

func (a *away) SetAnchor(ctx context.Context, anchor audit.Anchor) error {
	if anchor.Seq < 0 {
		return a.MemoryAnchors.SetAnchor(ctx, anchor)
	}
	<-ctx.Done()
	return ctx.Err()
}

// TestCloseDoesNotTakeAStoreThatIsAwayForASinkThatHangs has one anchor on its way and
// one to come, each of which the store would hold up for longer than Close waits.
func TestCloseDoesNotTakeAStoreThatIsAwayForASinkThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := audittest.NewFixture(t)
		l := f.Open(t)
		l.SetAnchors(&away{})
		audittest.Record(t, l, 1)
		synctest.Wait()
		audittest.Record(t, l, 1)
		audittest.Close(t, l)
		if lines := f.Lines(t); len(lines) < 2 {
			t.Errorf("%d lines", len(lines))
		}
	})
}
