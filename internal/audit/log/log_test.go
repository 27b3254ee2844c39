package log_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
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

func TestA1_EveryRecordIsOneLineWhenItReturns(t *testing.T) {
	f := audittest.NewFixture(t)
	l := f.Open(t)
	defer audittest.Close(t, l)
	for i := range 3 {
		id := fmt.Sprintf("event-%d", i)
		if err := l.Record(t.Context(), audit.Event{Action: audit.UserRead, Detail: id}); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(strings.Join(f.Lines(t), "\n"), id); n != 1 {
			t.Fatalf("%s stands in the file %d times", id, n)
		}
	}
	info, err := os.Stat(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestA2_ManyGoroutinesAndTwoLogsOnOneFile(t *testing.T) {
	f := audittest.NewFixture(t)
	const logs, callers, each = 2, 16, 40
	var wg sync.WaitGroup
	for n := range logs {
		l := f.Open(t, func(o *auditlog.Options) { o.CheckpointLines = 50 })
		wg.Go(func() {
			var inner sync.WaitGroup
			for c := range callers {
				inner.Go(func() {
					for i := range each {
						e := audit.Event{Action: audit.TokenIssued, Outcome: audit.Success, Detail: fmt.Sprintf("<%d.%d.%d>", n, c, i)}
						if err := l.Record(context.Background(), e); err != nil {
							t.Error(err)
						}
					}
				})
			}
			inner.Wait()
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	rep := audittest.MustVerify(t, f.Options(), f.Path)
	if rep.Chains != logs || rep.Anchored != logs || rep.Lines-rep.Checkpoints != logs*callers*each || len(rep.Notes) != 0 {
		t.Errorf("%+v", rep)
	}
	content := strings.Join(f.Lines(t), "\n")
	for n := range logs {
		for c := range callers {
			for i := range each {
				if d := fmt.Sprintf("<%d.%d.%d>", n, c, i); strings.Count(content, d) != 1 {
					t.Fatalf("event %s stands there %d times", d, strings.Count(content, d))
				}
			}
		}
	}
}

// gate is a writer that waits until it is opened.
type gate struct {
	open chan struct{}
	bytes.Buffer
}

func (g *gate) Write(b []byte) (int, error) {
	<-g.open
	return g.Buffer.Write(b)
}

func TestRecordHonoursTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		l, err := auditlog.Open(auditlog.Options{Writer: g, Node: "n"})
		if err != nil {
			t.Fatal(err)
		}
		start := func(detail string) (end func() error) {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- l.Record(ctx, audit.Event{Action: audit.UserRead, Detail: detail}) }()
			synctest.Wait()
			return func() error { cancel(); return <-done }
		}
		underWay := start("under way")
		withdrawn := start("withdrawn")
		if err := withdrawn(); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "was not written") {
			t.Errorf("got %v", err)
		}
		if err := underWay(); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "may not have been") {
			t.Errorf("got %v", err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.Record(ended, audit.Event{Action: audit.UserRead, Detail: "ended"}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		close(g.open)
		audittest.Close(t, l)
		if out := g.String(); !strings.Contains(out, "under way") || strings.Contains(out, "withdrawn") || strings.Contains(out, "ended") {
			t.Errorf("written: %s", out)
		}
	})
}

func TestAFullQueueHonoursTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		l, err := auditlog.Open(auditlog.Options{Writer: g, Node: "n"})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range auditlog.QueueLen + 1 {
			wg.Go(func() {
				if err := l.Record(context.Background(), audit.Event{Action: audit.UserRead}); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Record(ctx, audit.Event{Action: audit.UserRead}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		close(g.open)
		wg.Wait()
		audittest.Close(t, l)
		if n := strings.Count(g.String(), "\n"); n != auditlog.QueueLen+1 {
			t.Errorf("%d lines", n)
		}
	})
}

func TestA1_WhatWaitsAtCloseIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		l, err := auditlog.Open(auditlog.Options{Writer: g, Node: "n"})
		if err != nil {
			t.Fatal(err)
		}
		const n = 20
		done := make(chan error, n)
		for range n {
			go func() { done <- l.Record(context.Background(), audit.Event{Action: audit.UserRead}) }()
		}
		synctest.Wait()
		closed := make(chan error, 1)
		go func() { closed <- l.Close() }()
		synctest.Wait()
		if err := l.Record(t.Context(), audit.Event{Action: audit.UserRead}); !errors.Is(err, auditlog.ErrClosed) {
			t.Errorf("recording on a closing log: %v", err)
		}
		close(g.open)
		if err := <-closed; err != nil {
			t.Fatal(err)
		}
		for range n {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if got := strings.Count(g.String(), "\n"); got != n {
			t.Errorf("%d lines", got)
		}
	})
}

func TestCloseTwiceAndUseAfterwards(t *testing.T) {
	f := audittest.NewFixture(t)
	l := f.Open(t)
	audittest.Record(t, l, 1)
	audittest.Close(t, l)
	audittest.Close(t, l)
	if err := l.Record(t.Context(), audit.Event{Action: audit.UserRead}); !errors.Is(err, auditlog.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if err := l.Reopen(); !errors.Is(err, auditlog.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestA2_RotationByRenaming(t *testing.T) {
	rename := func(t *testing.T, from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	f := audittest.NewFixture(t)
	old := f.Path + ".1"
	for name, reopen := range map[string]func(l *auditlog.Log) error{
		"told": (*auditlog.Log).Reopen,
		"found out, because another process made the file anew": func(*auditlog.Log) error {
			other := f.Open(t)
			audittest.Record(t, other, 1)
			return other.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			*f = *audittest.NewFixture(t)
			old = f.Path + ".1"
			l := f.Open(t)
			audittest.Record(t, l, 7)
			rename(t, f.Path, old)
			audittest.Record(t, l, 4)
			if n := strings.Count(strings.Join(audittest.ReadLines(t, old), "\n"), string(audit.TokenIssued)); n != 11 {
				t.Fatalf("the renamed file holds %d events", n)
			}
			if err := reopen(l); err != nil {
				t.Fatal(err)
			}
			audittest.Record(t, l, 3)
			audittest.Close(t, l)
			if !strings.Contains(strings.Join(f.Lines(t), "\n"), l.Chain()) {
				t.Fatal("the new file was not found")
			}
			if rep := audittest.MustVerify(t, f.Options(), old, f.Path); len(rep.Notes) != 0 {
				t.Errorf("%+v", rep)
			}
			audittest.MustFind(t, f.Options(), firstOf(t, f.Path, l.Chain()), "are in none of the files", f.Path)
			o := f.Options()
			o.Since = time.Now()
			rep := audittest.MustVerify(t, o, f.Path)
			if len(rep.Notes) != 1 || !strings.Contains(rep.Notes[0], "begins here with line") {
				t.Errorf("%+v", rep)
			}
			part := f.Options()
			part.Partial = true
			audittest.MustVerify(t, part, old)
			if _, err := verify.Files([]string{old}, f.Options()); err == nil {
				t.Error("the rotated file alone passed for the whole log")
			}
			audittest.MustVerify(t, f.Options(), f.Path, old) // in any order
		})
	}
}

func TestA3_ADeletedFileIsMadeAgain(t *testing.T) {
	f := audittest.NewFixture(t)
	l := f.Open(t)
	l.SetSigner(nil)
	defer audittest.Close(t, l)
	audittest.Record(t, l, 1)
	if err := os.Remove(f.Path); err != nil {
		t.Fatal(err)
	}
	audittest.Record(t, l, 1)
	if lines := f.Lines(t); len(lines) != 1 || !strings.Contains(lines[0], l.Chain()) {
		t.Errorf("%q", lines)
	}
}

func TestTheFirstWriteMendsTheEnd(t *testing.T) {
	f := audittest.NewFixture(t)
	f.Write(t, 3)
	whole := strings.Join(f.Lines(t), "\n") + "\n"
	piece := f.Lines(t)[0]
	for name, c := range map[string]struct{ end, want string }{
		"a piece of a line": {piece[:len(piece)/2], ""},
		"a few bytes":       {piece[:5], ""},
		"another's text":    {"something else", "something else\n"},
		"a whole line":      {piece, piece + "\n"},
		"a long text":       {strings.Repeat("x", 2*line.Max), strings.Repeat("x", 2*line.Max) + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(f.Path, []byte(whole+c.end), 0o600); err != nil {
				t.Fatal(err)
			}
			var reported error
			l := f.Open(t, func(o *auditlog.Options) { o.OnError = func(err error) { reported = err } })
			l.SetSigner(nil)
			audittest.Record(t, l, 1)
			got, err := os.ReadFile(f.Path)
			if err != nil {
				t.Fatal(err)
			}
			audittest.Close(t, l)
			if next, ok := strings.CutPrefix(string(got), whole+c.want); !ok || !strings.Contains(next, l.Chain()) || strings.Count(next, "\n") != 1 {
				t.Errorf("got %.300q", got)
			}
			if cut := c.want == ""; cut != (reported != nil) {
				t.Errorf("reported %v", reported)
			}
		})
	}
}

func TestAnotherProcessThatDiedInALineSpoilsNothing(t *testing.T) {
	f := audittest.NewFixture(t)
	l := f.Open(t)
	audittest.Record(t, l, 2)
	piece := f.Lines(t)[0][:100]
	other, err := os.OpenFile(f.Path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(other, piece); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	audittest.Record(t, l, 2)
	audittest.Close(t, l)
	audittest.MustVerify(t, f.Options(), f.Path)
}

func TestOpenRefuses(t *testing.T) {
	if _, err := auditlog.Open(auditlog.Options{}); err == nil || !strings.Contains(err.Error(), "stdout") {
		t.Errorf("got %v", err)
	}
	dir := t.TempDir()
	for _, sink := range []string{dir, filepath.Join(dir, "none", "audit.log")} {
		if l, err := auditlog.Open(auditlog.Options{Sink: sink}); err == nil {
			t.Errorf("%s was opened", sink)
			audittest.Close(t, l)
		}
	}
}

func TestA1_ShapeOfALine(t *testing.T) {
	var out bytes.Buffer
	l, err := auditlog.Open(auditlog.Options{
		Writer: &out, Node: "host", Version: "1.2.3",
		Now: func() time.Time { return time.Date(2026, 11, 24, 1, 2, 3, 456, time.FixedZone("", 3600)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Record(audit.WithRequest(context.Background(), audittest.FullRequest), audittest.Full); err != nil {
		t.Fatal(err)
	}
	audittest.Close(t, l)
	want := `{"keyturn":{"chain":{"id":"` + l.Chain() + `","seq":0,"prev":"` + line.NoHash + `"},` +
		`"client_id":"app","session_id":"s-1","jti":"j-1","kid":"k-1","grant_type":"refresh_token","scope":"openid email",` +
		`"generation":7,"presented_generation":0,"previous":{"at":"1970-01-01T00:00:00.000000005Z","ip":"2001:db8::1","user_agent":"Firefox/140"},"count":3,"detail":"both \"generations\""},` +
		`"@timestamp":"2026-11-24T00:02:03.000000456Z","ecs":{"version":"9.4.0"},` +
		`"event":{"kind":"event","action":"token-reuse","dataset":"keyturn.audit","category":["authentication","session","intrusion_detection"],"type":["end","denied"],"outcome":"failure","reason":"reused_token"},` +
		`"user":{"id":"u-1","name":"ada@example.org","email":"ada@example.org"},"source":{"ip":"192.0.2.7"},"user_agent":{"original":"curl/8"},` +
		`"http":{"request":{"id":"r-1"}},"trace":{"id":"0af7651916cd43dd8448eb211c80319c"},"related":{"ip":["2001:db8::1","192.0.2.7"],"user":["u-1","ada@example.org"],"hosts":["host"]},"host":{"name":"host"},"service":{"name":"keyturn","version":"1.2.3","node":{"name":"` + l.Node() + `"}}}` + "\n"
	if out.String() != want {
		t.Errorf("got  %s\nwant %s", out.String(), want)
	}
}

// firstOf returns where the chain's first line stands in the file.
func firstOf(t *testing.T, path, chain string) int64 {
	t.Helper()
	at := slices.IndexFunc(audittest.ReadLines(t, path), func(text string) bool { return strings.Contains(text, `"id":"`+chain) })
	return int64(at + 1)
}
