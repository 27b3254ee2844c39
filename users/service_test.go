package users

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/internal/refusal"
)

func TestSignUp(t *testing.T) {
	f := newFixture(t)
	u, err := f.SignUp(t.Context(), NewUser{
		Email: "Grace@Example.org", Username: "Amazing", FirstName: "Grace", LastName: "Hopper", Password: otherPassword,
	})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(u, f.stored(u.UID)) || u.EmailKey != "grace@example.org" || u.UsernameKey != "amazing" || u.FirstName != "Grace" ||
		u.LastName != "Hopper" || !u.CreatedAt.Equal(f.clock.now()) || !u.PasswordChangedAt.Equal(u.CreatedAt) || u.Disabled || len(u.UID) != 36 {
		t.Errorf("%+v", u)
	}
	if e := f.mem.lastEvent(t); e.Action != audit.UserSignedUp || e.Outcome != audit.Success || e.UserID != u.UID || e.UserEmail != u.Email {
		t.Errorf("%+v", e)
	}
	if _, err := f.Authenticate(t.Context(), "grace@example.org", otherPassword); err != nil {
		t.Error(err)
	}
}

func TestSignUpRefusals(t *testing.T) {
	f := newFixture(t)
	if _, err := f.Add(t.Context(), NewUser{Email: "other@example.org", Username: "taken", Password: otherPassword}); err != nil {
		t.Fatal(err)
	}
	f.mem.events = nil
	for _, c := range []struct {
		user   NewUser
		reason string
		want   error
	}{
		{NewUser{Email: "ADA@example.org", Password: otherPassword}, "email_taken", ErrEmailTaken},
		{NewUser{Email: "new@example.org", Username: "TAKEN", Password: otherPassword}, "username_taken", ErrUsernameTaken},
		{NewUser{Email: "nonsense", Password: otherPassword}, "invalid_email", nil},
		{NewUser{Email: "new@example.org", Username: "a@b", Password: otherPassword}, "invalid_username", nil},
		{NewUser{Email: "new@example.org", FirstName: "\x1b[31m", Password: otherPassword}, "invalid_first_name", nil},
		{NewUser{Email: "new@example.org", LastName: strings.Repeat("x", 101), Password: otherPassword}, "invalid_last_name", nil},
		{NewUser{Email: "new@example.org", Password: "short"}, "password_refused", nil},
	} {
		u, err := f.SignUp(t.Context(), c.user)
		if u.UID != "" || err == nil || c.want != nil && !errors.Is(err, c.want) || c.want == nil && !refusal.Is(err, refusal.Unacceptable) {
			t.Errorf("%+v: %+v, %v", c.user, u, err)
		}
		if e := f.mem.lastEvent(t); e.Action != audit.UserSignedUp || e.Outcome != audit.Failure || e.Reason.String() != c.reason || e.UserEmail != c.user.Email {
			t.Errorf("%+v: %+v", c.user, e)
		}
	}
	if len(f.mem.users) != 2 {
		t.Errorf("%d accounts, want 2", len(f.mem.users))
	}
}

func TestU1_TakenAddressCostsWhatAFreeOneDoes(t *testing.T) {
	f := newFixture(t)
	for _, email := range []string{"ada@example.org", "free@example.org"} {
		before := f.Hasher.Stats().Computed
		_, _ = f.SignUp(t.Context(), NewUser{Email: email, Password: otherPassword})
		if cost := f.Hasher.Stats().Computed - before; cost != 1 {
			t.Errorf("%s: %d computations, want 1", email, cost)
		}
	}
}

