// Package firstparty answers the /auth routes, which offer the OAuth endpoints
// and the accounts as plain JSON to the deployment's own apps. It decides
// nothing: each handler reads the request, makes one call and writes the
// answer.
package firstparty

import (
	"encoding/json"
	"net/http"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/problem"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// Handlers answer the /auth routes.
type Handlers struct {
	// Recorder records the events that calls into OAuth or Users do not.
	decision.Recorder
	OAuth *oauth.Service
	Users *users.Service
}

// read decodes the body into v. It refuses a body that cannot be used, records
// the event and returns false.
func (h *Handlers) read(w http.ResponseWriter, r *http.Request, event audit.Event, v any) bool {
	e := problem.ReadJSON(r, v)
	if e == nil {
		return true
	}
	problem.Refuse(w, h.Conclude(r.Context(), event, e))
	return false
}

// ForCaller wraps a handler of a route that needs a user.
func (h *Handlers) ForCaller(next func(http.ResponseWriter, *http.Request, oauth.Caller)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		by, e := h.OAuth.Caller(r)
		if e != nil {
			problem.Refuse(w, e)
			return
		}
		next(w, r, by)
	}
}

// said is an answer of one sentence.
type said struct {
	Message string `json:"message"`
}

// answer writes v, or an empty answer if v is nil, unless e refuses.
func answer(w http.ResponseWriter, e *refusal.Error, status int, v any) {
	switch {
	case e != nil:
		problem.Refuse(w, e)
	case v == nil:
		w.WriteHeader(status)
	default:
		write(w, status, v)
	}
}

// answerCall is answer for a call that has recorded its own event.
func (h *Handlers) answerCall(w http.ResponseWriter, r *http.Request, err error, status int, v any) {
	answer(w, h.Told(r.Context(), err), status, v)
}

func write(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		problem.Write(w, problem.Internal, "")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A write fails only if the client has gone.
	_, _ = w.Write(body)
}
