package server_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
)

// TestRequestsAtOnceAreNoOutage sends each request that changes something four times at
// once, as clients do that hang up and try again: whatever they are told, nothing has
// failed, and the operators are told of nothing.
func TestRequestsAtOnceAreNoOutage(t *testing.T) {
	for _, d := range slices.Concat(decisions(), factorDecisions(), ownDecisions(), consentDecisions()) {
		if d.status >= 400 {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			w := newWorld(t)
			held := w.login()
			one, many := w.handler, &atOnce{}
			many.handler = one
			w.handler = many
			w.journal.take()
			d.send(w, held)
			busy := 0
			for _, e := range w.journal.take() {
				if e.Reason == audit.ReasonBusy {
					busy++
				}
			}
			if many.failed > busy || w.inside.Load() > 0 {
				t.Errorf("%d failed, %d of them because the server was busy; the operators were told of %d", many.failed, busy, w.inside.Load())
			}
		})
	}
}

// atOnce has a handler serve each request that changes something four times at once.
type atOnce struct {
	handler http.Handler
	failed  int
}

func (a *atOnce) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		a.handler.ServeHTTP(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	answers := make([]*httptest.ResponseRecorder, 4)
	var all sync.WaitGroup
	for i := range answers {
		answers[i] = httptest.NewRecorder()
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		all.Go(func() { a.handler.ServeHTTP(answers[i], again) })
	}
	all.Wait()
	best := answers[0]
	for _, rec := range answers {
		if rec.Code >= 500 {
			a.failed++
		}
		if rec.Code < best.Code {
			best = rec
		}
	}
	for name, values := range best.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(best.Code)
	_, _ = w.Write(best.Body.Bytes())
}
