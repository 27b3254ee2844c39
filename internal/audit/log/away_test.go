package log_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// TestA3_AFullLogIsToldAndTried has a log get full and have room again while no
// decision comes to try it, since the replica was taken out of service.
func TestA3_AFullLogIsToldAndTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &limited{room: 1 << 20}
		l, err := auditlog.Open(auditlog.Options{Writer: w, Node: "n"})
		if err != nil {
			t.Fatal(err)
		}
		audittest.Record(t, l, 1)
		w.refill(0)
		for range 3 {
			if err := l.Record(t.Context(), audit.Event{Action: audit.UserRead}); err == nil {
				t.Error("recorded")
			}
		}
		if why, stands := l.Away(); !errors.Is(why, errFull) || stands {
			t.Errorf("away: %v, %v", why, stands)
		}
		audittest.Elapse(5 * time.Second)
		w.refill(1 << 20)
		audittest.Elapse(2 * time.Second)
		if why, stands := l.Away(); why != nil || !stands {
			t.Errorf("away: %v, %v", why, stands)
		}
		audittest.Close(t, l)
		if n := strings.Count(w.String(), `"action":"audit-log-resumed"`); n != 1 || !strings.Contains(w.String(), `"count":3`) {
			t.Errorf("%d lines about it: %s", n, w.String())
		}
		if rep := audittest.MustVerify(t, verify.Options{}, audittest.WriteLines(t, audittest.SplitLines(w.String()))); rep.Lines != 2 {
			t.Errorf("%+v", rep)
		}
	})
}

// TestA3_AHangingLogKeepsNobodyTwice has one event wait for a log that hangs as long as
// its caller can, and then an event whose caller could wait for ever, and who closes the
// log. When the log answers, all is as before.
func TestA3_AHangingLogKeepsNobodyTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &gated{}
		l, err := auditlog.Open(auditlog.Options{Writer: w, Node: "n"})
		if err != nil {
			t.Fatal(err)
		}
		audittest.Record(t, l, 1)
		takes := func(what string, want time.Duration, do func() error) {
			t.Helper()
			began := time.Now()
			if err := do(); (err == nil) != (want == 0) || time.Since(began) != want {
				t.Errorf("%s: %v after %v; want %v", what, err, time.Since(began), want)
			}
		}
		unbounded := func() error { return l.Record(t.Context(), audit.Event{Action: audit.UserRead}) }
		w.close()
		takes("an event with five seconds", 5*time.Second, func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			return l.Record(ctx, audit.Event{Action: audit.UserRead})
		})
		takes("the next event", auditlog.StallTime, unbounded)
		if why, stands := l.Away(); why == nil || stands {
			t.Error("a log that hangs does not say so")
		}
		w.open()
		synctest.Wait()
		if why, _ := l.Away(); why != nil {
			t.Errorf("a log that answers is said to be away: %v", why)
		}
		w.close()
		audittest.Elapse(time.Minute) // a write that hung has ended: this one may take its time
		done := make(chan error)
		go func() { done <- unbounded() }()
		audittest.Elapse(time.Minute)
		w.open()
		if err := <-done; err != nil {
			t.Errorf("after a minute: %v", err)
		}
		w.close()
		takes("an event with three seconds", 3*time.Second, func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			return l.Record(ctx, audit.Event{Action: audit.UserRead})
		})
		takes("to close", auditlog.StallTime, l.Close)
		w.open()
	})
}

// TestA3_ALineIsLaterThanTheOneThatDoesNotCount has an event be told that must be later than
// a line of another process, whose clock is ahead.
func TestA3_ALineIsLaterThanTheOneThatDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &limited{room: 1 << 20}
		l, err := auditlog.Open(auditlog.Options{Writer: w, Node: "n"})
		if err != nil {
			t.Fatal(err)
		}
		later := time.Now().Add(10 * time.Second)
		for _, e := range []audit.Event{{Action: audit.UserRead}, {Action: audit.UserChanged, After: later}, {Action: audit.UserRead, After: time.Unix(0, 0)}} {
			if err := l.Record(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		audittest.Close(t, l)
		var at []time.Time
		for _, text := range audittest.SplitLines(w.String()) {
			var line struct {
				At time.Time `json:"@timestamp"`
			}
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatal(err)
			}
			at = append(at, line.At)
		}
		if len(at) < 3 || !at[1].After(later) || !at[2].Before(later) {
			t.Errorf("the lines are of %v; the second must be later than %v", at, later)
		}
		audittest.MustVerify(t, verify.Options{}, audittest.WriteLines(t, audittest.SplitLines(w.String())))
	})
}