// TestU4_TryingAddressesBySignUpIsSlowed: a taken address counts as a failed
// attempt of the network, and so does a free one beside a taken username, which
// would otherwise tell addresses apart and leave no account behind.
func TestU4_TryingAddressesBySignUpIsSlowed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		try  NewUser
		want error
	}{
		"taken address":  {NewUser{Email: "ada@example.org", Password: otherPassword}, ErrEmailTaken},
		"taken username": {NewUser{Email: "free@example.org", Username: "Bob", Password: otherPassword}, ErrUsernameTaken},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			ctx := from(t.Context(), home)
			if _, err := f.Add(ctx, NewUser{Email: "bob@example.org", Username: "bob", Password: otherPassword}); err != nil {
				t.Fatal(err)
			}
			for range freeOfNetwork {
				if _, err := f.SignUp(ctx, c.try); !errors.Is(err, c.want) {
					t.Fatal(err)
				}
			}
			f.mem.events = nil
			if _, err := f.SignUp(ctx, c.try); !refusal.Is(err, refusal.Throttled) {
				t.Errorf("got %v", err)
			}
			if e := f.mem.lastEvent(t); e.Reason.String() != "throttled" {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestChangePassword(t *testing.T) {
	f := newFixture(t)
	f.mem.sessions[f.ada.UID] = []string{"phone", "laptop", "tablet"}
	f.clock.advance(time.Hour)
	if err := f.ChangePassword(t.Context(), f.ada.UID, goodPassword, otherPassword, "laptop"); err != nil {
		t.Fatal(err)
	}
	if left := f.mem.sessions[f.ada.UID]; !slices.Equal(left, []string{"laptop"}) {
		t.Errorf("sessions left: %v", left)
	}
	now := f.mem.users[f.ada.UID]
	if now.Unsettled || now.Epoch != f.ada.Epoch+1 || !now.PasswordChangedAt.Equal(f.clock.now()) {
		t.Errorf("%+v", now)
	}
	if e := f.mem.lastEvent(t); e.Action != audit.PasswordChanged || e.Outcome != audit.Success || e.Count != 2 || e.SessionID != "laptop" || e.UserEmail != f.ada.Email {
		t.Errorf("%+v", e)
	}
	_, err := f.Authenticate(t.Context(), "ada@example.org", goodPassword)
	wantReason(t, err, "wrong_password")
	if _, err := f.Authenticate(t.Context(), "ada@example.org", otherPassword); err != nil {
		t.Error(err)
	}
}

func TestChangePasswordRefusals(t *testing.T) {
	f := newFixture(t)
	refused := func(uid, current, next, reason string) {
		t.Helper()
		if err := f.ChangePassword(from(t.Context(), home), uid, current, next, ""); refusal.Reason(err).String() != reason {
			t.Errorf("got %v, want %s", err, reason)
		}
		if e := f.mem.lastEvent(t); e.Action != audit.PasswordChanged || e.Outcome != audit.Failure || e.Reason.String() != reason || e.UserID != uid {
			t.Errorf("%+v", e)
		}
	}
	refused("nobody", goodPassword, otherPassword, "unknown_user")
	refused(f.ada.UID, goodPassword, "ada@example.org", "password_refused")
	for range freeOfPair {
		refused(f.ada.UID, wrongPassword, otherPassword, "wrong_password")
	}
	refused(f.ada.UID, goodPassword, otherPassword, "throttled")
	if now := f.mem.users[f.ada.UID]; !reflect.DeepEqual(now, f.ada) {
		t.Errorf("the account changed: %+v", now)
	}
}

func TestResetPassword(t *testing.T) {
	f := newFixture(t)
	f.mem.sessions[f.ada.UID] = []string{"phone", "laptop"}
	if err := f.ResetPassword(t.Context(), f.ada.UID, otherPassword); err != nil {
		t.Fatal(err)
	}
	if e := f.mem.lastEvent(t); e.Action != audit.PasswordReset || e.Count != 2 || e.UserID != f.ada.UID {
		t.Errorf("%+v", e)
	}
	if err := f.ResetPassword(t.Context(), "nobody", otherPassword); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if e := f.mem.lastEvent(t); e.Action != audit.PasswordReset || e.Outcome != audit.Failure || e.Reason != audit.ReasonUnknownUser {
		t.Errorf("%+v", e)
	}
}

func TestDisableAndEnable(t *testing.T) {
	f := newFixture(t)
	f.mem.sessions[f.ada.UID] = []string{"phone", "laptop"}
	if err := f.Disable(t.Context(), f.ada.UID); err != nil {
		t.Fatal(err)
	}
	if e := f.mem.lastEvent(t); e.Action != audit.UserDisabled || e.Count != 2 || e.UserEmail != f.ada.Email {
		t.Errorf("%+v", e)
	}
	if u := f.mem.users[f.ada.UID]; !u.Disabled || u.Unsettled {
		t.Errorf("%+v", u)
	}
	_, err := f.Authenticate(t.Context(), "ada@example.org", goodPassword)
	wantReason(t, err, "disabled_user")
	if err := f.Enable(t.Context(), f.ada.UID); err != nil {
		t.Fatal(err)
	}
	if e := f.mem.lastEvent(t); e.Action != audit.UserEnabled || e.Outcome != audit.Success {
		t.Errorf("%+v", e)
	}
	if _, err := f.Authenticate(t.Context(), "ada@example.org", goodPassword); err != nil {
		t.Error(err)
	}
	for _, act := range []func() error{
		func() error { return f.Disable(t.Context(), "nobody") },
		func() error { return f.Enable(t.Context(), "nobody") },
	} {
		if err := act(); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		if e := f.mem.lastEvent(t); e.Outcome != audit.Failure || e.UserID != "nobody" {
			t.Errorf("%+v", e)
		}
	}
}

func TestSettleFinishesWhatAFormerVersionLeft(t *testing.T) {
	f := newFixture(t)
	left := f.ada
	left.Epoch++
	left.Unsettled = true
	f.mem.users[f.ada.UID] = left
	f.mem.sessions[f.ada.UID] = []string{"phone", "laptop"}
	if n, err := f.Settle(t.Context()); n != 0 || err != nil {
		t.Fatalf("a change that may be under way was settled: %d, %v", n, err)
	}
	f.clock.advance(settleGrace)
	f.mem.auditDown = true
	if n, err := f.Settle(t.Context()); n != 0 || !errors.Is(err, decision.ErrNotRecorded) {
		t.Fatalf("without an event: %d, %v", n, err)
	}
	f.mem.auditDown = false
	if n, err := f.Settle(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if f.mem.users[f.ada.UID].Unsettled || len(f.mem.sessions[f.ada.UID]) != 0 {
		t.Error("the account is not settled")
	}
	if e := f.mem.lastEvent(t); e.Action != audit.SessionsEnded || e.UserID != f.ada.UID {
		t.Errorf("%+v", e)
	}
	if n, err := f.Settle(t.Context()); n != 0 || err != nil {
		t.Errorf("again: %d, %v", n, err)
	}
}

// TestSessionsThatCannotEndAtOnceEndLater changes a password, and deletes an
// account, while the sessions cannot be reached.
func TestSessionsThatCannotEndAtOnceEndLater(t *testing.T) {
	f := newFixture(t)
	f.mem.sessions[f.ada.UID] = []string{"phone", "laptop"}
	f.mem.sessionsDown = true
	if err := f.ChangePassword(t.Context(), f.ada.UID, goodPassword, otherPassword, "phone"); !errors.Is(err, decision.ErrToFollow) {
		t.Fatalf("changed, with its sessions alive: %v", err)
	}
	if e := f.mem.lastEvent(t); e.Outcome != audit.Success || e.Count != 1 {
		t.Errorf("%+v", e)
	}
	settle := func(what string, want int) {
		t.Helper()
		if n, err := f.SettleDecisions(t.Context()); n != want || err != nil && want > 0 {
			t.Fatalf("%s: %d, %v", what, n, err)
		}
	}
	settle("the sessions are still away", 0)
	f.mem.sessionsDown = false
	settle("left to who took it up last", 0)
	f.clock.advance(decision.Grace)
	settle("they are back", 1)
	if got := f.mem.sessions[f.ada.UID]; !slices.Equal(got, []string{"phone"}) {
		t.Errorf("sessions left: %v", got)
	}
	f.mem.sessionsDown = true
	if err := f.Delete(t.Context(), f.ada.UID); !errors.Is(err, decision.ErrUnfinished) {
		t.Errorf("deleted, with its sessions alive: %v", err)
	}
	if u := f.mem.users[f.ada.UID]; !u.Disabled || u.Free() {
		t.Errorf("left behind: %+v; want it disabled, and its sessions to be ended", u)
	}
	f.mem.sessionsDown = false
	f.mem.lastEvent(t)
	settle("they are back, and nobody waits for who gave up", 1)
	if len(f.mem.users) != 0 || len(f.mem.sessions[f.ada.UID]) != 0 || len(f.mem.events) != 0 {
		t.Errorf("left: %v, %v, %v", f.mem.users, f.mem.sessions, f.mem.events)
	}
}

func TestNewServiceRefuses(t *testing.T) {
	f := newFixture(t)
	if _, err := NewService(Service{}); err == nil {
		t.Error("an empty service was accepted")
	}
	for _, length := range []int{-1, 7, passwords.MaxBytes + 1} {
		s := *f.Service
		s.Policy.MinLength = length
		if _, err := NewService(s); err == nil {
			t.Errorf("a minimum length of %d was accepted", length)
		}
	}
}
