package users

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/internal/throttle"
)

func TestU1_RefusalsLookAlike(t *testing.T) {
	f := newFixture(t)
	grace, err := f.Add(t.Context(), NewUser{Email: "grace@example.org", Password: goodPassword})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Disable(t.Context(), grace.UID); err != nil {
		t.Fatal(err)
	}
	old, err := f.Import(t.Context(), ImportUser{Email: "old@example.org", PasswordHash: vectors["bcrypt 2b"], Disabled: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		login, password, reason, uid string
	}{
		{"nobody@example.org", goodPassword, "unknown_user", ""},
		{"not an address", goodPassword, "unknown_user", ""},
		{strings.Repeat("long", 1000), goodPassword, "unknown_user", ""},
		{"ada@example.org", wrongPassword, "wrong_password", f.ada.UID},
		{"ada@example.org", "", "wrong_password", f.ada.UID},
		{"ada@example.org", "\xff", "wrong_password", f.ada.UID},
		{"grace@example.org", goodPassword, "disabled_user", grace.UID},
		{"grace@example.org", wrongPassword, "wrong_password", grace.UID},
		{"old@example.org", importedPassword, "disabled_user", old.UID},
		{"old@example.org", wrongPassword, "wrong_password", old.UID},
	} {
		before, charged := f.Hasher.Stats().Computed, len(f.mem.counters)
		u, err := f.Authenticate(t.Context(), c.login, c.password)
		wantReason(t, err, c.reason)
		if no := refusal.Of(err); no.UserID != c.uid || u.UID != "" {
			t.Errorf("%q: %+v with %+v", c.login, no, u)
		}
		if cost := f.Hasher.Stats().Computed - before; cost != 2 {
			t.Errorf("%.40q: %d computations, want one of argon2id and one of bcrypt", c.login, cost)
		}
		if len(f.mem.counters) == charged && !strings.Contains(c.login, "@example.org") {
			t.Errorf("%.40q was not counted", c.login)
		}
	}
}

func TestU4_UnknownAccountsAreThrottledAlike(t *testing.T) {
	f := newFixture(t)
	var waits [2][]time.Duration
	for i, login := range []string{"ada@example.org", "nobody@example.org"} {
		ctx := from(t.Context(), []string{home, abroad}[i])
		for range 8 {
			_, err := f.Authenticate(ctx, login, wrongPassword)
			if refusal.Is(err, refusal.Throttled) {
				waits[i] = append(waits[i], refusal.Of(err).RetryAfter)
			}
		}
	}
	if len(waits[0]) != 3 || !slices.Equal(waits[0], waits[1]) {
		t.Errorf("a known account waits %v, an unknown one %v", waits[0], waits[1])
	}
}

func TestU4_ThrottledAttemptIsNotJudged(t *testing.T) {
	f := newFixture(t)
	ctx := from(t.Context(), home)
	for range freeOfPair {
		_, err := f.Authenticate(ctx, "ada@example.org", wrongPassword)
		wantReason(t, err, "wrong_password")
	}
	before := f.Hasher.Stats().Computed
	_, err := f.Authenticate(ctx, "ada@example.org", goodPassword)
	if !refusal.Is(err, refusal.Throttled) {
		t.Fatalf("the sixth attempt: %v", err)
	}
	if f.Hasher.Stats().Computed != before {
		t.Error("the password was looked at")
	}
	f.clock.advance(refusal.Of(err).RetryAfter)
	if _, err := f.Authenticate(ctx, "ada@example.org", goodPassword); err != nil {
		t.Errorf("after waiting: %v", err)
	}
}

func TestAuthenticate(t *testing.T) {
	f := newFixture(t)
	for _, login := range []string{"ada@example.org", "ADA@EXAMPLE.ORG"} {
		u, err := f.Authenticate(t.Context(), login, goodPassword)
		if err != nil || !reflect.DeepEqual(u, f.ada) {
			t.Errorf("%s: %+v, %v", login, u, err)
		}
	}
	if len(f.mem.events) != 0 {
		t.Errorf("events were written: %+v", f.mem.events)
	}
}

func TestAuthenticateWhileTheStoreIsDown(t *testing.T) {
	f := newFixture(t)
	f.mem.storeDown = true
	for range 3 * freeOfPair {
		_, err := f.Authenticate(from(t.Context(), home), "ada@example.org", goodPassword)
		if !errors.Is(err, errDown) || refusal.Is(err, refusal.BadCredentials) {
			t.Fatalf("got %v", err)
		}
	}
	f.mem.storeDown = false
	if _, err := f.Authenticate(from(t.Context(), home), "ada@example.org", goodPassword); err != nil {
		t.Errorf("attempts that were not judged were charged: %v", err)
	}
}

func TestU3_ImportedHashBecomesArgon2idAtLogin(t *testing.T) {
	for name, encoded := range vectors {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			imported, err := f.Import(t.Context(), ImportUser{Email: "old@example.org", PasswordHash: encoded})
			if err != nil {
				t.Fatal(err)
			}
			_, err = f.Authenticate(t.Context(), "old@example.org", wrongPassword)
			wantReason(t, err, "wrong_password")
			if hash, err := passwords.Parse(encoded); err != nil || hash.Weak() == (imported.PasswordHash == encoded) {
				t.Fatalf("at rest is %s: %v", imported.PasswordHash, err)
			}
			if f.mem.users[imported.UID].PasswordHash != imported.PasswordHash {
				t.Fatal("a wrong password changed the hash")
			}
			u, err := f.Authenticate(t.Context(), "old@example.org", importedPassword)
			if err != nil {
				t.Fatal(err)
			}
			u, stored := bare(u), f.stored(imported.UID)
			if !strings.HasPrefix(stored.PasswordHash, "$argon2id$v=19$m=32,t=1,p=1$") || !reflect.DeepEqual(stored, u) {
				t.Errorf("the hash became %q", stored.PasswordHash)
			}
			if stored.Epoch != imported.Epoch || stored.Unsettled {
				t.Error("rehashing ended the account's sessions")
			}
			if again, err := f.Authenticate(t.Context(), "old@example.org", importedPassword); err != nil || !reflect.DeepEqual(bare(again), stored) {
				t.Errorf("the next login: %+v, %v", again, err)
			}
		})
	}
}

