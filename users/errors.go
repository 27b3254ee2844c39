package users

import (
	"errors"
	"fmt"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/internal/throttle"
)

// What a Service answers besides a Store's own errors. Test with errors.Is.
// An error that is none of those in this file and in user.go means that the
// store could not answer; the HTTP layer answers 503.
var (
	// ErrCredentials means that the address, the password or both are wrong,
	// or that the account is disabled: the caller must not say which (U1).
	ErrCredentials = errors.New("invalid email or password")
	// ErrNoSession means that the account has no such session, or none that
	// lives where it has to.
	ErrNoSession = errors.New("no such session")
	// ErrNotRecorded means that the audit event could not be written. What
	// stands then is said at each method (A3).
	ErrNotRecorded = errors.New("the audit event could not be written")
)

// CredentialsError is an ErrCredentials with what only the audit log may know.
// Its text is ErrCredentials' own.
type CredentialsError struct {
	// Reason is the audit log's: unknown user, wrong password, disabled user or,
	// from Still, that the account changed while the login was under way.
	Reason audit.Reason
	// UserID is the account concerned, empty if there is none.
	UserID string
}

// Error gives nothing away.
func (e *CredentialsError) Error() string { return ErrCredentials.Error() }

// Is makes errors.Is(err, ErrCredentials) hold.
func (e *CredentialsError) Is(target error) bool { return target == ErrCredentials }

// PolicyError means that one field of the input will not do. It may be shown
// to whoever sent it: the message never repeats a password.
type PolicyError struct {
	// Field is the field's JSON name: "email", "username", "first_name",
	// "last_name", "password", "password_hash", "uid", "roles", "claims",
	// "created_at" or "password_changed_at".
	Field string
	// Message says what is wrong and what would be accepted.
	Message string
}

// Error returns the field and the message.
func (e *PolicyError) Error() string { return e.Field + ": " + e.Message }

func refuse(field, format string, args ...any) error {
	return &PolicyError{Field: field, Message: fmt.Sprintf(format, args...)}
}

// Throttled and Busy are refusals that say when to try again; see their
// packages.
type (
	Throttled = throttle.Refused
	Busy      = passwords.Busy
)

// invalidField are the reasons of a PolicyError, by its field.
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
	"created_at":          audit.ReasonInvalidCreatedAt,
	"password_changed_at": audit.ReasonInvalidPasswordChangedAt,
}

// Reason returns what the audit log is to say of err: nothing for nil, and
// "unavailable" for a store that could not answer.
func Reason(err error) audit.Reason {
	var (
		cred      *CredentialsError
		policy    *PolicyError
		throttled *Throttled
		busy      *Busy
	)
	switch {
	case err == nil:
		return audit.Reason{}
	case errors.As(err, &cred):
		return cred.Reason
	case errors.As(err, &policy):
		return invalidField[policy.Field]
	case errors.As(err, &throttled):
		return audit.ReasonThrottled
	case errors.As(err, &busy):
		return audit.ReasonBusy
	case errors.Is(err, ErrEmailTaken):
		return audit.ReasonEmailTaken
	case errors.Is(err, ErrUsernameTaken):
		return audit.ReasonUsernameTaken
	case errors.Is(err, ErrResetToken):
		return audit.ReasonBadResetToken
	case errors.Is(err, ErrNotFound):
		return audit.ReasonUnknownUser
	case errors.Is(err, ErrNoSession):
		return audit.ReasonUnknownSession
	case errors.Is(err, ErrConflict):
		return audit.ReasonConflict
	}
	return audit.ReasonUnavailable
}
