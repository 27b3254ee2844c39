package log

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
	"github.com/keyturn/keyturn/internal/audit/line"
)

func count(t *testing.T, f *fixture, a audit.Action) int {
	t.Helper()
	return strings.Count(strings.Join(f.lines(t), "\n"), `"action":"`+string(a)+`"`)
}

func TestA2_CheckpointsByNumberByTimeAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		l := f.open(t, func(o *Options) { o.CheckpointEvery = time.Minute })
		expect := func(when string, checkpoints int) {
			t.Helper()
			synctest.Wait()
			if got := count(t, f, audit.Checkpoint); got != checkpoints {
				t.Errorf("%s: %d checkpoints, want %d", when, got, checkpoints)
			}
			a := f.anchors.all()[0]
			if n := int64(len(f.lines(t))); checkpoints > 0 && a.Seq >= n {
				t.Errorf("%s: line %d of %d is anchored", when, a.Seq, n)
			}
		}
		record(t, l, 1)
		expect("after the first line", 1)
		record(t, l, 4)
		expect("after four more", 1)
		record(t, l, 1)
		expect("after five", 2)
		elapse(3 * time.Minute)
		expect("when nothing is new", 2)
		record(t, l, 1)
		elapse(time.Minute)
		expect("after a minute", 3)
		record(t, l, 1)
		closeLog(t, l)
		expect("at the end", 4)
		lines := f.lines(t)
		if a := f.anchors.all()[0]; a.Seq != int64(len(lines)-1) || a.Chain != l.Chain() || a.Node != l.Node() {
			t.Errorf("the head was not anchored: %+v", a)
		}
		if rep := mustVerify(t, f.options(), f.path); rep.Checkpoints != 4 || rep.Anchored != 1 {
			t.Errorf("%+v", rep)
		}
	})
}

func TestA2_WithoutASignerTheHeadIsAnchoredAllTheSame(t *testing.T) {
	f := newFixture(t)
	l := f.open(t)
	l.SetSigner(nil)
	record(t, l, 3)
	closeLog(t, l)
	if a := f.anchors.all(); len(a) != 1 || a[0].Seq != 2 || count(t, f, audit.Checkpoint) != 0 {
		t.Errorf("%+v", a)
	}
	mustVerify(t, VerifyOptions{Anchors: f.anchors.all()}, f.path)
}

func TestA2_TheChainIsAnnouncedBeforeItsFirstLine(t *testing.T) {
	f := newFixture(t)
	l := f.open(t)
	early := &announced{t: t, f: f}
	l.SetAnchors(early)
	record(t, l, 1)
	closeLog(t, l)
	if early.first.Seq != -1 || early.first.Hash != line.NoHash || early.first.Chain != l.Chain() {
		t.Errorf("%+v", early.first)
	}
}

// announced keeps the first anchor and checks that the file was empty then.
type announced struct {
	memoryAnchors
	t     *testing.T
	f     *fixture
	first audit.Anchor
}

func (a *announced) SetAnchor(ctx context.Context, anchor audit.Anchor) error {
	if a.first.Chain == "" {
		a.first = anchor
		if lines := a.f.lines(a.t); lines[0] != "" {
			a.t.Errorf("%d lines were there before", len(lines))
		}
	}
	return a.memoryAnchors.SetAnchor(ctx, anchor)
}

func TestA3_CheckpointsThatFailDoNotFailDecisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.signer.fail(errors.New("no key"))
		f.anchors.fail(errors.New("store is down"))
		var mu sync.Mutex
		var errs []string
		l := f.open(t, func(o *Options) {
			o.CheckpointEvery = time.Minute
			o.OnError = func(err error) {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err.Error())
			}
		})
		record(t, l, 3)
		elapse(time.Minute)
		all := strings.Join(errs, "\n")
		if !strings.Contains(all, "no key") || !strings.Contains(all, "store is down") || !strings.Contains(all, "announced") {
			t.Errorf("reported: %s", all)
		}
		f.signer.fail(nil)
		f.anchors.fail(nil)
		elapse(time.Minute)
		if a := f.anchors.all(); count(t, f, audit.Checkpoint) != 1 || len(a) != 1 || a[0].Seq != 3 {
			t.Errorf("not tried again: %+v", a)
		}
		closeLog(t, l)
		mustVerify(t, f.options(), f.path)
	})
}

