package oauth

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/keyturn/keyturn/docs"
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/dpop"
	"github.com/keyturn/keyturn/internal/problem"
	"github.com/keyturn/keyturn/internal/refusal"
)

// answers is the one table from refusals to the errors of RFC 6749 §5.2, RFC 6750
// §3.1, RFC 8707 §2, RFC 9449 §5 and §8 and, for overload, RFC 6749 §4.1.2.1.
var answers = [...]struct {
	status int
	code   string
}{
	refusal.Unavailable: {http.StatusServiceUnavailable, "temporarily_unavailable"},
	refusal.Unfinished:  {http.StatusServiceUnavailable, "temporarily_unavailable"},
	refusal.Busy:        {http.StatusServiceUnavailable, "temporarily_unavailable"},
	refusal.Throttled:   {http.StatusTooManyRequests, "temporarily_unavailable"},

	refusal.Malformed:        {http.StatusBadRequest, "invalid_request"},
	refusal.TooLarge:         {http.StatusRequestEntityTooLarge, "invalid_request"},
	refusal.WrongContentType: {http.StatusBadRequest, "invalid_request"},
	refusal.WrongEncoding:    {http.StatusUnsupportedMediaType, "invalid_request"},
	refusal.Unacceptable:     {http.StatusBadRequest, "invalid_request"},
	refusal.Taken:            {http.StatusBadRequest, "invalid_request"},
	refusal.Conflict:         {http.StatusBadRequest, "invalid_request"},
	refusal.NotFound:         {http.StatusBadRequest, "invalid_request"},

	refusal.BadCredentials:   {http.StatusBadRequest, "invalid_grant"},
	refusal.NeedsFactor:      {http.StatusBadRequest, "invalid_grant"},
	refusal.NeedsEnrolment:   {http.StatusBadRequest, "invalid_grant"},
	refusal.WrongCode:        {http.StatusBadRequest, "invalid_grant"},
	refusal.BadChallenge:     {http.StatusBadRequest, "invalid_grant"},
	refusal.StaleLogin:       {http.StatusUnauthorized, "insufficient_user_authentication"},
	refusal.BadGrant:         {http.StatusBadRequest, "invalid_grant"},
	refusal.BadResetToken:    {http.StatusBadRequest, "invalid_grant"},
	refusal.BadClient:        {http.StatusUnauthorized, "invalid_client"},
	refusal.GrantNotAllowed:  {http.StatusBadRequest, "unauthorized_client"},
	refusal.UnsupportedGrant: {http.StatusBadRequest, "unsupported_grant_type"},
	refusal.BadScope:         {http.StatusBadRequest, "invalid_scope"},
	refusal.BadTarget:        {http.StatusBadRequest, "invalid_target"},
	refusal.BadBearer:        {http.StatusBadRequest, "invalid_request"},
	refusal.NoToken:          {http.StatusUnauthorized, ""},
	refusal.BadToken:         {http.StatusUnauthorized, "invalid_token"},
	refusal.BeyondToken:      {http.StatusForbidden, "insufficient_scope"},
	refusal.BadProof:         {http.StatusBadRequest, "invalid_dpop_proof"},
	refusal.NeedsNonce:       {http.StatusBadRequest, "use_dpop_nonce"},
}

// refusalOf converts err to a refusal; an error that is not one means that the
// store could not answer. It returns nil for nil.
func refusalOf(err error) *refusal.Error {
	var e *refusal.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, decision.ErrOwed):
		return decision.Refusal(err)
	case errors.As(err, &e) && !decision.Concluded(err):
		return e
	}
	return refusal.Undecided(audit.ReasonStore, err)
}

// errorPage explains every error of these endpoints to authors of clients.
var errorPage = docs.URL("clients.md#errors-of-the-token-endpoint")

// writeError writes e in the form of RFC 6749 §5.2.
func writeError(w http.ResponseWriter, e *refusal.Error) { writeErrorAs(w, e, answers[e.Code].code) }

// writeErrorAs is writeError with another error code than the table has.
func writeErrorAs(w http.ResponseWriter, e *refusal.Error, code string) {
	status := answers[e.Code].status
	if e.Temporary() {
		problem.RetryAfter(w, e.RetryAfter)
	}
	if e.Nonce != "" {
		w.Header().Set(dpop.NonceHeader, e.Nonce)
	}
	if e.Code == refusal.WrongEncoding {
		w.Header().Set("Accept-Encoding", "identity") // RFC 9110 §15.5.16
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="keyturn", charset="UTF-8"`)
	}
	writeJSON(w, status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description,omitempty"`
		URI         string `json:"error_uri"`
	}{code, e.Public(), errorPage})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		problem.Write(w, problem.Internal, "")
		return
	}
	writeObject(w, status, body)
}

// jsonType is a shared header value.
var jsonType = []string{"application/json"}

func writeObject(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	// A write fails only if the client has gone.
	_, _ = w.Write(body)
}
