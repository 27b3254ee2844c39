package users

import (
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/internal/refusal"
)

// TestA1_ABusyHasherIsTheReason lets everything that hashes a password meet a
// hasher that is busy.
func TestA1_ABusyHasherIsTheReason(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	token, _, err := f.IssueReset(t.Context(), f.ada.UID, time.Hour, false)
	if err != nil {
		t.Fatal(err)
	}
	f.mem.events = nil
	f.Hasher = &passwords.Hasher{} // always busy
	eve := NewUser{Email: "eve@example.org", Password: goodPassword}
	for action, do := range map[audit.Action]func() error{
		audit.UserSignedUp: func() error { _, err := f.SignUp(t.Context(), eve); return err },
		audit.UserAdded:    func() error { _, err := f.Add(t.Context(), eve); return err },
		audit.UserImported: func() error {
			_, err := f.Import(t.Context(), ImportUser{Email: eve.Email, Password: eve.Password})
			return err
		},
		audit.PasswordChanged: func() error { return f.ChangePassword(t.Context(), f.ada.UID, goodPassword, otherPassword, "") },
		audit.PasswordReset:   func() error { return f.ResetPassword(t.Context(), f.ada.UID, otherPassword) },
		audit.ResetForced:     func() error { _, _, err := f.IssueReset(t.Context(), f.ada.UID, time.Hour, true); return err },
		audit.ResetRedeemed:   func() error { return f.RedeemReset(t.Context(), token, otherPassword) },
	} {
		err := do()
		if e := f.mem.lastEvent(t); e.Action != action || e.Reason != audit.ReasonBusy || e.Outcome != audit.Failure || refusal.Reason(err) != audit.ReasonBusy {
			t.Errorf("%s: %v, event %+v", action, err, e)
		}
	}
}

// TestU2_ACrowdCostsNothing has logins and a sign-up come
// when as many wait as may: they are turned away before anything is read or
// written.
func TestU2_ACrowdCostsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Hasher = &passwords.Hasher{} // always busy
	f.mem.countersDown = true
	reads := 0
	f.mem.onRead = func() { reads++ }
	for name, do := range map[string]func() error{
		"login":         func() error { _, err := f.Authenticate(t.Context(), f.ada.Email, goodPassword); return err },
		"unknown login": func() error { _, err := f.Authenticate(t.Context(), "nobody@example.org", goodPassword); return err },
		"no address":    func() error { _, err := f.Authenticate(t.Context(), "nobody", goodPassword); return err },
		"sign-up": func() error {
			_, err := f.SignUp(t.Context(), NewUser{Email: f.ada.Email, Password: otherPassword})
			return err
		},
	} {
		refused := f.Hasher.Stats().Refused
		err := do()
		if !refusal.Is(err, refusal.Busy) || refusal.Of(err).RetryAfter <= 0 || f.Hasher.Stats().Refused != refused+1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if reads != 0 {
		t.Errorf("%d accounts were read", reads)
	}
}
