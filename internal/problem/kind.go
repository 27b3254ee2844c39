package problem

import (
	"net/http"

	"github.com/keyturn/keyturn/docs"
)

// Kind is a problem type (RFC 9457 §3.1.1): one meaning, one status, and one
// heading in docs/problems.md that explains it.
type Kind struct {
	// Anchor is the anchor of the heading, Title its text.
	Anchor, Title string
	Status        int
}

// URI returns the address of the explanation, which also identifies the kind to
// programs.
func (k Kind) URI() string { return docs.URL("problems.md#" + k.Anchor) }

// The kinds of problems in the server's answers.
var (
	MalformedBody     = Kind{"malformed-body", "Malformed body", http.StatusBadRequest}
	MalformedBearer   = Kind{"malformed-authorization", "Malformed authorization", http.StatusBadRequest}
	BadProof          = Kind{"proof-refused", "Proof refused", http.StatusUnauthorized}
	NeedsNonce        = Kind{"nonce-needed", "Nonce needed", http.StatusUnauthorized}
	LoginTooOld       = Kind{"fresh-log-in-needed", "Fresh log-in needed", http.StatusUnauthorized}
	NoToken           = Kind{"no-valid-access-token", "No valid access token", http.StatusUnauthorized}
	WrongCredentials  = Kind{"wrong-credentials", "Wrong credentials", http.StatusForbidden}
	FactorNeeded      = Kind{"second-factor-needed", "Second factor needed", http.StatusForbidden}
	EnrolmentNeeded   = Kind{"second-factor-to-set-up", "Second factor to set up", http.StatusForbidden}
	WrongCode         = Kind{"wrong-code", "Wrong code", http.StatusForbidden}
	LoginOver         = Kind{"log-in-is-over", "Log-in is over", http.StatusForbidden}
	SessionOver       = Kind{"session-is-over", "Session is over", http.StatusForbidden}
	ResetTokenOver    = Kind{"one-time-token-is-over", "One-time token is over", http.StatusForbidden}
	BeyondToken       = Kind{"beyond-the-access-token", "Beyond the access token", http.StatusForbidden}
	ClientNotReady    = Kind{"first-party-client-not-ready", "First-party client not ready", http.StatusForbidden}
	NotFound          = Kind{"not-found", "Not found", http.StatusNotFound}
	WrongMethod       = Kind{"wrong-method", "Wrong method", http.StatusMethodNotAllowed}
	Taken             = Kind{"already-taken", "Already taken", http.StatusConflict}
	ChangedMeanwhile  = Kind{"changed-meanwhile", "Changed meanwhile", http.StatusConflict}
	BodyTooLarge      = Kind{"body-too-large", "Body too large", http.StatusRequestEntityTooLarge}
	WrongContentType  = Kind{"wrong-content-type", "Wrong content type", http.StatusUnsupportedMediaType}
	UnacceptableValue = Kind{"unacceptable-value", "Unacceptable value", http.StatusUnprocessableEntity}
	TooManyAttempts   = Kind{"too-many-attempts", "Too many attempts", http.StatusTooManyRequests}
	Internal          = Kind{"fault-inside", "Fault inside", http.StatusInternalServerError}
	Unfinished        = Kind{"still-being-carried-out", "Still being carried out", http.StatusServiceUnavailable}
	TryAgain          = Kind{"try-again-shortly", "Try again shortly", http.StatusServiceUnavailable}
)
