// Package refusal defines the one form of a refusal. It keeps what the caller, the
// audit log and only the operators are told in separate fields, so that they
// cannot be confused. Package oauth maps codes to the errors of RFC 6749, and
// package problem to problem details.
package refusal

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// FreshLogin is for how long after a log-in its user may do what else is refused as
// StaleLogin.
const FreshLogin = 10 * time.Minute

// Code is the kind of a refusal. The zero Code is Unavailable, so that a forgotten
// code grants and reveals nothing.
type Code uint8

// The codes. Each has one answer in every protocol.
const (
	// Unavailable means that the store, the audit log or the keys could not
	// answer. Nothing was decided, and the caller should try again.
	Unavailable Code = iota
	// Unfinished means that the request was decided and takes effect, but its
	// consequences are not complete yet. Trying again is useless.
	Unfinished
	// Busy means that there is too much load to decide this now.
	Busy
	// Throttled means that too many attempts failed; this one was not checked.
	Throttled

	// Malformed means that the request cannot be parsed or is incomplete.
	Malformed
	// TooLarge means that the body is too large.
	TooLarge
	// WrongContentType means that the body has another content type.
	WrongContentType
	// WrongEncoding means that the body is compressed, or otherwise encoded.
	WrongEncoding
	// Unacceptable means that the value of Field is not accepted.
	Unacceptable
	// Taken means that another account has the value of Field.
	Taken
	// Conflict means that the record changed meanwhile.
	Conflict
	// NotFound means that it does not exist for this caller.
	NotFound

	// BadCredentials means that a user's address or password is wrong, or that the
	// account is disabled; the caller must not be told which (U1).
	BadCredentials
	// NeedsFactor means that the password was right, and the account has a second
	// factor. The Challenge is to be answered with a code of it.
	NeedsFactor
	// NeedsEnrolment means that the password was right, and that the account has to have
	// a second factor. The Challenge is to be answered with a code of an authenticator
	// app that has the Secret.
	NeedsEnrolment
	// WrongCode means that a code of a second factor is wrong or was used, or that what
	// a passkey made is not accepted.
	WrongCode
	// BadChallenge means that a challenge is not valid, or no longer.
	BadChallenge
	// StaleLogin means that the user logged in too long ago for this.
	StaleLogin
	// BadGrant means that a refresh token is not valid, or no longer.
	BadGrant
	// BadResetToken means that a one-time token is not valid, or no longer.
	BadResetToken
	// BadClient means that the client is not authenticated.
	BadClient
	// GrantNotAllowed means that the client may not use the grant.
	GrantNotAllowed
	// UnsupportedGrant means that nobody may use the grant.
	UnsupportedGrant
	// BadScope means that a requested scope is malformed or not allowed.
	BadScope
	// BadTarget means that a requested resource is not allowed.
	BadTarget
	// NoToken means that the request has no access token.
	NoToken
	// BadBearer means that the access token is not in an allowed form.
	BadBearer
	// BadToken means that the access token is not valid.
	BadToken
	// BeyondToken means that the access token is not sufficient.
	BeyondToken
	// BadProof means that the request's DPoP proof is missing or not valid.
	BadProof
	// NeedsNonce means that the proof must contain the Nonce.
	NeedsNonce

	codes // how many there are
)

// Codes returns every code.
func Codes() []Code {
	all := make([]Code, codes)
	for i := range all {
		all[i] = Code(i)
	}
	return all
}

// Error is a refusal.
type Error struct {
	Code Code
	// Text is for the caller; if it is empty, the code's text is used. It says
	// what to do differently, and contains no password, secret or token.
	Text string
	// Field names the member of the request that the refusal is about.
	Field string
	// Challenge is what a code of a second factor has to be sent with. Secret and URI
	// are what an authenticator app that is due is set up with.
	Challenge, Secret, URI string
	// Options are those by which a browser uses, or makes, a passkey in place of a
	// code: JSON, or nil if it cannot.
	Options json.RawMessage
	// Nonce is the nonce that the client's next DPoP proof may, or must, contain.
	Nonce string
	// ByProof says that the access token, or its refusal, uses the DPoP scheme and
	// not Bearer.
	ByProof bool
	// RetryAfter is how long to wait before trying again, if known.
	RetryAfter time.Duration
	// Reason and UserID, the account concerned, are for the audit log only.
	Reason audit.Reason
	UserID string
	// Cause is for the operational log only.
	Cause error
}

