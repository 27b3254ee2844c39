package server_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/server"
)

// A warning is told and does not make the replica unready; an outage that comes with
// one is an outage.
func TestReadyWarns(t *testing.T) {
	var store error
	h := &server.Health{
		Store: func(context.Context) error { return store }, Keys: func() (string, error) { return "", nil },
		Warnings: func() []string { return []string{"standby_missing"} }, OnError: func(string, error) {},
	}
	for _, c := range []struct {
		err    error
		status int
		body   string
	}{
		{nil, 200, `{"keys":"ok","status":"warning","store":"ok","warnings":["standby_missing"]}`},
		{errors.New("gone"), 503, `{"keys":"ok","status":"unavailable","store":"unreachable","warnings":["standby_missing"]}`},
	} {
		store = c.err
		rec := httptest.NewRecorder()
		h.Ready(rec, httptest.NewRequest("GET", "/readyz", nil))
		if rec.Code != c.status || rec.Body.String() != c.body+"\n" {
			t.Errorf("status %d, body %s; want %d, %s", rec.Code, rec.Body, c.status, c.body)
		}
	}
}

// Who hangs up while the store is asked is no outage.
func TestF9_ReadyTellsNothingOfWhoHangsUp(t *testing.T) {
	var told []string
	h := &server.Health{
		Store: func(ctx context.Context) error { return ctx.Err() }, Keys: func() (string, error) { return "", nil },
		OnError: func(check string, err error) { told = append(told, check+": "+err.Error()) },
	}
	for cause, want := range map[error]int{context.Canceled: 0, context.DeadlineExceeded: 1} {
		ctx, end := context.WithCancel(t.Context())
		if cause == context.DeadlineExceeded {
			ctx, end = context.WithDeadline(t.Context(), time.Unix(0, 0))
		}
		end()
		told = nil
		h.Ready(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/readyz", nil))
		if len(told) != want {
			t.Errorf("%v: the log tells of %q", cause, told)
		}
	}
}
