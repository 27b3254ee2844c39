package users

import (
	"errors"
	"maps"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

// withUsername adds an account that has a username and perhaps an address.
func (f *fixture) withUsername(t *testing.T, email, username string) User {
	t.Helper()
	u, err := f.Add(t.Context(), NewUser{Email: email, Username: username, Password: otherPassword})
	if err != nil {
		t.Fatal(err)
	}
	f.mem.events = nil
	return u
}

func TestLogInByUsernameOrAddress(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	grace := f.withUsername(t, "grace@example.org", "Grace Hopper")
	bare := f.withUsername(t, "", "bob")
	if bare.EmailKey != "" || bare.Email != "" {
		t.Fatalf("%+v", bare)
	}
	alsoBare := f.withUsername(t, "", "eve")
	for login, want := range map[string]string{
		"grace@example.org": grace.UID, " Grace@Example.org\n": grace.UID, "grace hopper": grace.UID, "GRACE HOPPER\u00a0": grace.UID,
		"bob": bare.UID, "Eve ": alsoBare.UID,
	} {
		if u, err := f.Authenticate(t.Context(), login, otherPassword); err != nil || u.UID != want {
			t.Errorf("%q: %q, %v", login, u.UID, err)
		}
		_, err := f.Authenticate(t.Context(), login, " "+otherPassword)
		wantReason(t, err, "wrong_password") // no password is trimmed
	}
	if err := f.ChangePassword(t.Context(), bare.UID, otherPassword, goodPassword, ""); err != nil {
		t.Error(err)
	}
	if err := f.ChangePassword(t.Context(), bare.UID, otherPassword, goodPassword, ""); !refusal.Is(err, refusal.BadCredentials) {
		t.Errorf("with the former password: %v", err)
	}
}

// A username is refused as an address is: for the same reasons, at the same cost.
func TestU1_UsernamesAreRefusedAlike(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.withUsername(t, "grace@example.org", "grace")
	gone := f.withUsername(t, "", "gone")
	if err := f.Disable(t.Context(), gone.UID); err != nil {
		t.Fatal(err)
	}
	var want map[string]uint64
	for _, c := range []struct{ login, password, reason string }{
		{"nobody@example.org", otherPassword, "unknown_user"}, {"nobody", otherPassword, "unknown_user"},
		{"", otherPassword, "unknown_user"}, {"a\u200bb", otherPassword, "unknown_user"}, {"grace", wrongPassword, "wrong_password"},
		{"grace@example.org", wrongPassword, "wrong_password"}, {"gone", otherPassword, "disabled_user"}, {"gone", wrongPassword, "wrong_password"},
	} {
		reads := 0
		f.mem.onRead = func() { reads++ }
		work := spent(f.Hasher, func() {
			_, err := f.Authenticate(t.Context(), c.login, c.password)
			wantReason(t, err, c.reason)
		})
		if want == nil {
			want = work
		}
		if !maps.Equal(work, want) || reads > 1 {
			t.Errorf("%q: %v, %d reads; another cost %v", c.login, work, reads, want)
		}
	}
}

// Guessing at a username is slowed as guessing at an address is.
func TestU4_UsernamesAreThrottled(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.withUsername(t, "", "grace")
	for _, login := range []string{"grace", "nobody"} {
		for range freeOfPair {
			if _, err := f.Authenticate(from(t.Context(), home), login, wrongPassword); !refusal.Is(err, refusal.BadCredentials) {
				t.Fatal(err)
			}
		}
		if _, err := f.Authenticate(from(t.Context(), home), login, otherPassword); !refusal.Is(err, refusal.Throttled) {
			t.Errorf("%s: %v", login, err)
		}
	}
}

func TestAccountsHaveAName(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if _, err := f.Add(t.Context(), NewUser{Password: otherPassword}); refusal.Of(err).Reason != audit.ReasonInvalidEmail {
		t.Errorf("neither address nor username: %v", err)
	}
	if _, err := f.SignUp(t.Context(), NewUser{Username: "bob", Password: otherPassword}); refusal.Of(err).Reason != audit.ReasonInvalidEmail {
		t.Errorf("a sign-up without an address: %v", err)
	}
	bob := f.withUsername(t, "", "bob")
	if _, err := f.Add(t.Context(), NewUser{Username: "BOB", Password: otherPassword}); !errors.Is(err, ErrUsernameTaken) {
		t.Errorf("a username that is taken: %v", err)
	}
	none := ""
	if _, err := f.UpdateProfile(t.Context(), bob.UID, Profile{Username: &none}); refusal.Of(err).Reason != audit.ReasonInvalidUsername {
		t.Errorf("taking the only name away: %v", err)
	}
	address := "bob@example.org"
	if _, err := f.UpdateProfile(t.Context(), bob.UID, Profile{Email: &address, Username: &none}); err != nil {
		t.Error(err)
	}
	u, err := f.Import(t.Context(), ImportUser{Username: "old", PasswordHash: vectors["bcrypt 2b"]})
	if err != nil || u.EmailKey != "" {
		t.Errorf("%+v, %v", u, err)
	}
	if err := f.CouldImport(t.Context(), ImportUser{Username: "new", PasswordHash: vectors["bcrypt 2b"]}); err != nil {
		t.Error(err)
	}
	if err := f.CouldImport(t.Context(), ImportUser{Username: "Old", PasswordHash: vectors["bcrypt 2b"]}); !errors.Is(err, ErrUsernameTaken) {
		t.Errorf("%v", err)
	}
}