func TestA2_AnAnchorThatFailedIsOwedWhileNothingIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.anchors.fail(errors.New("store is down"))
		l := f.open(t, func(o *Options) { o.CheckpointEvery = time.Minute })
		record(t, l, 1)
		synctest.Wait()
		f.anchors.fail(nil)
		elapse(time.Minute)
		if a := f.anchors.all(); len(a) != 1 || a[0].Seq != 1 {
			t.Errorf("%+v", a)
		}
		calls := f.anchors.called()
		elapse(5 * time.Minute)
		if f.anchors.called() != calls {
			t.Error("the head was anchored again though nothing was new")
		}
		closeLog(t, l)
	})
}

// syncing counts the lines that were synced.
type syncing struct {
	sink
	mu             sync.Mutex
	written, safe  int
	first          int // lines of the first write
	anchoredBefore bool
}

func (s *syncing) append(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written += bytes.Count(b, []byte("\n"))
	if s.first == 0 {
		s.first = s.written
	}
	return s.sink.append(b)
}

func (s *syncing) sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.safe = s.written
	return s.sink.sync()
}

// synced is an AnchorStore that refuses what a power loss could take back.
type synced struct {
	memoryAnchors
	s *syncing
}

func (a *synced) SetAnchor(ctx context.Context, anchor audit.Anchor) error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if anchor.Seq >= int64(a.s.safe) {
		a.s.anchoredBefore = true
	}
	return a.memoryAnchors.SetAnchor(ctx, anchor)
}

func TestA2_WhatIsAnchoredIsOnTheDisk(t *testing.T) {
	f := newFixture(t)
	l := f.open(t)
	s := &syncing{sink: l.sink}
	l.sink = s
	l.SetAnchors(&synced{s: s})
	record(t, l, 12)
	closeLog(t, l)
	if s.anchoredBefore || s.safe < 12 {
		t.Errorf("a line was anchored before it was synced; %d were", s.safe)
	}
}

// TestA2_TheFirstLineIsSignedInOneWrite has kill -9 no moment to leave a line in
// the log that no key vouches for.
func TestA2_TheFirstLineIsSignedInOneWrite(t *testing.T) {
	f := newFixture(t)
	l := f.open(t)
	s := &syncing{sink: l.sink}
	l.sink = s
	record(t, l, 1)
	closeLog(t, l)
	if s.first != 2 {
		t.Errorf("%d lines in the first write; want the event and its checkpoint", s.first)
	}
}

func TestASignerThatReturnsNoJWSIsRefused(t *testing.T) {
	f := newFixture(t)
	var reported error
	l := f.open(t, func(o *Options) { o.OnError = func(err error) { reported = err } })
	l.SetSigner(badSigner{})
	record(t, l, 1)
	closeLog(t, l)
	if reported == nil || count(t, f, audit.Checkpoint) != 0 {
		t.Errorf("reported %v", reported)
	}
	if _, err := os.Stat(f.path); err != nil {
		t.Fatal(err)
	}
	mustVerify(t, VerifyOptions{Anchors: f.anchors.all()}, f.path)
}

// TestASignerThatFailsIsAskedSeldom: each attempt may cost much, and events wait.
func TestASignerThatFailsIsAskedSeldom(t *testing.T) {
	f := newFixture(t)
	reported := 0
	l := f.open(t, func(o *Options) { o.CheckpointLines, o.OnError = 10, func(error) { reported++ } })
	l.SetSigner(badSigner{})
	record(t, l, 30) // one to a batch
	closeLog(t, l)
	if want := 1 + 3 + 1; reported != want {
		t.Errorf("asked %d times; want %d: for the first event, every 10, and at the end", reported, want)
	}
}

type badSigner struct{}

func (badSigner) Sign(string, []byte) (string, string, error) { return "a\"b", "k", nil }
