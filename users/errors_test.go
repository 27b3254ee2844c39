package users

import (
	"errors"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

func TestReason(t *testing.T) {
	for want, err := range map[string]error{
		"":                 nil,
		"unknown_user":     wrong(audit.ReasonUnknownUser, ""),
		"password_refused": refuse("password", "no"),
		"invalid_email":    refuse("email", "no"),
		"email_taken":      ErrEmailTaken,
		"username_taken":   ErrUsernameTaken,
		"conflict":         ErrConflict,
		"unavailable":      errors.New("disk full"),
		"wrong_password":   wrong(audit.ReasonWrongPassword, ""),
	} {
		if got := refusal.Reason(err).String(); got != want {
			t.Errorf("Reason(%v) = %q, want %q", err, got, want)
		}
	}
}
