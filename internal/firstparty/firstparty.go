// Package firstparty answers the /auth routes: what the OAuth endpoints and the
// accounts do, as plain JSON for the deployment's own apps. It decides nothing:
// each handler reads the request, makes one call and writes the answer.
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
	// Recorder takes what no call into OAuth or Users has recorded.
	decision.Recorder
	OAuth *oauth.Service
	Users *users.Service
}

// read decodes the body; a body that cannot be used is a refusal like any other
// and leaves its event.
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

// said is an answer that is a sentence.
type said struct {
	Message string `json:"message"`
}

// answer writes v, or an empty answer where it is nil, unless e refuses.
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

// answerCall is answer for a call that has recorded its error.
func (h *Handlers) answerCall(w http.ResponseWriter, r *http.Request, err error, status int, v any) {
	e := decision.Refusal(err)
	if e != nil && (e.Code == refusal.Unavailable || e.Code == refusal.Unfinished) && !decision.HungUp(r.Context(), err) {
		h.OnError(r.Context(), err)
	}
	answer(w, e, status, v)
}

func write(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		problem.Write(w, problem.Internal, "")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error here means that the caller has gone.
	_, _ = w.Write(body)
}