func TestRehashNeverUndoesAPasswordChange(t *testing.T) {
	f := newFixture(t)
	imported, err := f.Import(t.Context(), ImportUser{Email: "old@example.org", PasswordHash: vectors["bcrypt 2b"]})
	if err != nil {
		t.Fatal(err)
	}
	f.mem.onRead = func() {
		f.mem.onRead = nil
		if err := f.ResetPassword(t.Context(), imported.UID, otherPassword); err != nil {
			t.Error(err)
		}
	}
	u, err := f.Authenticate(t.Context(), "old@example.org", importedPassword)
	if err != nil {
		t.Fatal(err)
	}
	wantReason(t, f.Still(t.Context(), u), "account_changed")
	if _, err := f.Authenticate(t.Context(), "old@example.org", otherPassword); err != nil {
		t.Errorf("the new password: %v", err)
	}
}

func TestStill(t *testing.T) {
	f := newFixture(t)
	u, err := f.Authenticate(t.Context(), "ada@example.org", goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Still(t.Context(), u); err != nil {
		t.Errorf("nothing changed: %v", err)
	}
	if err := f.Disable(t.Context(), u.UID); err != nil {
		t.Fatal(err)
	}
	wantReason(t, f.Still(t.Context(), u), "disabled_user")
	if err := f.Enable(t.Context(), u.UID); err != nil {
		t.Fatal(err)
	}
	wantReason(t, f.Still(t.Context(), u), "account_changed")
	wantReason(t, f.Still(t.Context(), User{UID: "gone"}), "unknown_user")
	f.mem.storeDown = true
	if err := f.Still(t.Context(), u); !errors.Is(err, errDown) || refusal.Is(err, refusal.BadCredentials) {
		t.Errorf("with the store down: %v", err)
	}
}

// BenchmarkAuthenticate and BenchmarkArgon2id of internal/passwords together say
// what a login costs beyond its hash.
func BenchmarkAuthenticate(b *testing.B) {
	mem := newMemory()
	hasher, err := passwords.NewHasher(passwords.DefaultParams(), 0)
	if err != nil {
		b.Fatal(err)
	}
	s, err := NewService(Service{Store: mem, Hasher: hasher, Sessions: mem, Audit: mem, Throttle: throttle.New(mem, time.Now)})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.Add(b.Context(), NewUser{Email: "ada@example.org", Password: goodPassword}); err != nil {
		b.Fatal(err)
	}
	ctx := from(context.Background(), home)
	for b.Loop() {
		if _, err := s.Authenticate(ctx, "ada@example.org", goodPassword); err != nil {
			b.Fatal(err)
		}
	}
}
