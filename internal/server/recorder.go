package server

import (
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/problem"
)

// statusHungUp is the status in metrics and logs of a request whose client hung
// up: nobody read the answer, so its status is no sign of an outage. The number
// is nginx's.
const statusHungUp = 499

// panicked turns a panic into an event, a log line with the stack, and a 500
// answer without it.
func (s *Server) panicked(w *recorder, r *http.Request, p any) {
	if p == http.ErrAbortHandler {
		panic(p)
	}
	from := audit.RequestFrom(r.Context())
	s.log.Error().Str("request_id", from.ID).Str("panic", fmt.Sprintf("%T", p)).Bytes("stack", debug.Stack()).Msg("panic in a handler")
	event := audit.Event{Action: audit.RequestRefused, Reason: audit.ReasonPanic}
	ctx, cancel := audit.Outlast(r.Context())
	defer cancel()
	if err := s.audit.Record(ctx, event); err != nil {
		s.log.Error().Err(err).Msg("the panic could not be recorded")
	}
	if w.status == 0 {
		problem.Write(w, problem.Internal, "Something went wrong inside; the operators can find it by the request id.")
	}
}

// recorder records the status of the answer.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) statusCode() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}
