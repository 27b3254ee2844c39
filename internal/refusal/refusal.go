// Package refusal has the one form in which a decision says no. What of it the
// caller is told, what the audit log is told and what only the operators may
// see stand side by side, each in a field of its own, so that none is taken for
// another; package oauth has the table from codes to the errors of RFC 6749,
// package problem the one to problem details.
package refusal

import (
	"errors"
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// Code says what kind of refusal it is. The zero Code is Unavailable: a refusal
// that nobody filled in grants nothing and betrays nothing.
type Code uint8

// The codes. Each has one answer in every protocol.
const (
	// Unavailable means that the store, the audit log or the keys could not
	// answer. Nothing was decided, and trying again is right.
	Unavailable Code = iota
	// Unfinished means that what was asked for is decided and stands, while what
	// follows from it is still being carried out: asking again is of no use.
	Unfinished
	// Busy means that too much is under way for this to be decided now.
	Busy
	// Throttled means that too many attempts failed; nothing was looked at.
	Throttled

	// Malformed means that the request cannot be read, or is not a whole one.
	Malformed
	// TooLarge means that its body is too large.
	TooLarge
	// WrongContentType means that its body is of another type.
	WrongContentType
	// WrongEncoding means that its body is compressed, or otherwise encoded.
	WrongEncoding
	// Unacceptable means that the value of Field will not do.
	Unacceptable
	// Taken means that another account has the value of Field.
	Taken
	// Conflict means that what was to be changed changed meanwhile.
	Conflict
	// NotFound means that there is no such thing for this caller.
	NotFound

	// BadCredentials means that a user's address or password is wrong, or that
	// the account is disabled: the caller must not say which (U1).
	BadCredentials
	// BadGrant means that a refresh token does not count (any more).
	BadGrant
	// BadResetToken means that a one-time token does not count (any more).
	BadResetToken
	// BadClient means that the client is not authenticated.
	BadClient
	// GrantNotAllowed means that the client may not use the grant.
	GrantNotAllowed
	// UnsupportedGrant means that nobody may use the grant.
	UnsupportedGrant
	// BadScope means that a scope asked for is malformed or not allowed.
	BadScope
	// BadTarget means that a resource asked for is not allowed.
	BadTarget
	// NoToken means that the request bears no access token.
	NoToken
	// BadBearer means that it bears one in no form that is allowed.
	BadBearer
	// BadToken means that the access token that it bears does not count.
	BadToken
	// BeyondToken means that the access token does not reach that far.
	BeyondToken
	// BadProof means that the request's DPoP proof does not count, or is missing.
	BadProof
	// NeedsNonce means that the proof has to say the Nonce.
	NeedsNonce

	codes // how many there are
)

// Codes returns every code, for those who answer them.
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
	// Text is for the caller; where it is empty the code has a text. It says
	// what to do otherwise, and repeats no password, secret or token.
	Text string
	// Field names the member of the request that the refusal is about.
	Field string
	// Nonce is what the client's next DPoP proof may say, or has to.
	Nonce string
	// ByProof says that the access token, or its refusal, is one of DPoP and not
	// of a bearer.
	ByProof bool
	// RetryAfter is when it is worth trying again, where that is known.
	RetryAfter time.Duration
	// Reason and UserID, the account concerned, are for the audit log alone.
	Reason audit.Reason
	UserID string
	// Cause is for the operational log alone.
	Cause error
}

// New returns a refusal.
func New(code Code, reason audit.Reason, text string) *Error {
	return &Error{Code: code, Reason: reason, Text: text}
}

// Undecided returns the refusal of a request that could not be decided, for a
// cause that callers are not told.
func Undecided(reason audit.Reason, cause error) *Error {
	return &Error{Reason: reason, Cause: cause}
}

// Of returns the refusal that err is or wraps, nil for nil. Any other error
// means that something could not answer, and is the cause of the refusal.
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

// Reason returns what the audit log is to say of err: nothing for nil.
func Reason(err error) audit.Reason {
	if err == nil {
		return audit.Reason{}
	}
	return Of(err).Reason
}

// Among returns a function that reports whether an error is one of these refusals,
// and with what reason.
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

// Is reports whether err is or wraps a refusal with the code. An error that is
// no refusal is Unavailable.
func Is(err error, code Code) bool { return err != nil && Of(err).Code == code }

// Public returns what the caller is told.
func (e *Error) Public() string {
	if e.Text != "" {
		return e.Text
	}
	return texts[e.Code]
}

// texts are for refusals that say no more than their code. The sentences of
// BadCredentials, BadGrant and BadToken must never tell one case from another.
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

// Temporary reports whether the same request may do better later.
func (e *Error) Temporary() bool {
	return e.Code == Unavailable || e.Code == Busy || e.Code == Throttled
}

// Error is for operators: it includes the cause, and never goes to a caller.
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