// New returns a refusal.
func New(code Code, reason audit.Reason, text string) *Error {
	return &Error{Code: code, Reason: reason, Text: text}
}

// Undecided returns the refusal of a request that could not be decided. Callers
// are not told the cause.
func Undecided(reason audit.Reason, cause error) *Error {
	return &Error{Reason: reason, Cause: cause}
}

// Of returns the refusal that err is or wraps, or nil for nil. It returns an
// Unavailable refusal with err as the cause for any other error.
func Of(err error) *Error {
	var e *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	}
	return Undecided(audit.ReasonUnavailable, err)
}

// Reason returns the reason of err for the audit log, or the zero Reason for nil.
func Reason(err error) audit.Reason {
	if err == nil {
		return audit.Reason{}
	}
	return Of(err).Reason
}

// Among returns a function that reports whether an error is one of these refusals,
// and its reason.
func Among(refusals ...error) func(error) (audit.Reason, bool) {
	return func(err error) (audit.Reason, bool) {
		for _, e := range refusals {
			if errors.Is(err, e) {
				return Reason(e), true
			}
		}
		return audit.Reason{}, false
	}
}

// Is reports whether err is or wraps a refusal with the code. An error that is not
// a refusal counts as Unavailable.
func Is(err error, code Code) bool { return err != nil && Of(err).Code == code }

// Public returns the text for the caller.
func (e *Error) Public() string {
	if e.Text != "" {
		return e.Text
	}
	return texts[e.Code]
}

// texts are for refusals without a text of their own. Those of BadCredentials,
// BadGrant and BadToken must not distinguish their cases.
var texts = map[Code]string{
	Unavailable:      "The service cannot answer just now; try again shortly.",
	Unfinished:       "It is decided and stands; what follows from it is still being carried out. There is no need to ask again.",
	Busy:             "Too many logins at once; try again shortly.",
	Throttled:        "Too many attempts; wait before the next one.",
	TooLarge:         "The body is too large.",
	WrongContentType: "The body is of a content type that is not read here.",
	WrongEncoding:    "Send the body as it is, without a Content-Encoding.",
	Conflict:         "The account was changed meanwhile; try again.",
	NotFound:         "There is no such thing.",
	BadCredentials:   "Invalid email or password",
	NeedsFactor:      "The account has a second factor.",
	NeedsEnrolment:   "The account needs a second factor. Set up an authenticator app, and send a code of it with the challenge.",
	WrongCode:        "The code is wrong or was used.",
	BadChallenge:     "The log-in is not valid, was finished, or took too long; begin it again.",
	StaleLogin:       "This needs a log-in of the last 10 minutes; log in again.",
	BadGrant:         "The refresh token is not valid, has expired or was revoked.",
	BadResetToken:    "The one-time token is not valid, was used, or has expired.",
	BadClient:        "The client is unknown, its credentials are wrong, or it must authenticate another way.",
	NoToken:          "Send an access token in the Authorization header.",
	BadBearer:        "Send the access token once, in one Authorization header: Bearer and the token.",
	BadToken:         "The access token is not valid, has expired or was revoked.",
	BeyondToken:      "The access token does not reach this far.",
	BadProof:         "The DPoP proof is not valid.",
	NeedsNonce:       "Make a DPoP proof that says the nonce of the DPoP-Nonce header.",
}

// Temporary reports whether the same request may succeed later.
func (e *Error) Temporary() bool {
	return e.Code == Unavailable || e.Code == Busy || e.Code == Throttled
}

// Error returns a text for operators. It includes the cause, and must not be sent
// to a caller.
func (e *Error) Error() string {
	s := e.Public()
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.RetryAfter > 0 {
		s = fmt.Sprintf("%s (in %s)", s, e.RetryAfter.Round(time.Second))
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }
