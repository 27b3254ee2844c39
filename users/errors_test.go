package users

import (
	"errors"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
)

func TestReason(t *testing.T) {
	for want, err := range map[string]error{
		"":                 nil,
		"unknown_user":     &CredentialsError{Reason: audit.ReasonUnknownUser},
		"password_refused": refuse("password", "no"),
		"invalid_email":    refuse("email", "no"),
		"throttled":        &Throttled{},
		"busy":             &Busy{},
		"email_taken":      ErrEmailTaken,
		"username_taken":   ErrUsernameTaken,
		"conflict":         ErrConflict,
		"unavailable":      errors.New("disk full"),
		"wrong_password":   &CredentialsError{Reason: audit.ReasonWrongPassword},
	} {
		if got := Reason(err).String(); got != want {
			t.Errorf("Reason(%v) = %q, want %q", err, got, want)
		}
	}
}
