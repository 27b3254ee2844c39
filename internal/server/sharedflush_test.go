package server_test

import (
	"bytes"
	"context"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
)

// countingWriter counts the writes of an audit log and can hold them up.
type countingWriter struct {
	gate   atomic.Pointer[chan struct{}] // nil: open
	writes atomic.Int32
	lines  atomic.Int32
}

func (w *countingWriter) Write(b []byte) (int, error) {
	if gate := w.gate.Load(); gate != nil {
		<-*gate
	}
	w.writes.Add(1)
	w.lines.Add(int32(bytes.Count(b, []byte{'\n'})))
	return len(b), nil
}

// arrivals counts the events that come to be recorded.
type arrivals struct {
	audit.Recorder
	arrived atomic.Int32
	expect  int32
	all     chan struct{} // closed at the event that is expected last
}

func (a *arrivals) Record(ctx context.Context, e audit.Event) error {
	if n := a.arrived.Add(1); a.all != nil && n == a.expect {
		close(a.all)
	}
	return a.Recorder.Record(ctx, e)
}

// TestEventsOfOneGroupCommitShareAFlush has 32 sessions refresh at once while
// the log's first write is held up: the events of all the others, which wait
// for it, go into far fewer writes than there are events, and none is left out.
func TestEventsOfOneGroupCommitShareAFlush(t *testing.T) {
	file := &countingWriter{}
	log, err := auditlog.Open(auditlog.Options{Writer: file, Node: "test", Version: "test"})
	must(t, err)
	t.Cleanup(func() { log.Close() })
	events := &arrivals{Recorder: log}
	w := newWorldWith(t, events)
	const sessions = 32
	held := make([]string, sessions)
	for i := range held {
		held[i] = w.login().Refresh
	}
	gate := make(chan struct{})
	events.expect, events.all = events.arrived.Load()+sessions, make(chan struct{})
	writes, lines := file.writes.Load(), file.lines.Load()
	file.gate.Store(&gate)
	var all sync.WaitGroup
	for _, token := range held {
		all.Go(func() {
			form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
			r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.SetBasicAuth("shop", w.secret)
			rec := httptest.NewRecorder()
			if w.handler.ServeHTTP(rec, r); rec.Code != 200 {
				t.Errorf("status %d: %s", rec.Code, rec.Body)
			}
		})
	}
	<-events.all
	file.gate.Store(nil)
	close(gate)
	all.Wait()
	writes, lines = file.writes.Load()-writes, file.lines.Load()-lines
	if lines != sessions || writes > sessions/2 {
		t.Errorf("%d refreshes: %d lines in %d writes; want one line each, and most to share a write", sessions, lines, writes)
	}
}
