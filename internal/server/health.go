package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// Health answers whether the process is alive and whether it can serve.
type Health struct {
	// Store returns an error if the store does not answer. Keys returns an error if
	// the keys do not allow serving, with a word that says why. Either error makes
	// the replica not ready.
	Store func(context.Context) error
	Keys  func() (why string, err error)
	// Audit returns an error if no decision can be recorded, and so none can be
	// made. Nil skips the check.
	Audit func() error
	// Warnings returns codes for an operator to look into. They do not make the
	// replica unready. Nil means none.
	Warnings func() []string
	// OnError receives the cause of a failed check, which callers may not see.
	OnError    func(check string, err error)
	draining   atomic.Bool
	unreadable unreadable
}

// readyPath is where Ready answers the public.
const readyPath = "/readyz"

// Alive answers GET /healthz: 200 as long as the process can answer at all.
func (h *Health) Alive(w http.ResponseWriter, _ *http.Request) {
	writeHealth(w, http.StatusOK, map[string]any{"status": "ok"})
}

// storePatience bounds how long /readyz waits for the store.
const storePatience = 2 * time.Second

// Ready answers GET /readyz. The status is 200 if the store answers, the key ring
// is fresh and can sign, and the audit log accepts events. Otherwise it is 503, and
// the body says which check failed. With warnings only, the status is 200 and
// "status" is "warning". While the server drains, Ready answers 503, so that load
// balancers turn away before the listener closes.
func (h *Health) Ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), storePatience)
	defer cancel()
	status, body := http.StatusOK, map[string]any{"status": "ok", "store": "ok", "keys": "ok"}
	if codes := h.warnings(ctx); len(codes) > 0 {
		body["status"], body["warnings"] = "warning", codes
	}
	fail := func(check, word string, err error) {
		status, body["status"], body[check] = http.StatusServiceUnavailable, "unavailable", word
		hungUp := errors.Is(err, context.Canceled) && errors.Is(r.Context().Err(), context.Canceled)
		if err != nil && !hungUp {
			h.OnError(check, err)
		}
	}
	if err := h.Store(ctx); err != nil {
		fail("store", "unreachable", err)
	}
	if why, err := h.Keys(); err != nil {
		fail("keys", why, err)
	}
	if h.Audit != nil {
		if err := h.Audit(); err != nil {
			fail("audit", "unwritable", err)
		}
	}
	if h.draining.Load() {
		fail("server", "draining", nil)
	}
	writeHealth(w, status, body)
}

// warnings returns the codes for the answer to one request.
func (h *Health) warnings(ctx context.Context) []string {
	var codes []string
	if h.Warnings != nil {
		codes = h.Warnings()
	}
	if h.unreadable.recent() || audit.RequestFrom(ctx).IP == unknownClient {
		codes = append(codes, "client_address_unreadable")
	}
	return codes
}

// Drain makes Ready answer 503 from now on.
func (h *Health) Drain() { h.draining.Store(true) }

func writeHealth(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error here means that the caller has gone.
	_ = json.NewEncoder(w).Encode(body)
}
