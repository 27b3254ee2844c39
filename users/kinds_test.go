package users

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/listing"
	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/internal/passwords/passwordstest"
)

const importedPassword = passwordstest.Password

var vectors = passwordstest.Hashes()

// The kinds of vectors["bcrypt 2b"] and vectors["scrypt"], and of the hashes that
// Keyturn makes here, as the store knows them.
const (
	bcryptKind = "$2b$05$....................................................."
	scryptKind = "$scrypt$ln=10,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA"
	ownKind    = "$argon2id$v=19$m=32,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

// spent returns what h spent in each family while do ran.
func spent(h *passwords.Hasher, do func()) map[string]uint64 {
	before := h.Stats().Work
	do()
	work := h.Stats().Work
	for family, n := range before {
		if work[family] -= n; work[family] == 0 {
			delete(work, family)
		}
	}
	return work
}

// A kind is known to all before the first account has it, whoever makes it.
func TestU1_KindsAreKnownBeforeTheirFirstAccount(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	own := ownKind
	if len(f.mem.kinds) != 1 || f.mem.kinds[own].IsZero() {
		t.Fatalf("after the first account %v are known", f.mem.kinds)
	}
	other := NewUser{Email: "new@example.org", Password: goodPassword}
	token, _, err := f.IssueReset(t.Context(), f.ada.UID, time.Hour, false)
	if err != nil {
		t.Fatal(err)
	}
	foreign := ImportUser{Email: "b@example.org", PasswordHash: vectors["bcrypt 2b"]}
	for _, c := range []struct {
		name, kind string
		do         func() error
	}{
		{"import", bcryptKind, func() error { _, err := f.Import(t.Context(), foreign); return err }},
		{"login", own, func() error { _, err := f.Authenticate(t.Context(), foreign.Email, importedPassword); return err }},
		{"sign-up", own, func() error { _, err := f.SignUp(t.Context(), other); return err }},
		{"change", own, func() error { return f.ChangePassword(t.Context(), f.ada.UID, goodPassword, otherPassword, "") }},
		{"operator", own, func() error { return f.ResetPassword(t.Context(), f.ada.UID, goodPassword) }},
	} {
		f.clock.advance(10 * time.Minute)
		clear(f.mem.kinds)
		if err := c.do(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if !f.mem.kinds[c.kind].Equal(f.clock.now()) || len(f.mem.kinds) != 1 {
			t.Errorf("%s: %v are known", c.name, f.mem.kinds)
		}
	}
	if err := f.RedeemReset(t.Context(), token, otherPassword); !errors.Is(err, errResetToken) {
		t.Error(err) // voided by the changes above
	}
	clear(f.mem.kinds)
	f.mem.failAnnounce = true
	f.clock.advance(10 * time.Minute)
	foreign.Email = "c@example.org"
	if _, err := f.Import(t.Context(), foreign); !errors.Is(err, errDown) {
		t.Errorf("an import whose kind cannot be announced: %v", err)
	}
	if _, err := f.mem.UserByEmailKey(t.Context(), foreign.Email); !errors.Is(err, ErrNotFound) {
		t.Errorf("the account is there: %v", err)
	}
}

// A refusal looks at the kinds after it looked at the account, so that it knows
// the kind of whatever it found.
func TestU1_KindsAreReadAfterTheAccount(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.mem.onRead = func() {
		f.mem.mu.Lock()
		f.mem.kinds["$2b$06$"+strings.Repeat(".", 53)] = f.clock.now()
		f.mem.mu.Unlock()
	}
	work := spent(f.Hasher, func() {
		_, err := f.Authenticate(t.Context(), "nobody@example.org", wrongPassword)
		wantReason(t, err, "unknown_user")
	})
	if work["bcrypt"] != 64 {
		t.Errorf("a refusal spent %v", work)
	}
}

func TestU1_SurveyKeepsTheKindsRight(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for n := range 2 * listing.Page {
		u := User{UID: fmt.Sprintf("id-%04d", n), EmailKey: fmt.Sprintf("u%d@example.org", n), PasswordHash: vectors["bcrypt 2b"]}
		if n == listing.Page+7 {
			u.PasswordHash = vectors["scrypt"]
		}
		if err := f.mem.CreateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	survey := func(what string, want ...string) {
		t.Helper()
		if err := f.Survey(t.Context()); err != nil {
			t.Fatal(err)
		}
		known := maps.Clone(f.mem.kinds)
		for _, kind := range append(want, ownKind) {
			if _, ok := known[kind]; !ok {
				t.Errorf("%s: %s is not known", what, kind)
			}
			delete(known, kind)
		}
		if len(known) > 0 {
			t.Errorf("%s: %v are known as well", what, known)
		}
	}
	survey("accounts of an earlier version", bcryptKind, scryptKind)
	if err := f.mem.RemoveUser(t.Context(), f.mem.users[fmt.Sprintf("id-%04d", listing.Page+7)]); err != nil {
		t.Fatal(err)
	}
	f.clock.advance(time.Hour)
	survey("somebody may be about to make one", bcryptKind, scryptKind)
	f.clock.advance(time.Millisecond)
	survey("the last one is gone", bcryptKind)
	f.mem.storeDown = true
	if err := f.Survey(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("a store that is down: %v", err)
	}
	f.mem.storeDown = false
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Survey(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a survey that is to end: %v", err)
	}
}

// Where each hash has a number of rounds of its own, as passlib's vary_rounds
// makes them, the list that every login reads stays short, and refusals cost as
// much as the costliest that there is.
func TestU1_RoundsThatVaryAreFewKinds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Throttle = nil
	const accounts = 300
	rounds := rand.New(rand.NewPCG(1, 2)).Perm(accounts)
	hash := func(n int) string {
		return strings.Replace(vectors["pbkdf2 passlib"], "$2000$", fmt.Sprintf("$%d$", 1001+n), 1)
	}
	if _, err := passwords.Parse(hash(0)); err != nil || hash(0) == hash(1) {
		t.Fatal(hash(0), err)
	}
	most, costliest := uint64(0), ""
	refused := func(want uint64) {
		t.Helper()
		work := spent(f.Hasher, func() {
			_, err := f.Authenticate(t.Context(), "nobody@example.org", wrongPassword)
			wantReason(t, err, "unknown_user")
		})
		if work["pbkdf2-sha256"] != want {
			t.Fatalf("a refusal spent %v; want %d rounds", work, want)
		}
	}
	for i, n := range rounds {
		u, err := f.Import(t.Context(), ImportUser{Email: fmt.Sprintf("u%d@example.org", i), PasswordHash: hash(n)})
		if err != nil {
			t.Fatal(err)
		}
		if cost := uint64(1001 + n); cost > most {
			most, costliest = cost, u.UID
		}
		if i%50 == 0 {
			refused(most)
		}
	}
	refused(most)
	if n := len(f.mem.kinds); n > 20 {
		t.Errorf("%d kinds are known", n)
	}
	f.clock.advance(2 * time.Hour)
	if err := f.Survey(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(f.mem.kinds); n != 2 {
		t.Errorf("%d kinds are known after a survey; want the costliest and Keyturn's own", n)
	}
	refused(most)
	if err := f.mem.RemoveUser(t.Context(), f.mem.users[costliest]); err != nil {
		t.Fatal(err)
	}
	if err := f.Survey(t.Context()); err != nil {
		t.Fatal(err)
	}
	refused(most - 1)
}
