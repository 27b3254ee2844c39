package oauth

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/keyturn/keyturn/docs"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/problem"
)

// Error is a refusal in the protocol's terms (RFC 6749 §5.2). Code and
// Description go to the caller; Reason goes to the audit log, and the cause,
// which may hold internal detail, to the operational log.
type Error struct {
	Status      int
	Code        string
	Description string
	// RetryAfter is sent as a header where it is above zero.
	RetryAfter time.Duration
	// Reason is what the audit log is told.
	Reason audit.Reason
	cause  error
}

func (e *Error) Error() string {
	s := e.Code + ": " + e.Description
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.cause }

// The codes of RFC 6749 §5.2, RFC 8707 §2 and, for overload, §4.1.2.1.
const (
	invalidRequest       = "invalid_request"
	invalidClient        = "invalid_client"
	invalidGrant         = "invalid_grant"
	unauthorizedClient   = "unauthorized_client"
	unsupportedGrantType = "unsupported_grant_type"
	invalidScope         = "invalid_scope"
	invalidTarget        = "invalid_target"
	temporarily          = "temporarily_unavailable"
)

func badRequest(reason audit.Reason, description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: invalidRequest, Description: description, Reason: reason}
}

func refused(code string, reason audit.Reason, description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Description: description, Reason: reason}
}

// unavailable is the answer to a store or an audit log that fails: the caller
// may try again, and learns nothing of the cause.
func unavailable(reason audit.Reason, cause error) *Error {
	return &Error{
		Status: http.StatusServiceUnavailable, Code: temporarily, RetryAfter: time.Second,
		Description: "The service cannot answer just now; try again shortly.", Reason: reason, cause: cause,
	}
}

// errorPage explains every error of these endpoints to who writes a client.
var errorPage = docs.URL("clients.md#errors-of-the-token-endpoint")

// write answers e as RFC 6749 §5.2 has it.
func (e *Error) write(w http.ResponseWriter) {
	if e.RetryAfter > 0 {
		problem.RetryAfter(w, e.RetryAfter)
	}
	if e.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="keyturn", charset="UTF-8"`)
	}
	writeJSON(w, e.Status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description,omitempty"`
		URI         string `json:"error_uri"`
	}{e.Code, e.Description, errorPage})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		problem.Write(w, problem.Internal, "")
		return
	}
	writeObject(w, status, body)
}

// jsonType is a header's value, made once for all answers.
var jsonType = []string{"application/json"}

func writeObject(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	// An error here means that the caller has gone.
	_, _ = w.Write(body)
}
