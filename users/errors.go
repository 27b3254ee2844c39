package users

import (
	"fmt"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// Every refusal of a Service is a *refusal.Error, including these. Test for
// these with errors.Is, and for other codes with refusal.Is: Unacceptable with a
// Field, BadCredentials, Throttled, Busy. Any other error means that the store
// could not answer.
var (
	// ErrNotFound means that no such account exists.
	ErrNotFound error = refusal.New(refusal.NotFound, audit.ReasonUnknownUser, "no such user")
	// ErrEmailTaken means that another account has the e-mail address.
	ErrEmailTaken error = taken("email", audit.ReasonEmailTaken, "This e-mail address has an account already.")
	// ErrUsernameTaken means that another account has the username.
	ErrUsernameTaken error = taken("username", audit.ReasonUsernameTaken, "This username is taken.")
	// ErrConflict means that the account changed since it was read.
	ErrConflict error = refusal.New(refusal.Conflict, audit.ReasonConflict, "")
	// ErrNoSession means that the account has no such session, or that the
	// session is not live but has to be.
	ErrNoSession error = refusal.New(refusal.NotFound, audit.ReasonUnknownSession, "no such session")
	// errResetToken means that a one-time token is not valid, was used or
	// replaced, or has expired; the caller is not told which.
	errResetToken error = refusal.New(refusal.BadResetToken, audit.ReasonBadResetToken, "")
)

func taken(field string, reason audit.Reason, text string) *refusal.Error {
	return &refusal.Error{Code: refusal.Taken, Field: field, Reason: reason, Text: text}
}

// refuse returns the refusal of one field of the input. Its sender sees the
// text, which must not contain a password.
func refuse(field, format string, args ...any) error {
	return &refusal.Error{
		Code: refusal.Unacceptable, Field: field, Reason: invalidField[field], Text: fmt.Sprintf(format, args...),
	}
}

// wrong returns the refusal of a login. Its reason, and the account if there is
// one, are for the audit log alone (U1).
func wrong(reason audit.Reason, uid string) error {
	return &refusal.Error{Code: refusal.BadCredentials, Reason: reason, UserID: uid}
}

// invalidField are the reasons for a refused field, by its JSON name.
var invalidField = map[string]audit.Reason{
	"password":            audit.ReasonPasswordRefused,
	"email":               audit.ReasonInvalidEmail,
	"username":            audit.ReasonInvalidUsername,
	"first_name":          audit.ReasonInvalidFirstName,
	"last_name":           audit.ReasonInvalidLastName,
	"password_hash":       audit.ReasonInvalidPasswordHash,
	"uid":                 audit.ReasonInvalidUID,
	"roles":               audit.ReasonInvalidRoles,
	"claims":              audit.ReasonInvalidClaims,
	"name":                audit.ReasonInvalidFactor,
	"totp":                audit.ReasonInvalidFactor,
	"passkeys":            audit.ReasonInvalidFactor,
	"created_at":          audit.ReasonInvalidCreatedAt,
	"password_changed_at": audit.ReasonInvalidPasswordChangedAt,
}
