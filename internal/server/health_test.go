package server_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"

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
