package users

import (
	"reflect"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
)

func TestU3_Import(t *testing.T) {
	f := newFixture(t)
	u, err := f.Import(t.Context(), ImportUser{
		UID: "507f1f77bcf86cd799439011", Email: "Old@example.org", Username: "old", FirstName: "O", LastName: "L",
		PasswordHash: vectors["scrypt"], Disabled: true,
	})
	if err != nil || u.UID != "507f1f77bcf86cd799439011" || !u.Disabled || u.PasswordHash != vectors["scrypt"] || !reflect.DeepEqual(u, f.stored(u.UID)) {
		t.Errorf("%+v, %v", u, err)
	}
	if e := f.mem.lastEvent(t); e.Action != audit.UserImported || e.Outcome != audit.Success || e.UserID != u.UID {
		t.Errorf("%+v", e)
	}
	if _, err := f.Import(t.Context(), ImportUser{Email: "plain@example.org", Password: goodPassword}); err != nil {
		t.Error(err)
	}
	if _, err := f.Authenticate(t.Context(), "plain@example.org", goodPassword); err != nil {
		t.Error(err)
	}
}

func TestU3_ImportRefusals(t *testing.T) {
	f := newFixture(t)
	hash := vectors["bcrypt 2b"]
	for _, c := range []struct {
		user   ImportUser
		reason string
	}{
		{ImportUser{Email: "ada@example.org", PasswordHash: hash}, "email_taken"},
		{ImportUser{Email: "x", PasswordHash: hash}, "invalid_email"},
		{ImportUser{Email: "x@example.org"}, "invalid_password_hash"},
		{ImportUser{Email: "x@example.org", PasswordHash: hash, Password: goodPassword}, "invalid_password_hash"},
		{ImportUser{Email: "x@example.org", PasswordHash: "$2b$31" + hash[6:]}, "invalid_password_hash"},
		{ImportUser{Email: "x@example.org", PasswordHash: "secret"}, "invalid_password_hash"},
		{ImportUser{Email: "x@example.org", Password: "short"}, "password_refused"},
		{ImportUser{Email: "x@example.org", PasswordHash: hash, UID: f.ada.UID}, "invalid_uid"},
		{ImportUser{Email: "x@example.org", PasswordHash: hash, UID: "a b"}, "invalid_uid"},
		{ImportUser{Email: "x@example.org", PasswordHash: hash, UID: strings.Repeat("x", 65)}, "invalid_uid"},
	} {
		if _, err := f.Import(t.Context(), c.user); refusal.Reason(err).String() != c.reason {
			t.Errorf("%+v: %v, want %s", c.user, err, c.reason)
		}
		if e := f.mem.lastEvent(t); e.Action != audit.UserImported || e.Outcome != audit.Failure || e.Reason.String() != c.reason {
			t.Errorf("%+v", e)
		}
	}
	if len(f.mem.users) != 1 {
		t.Errorf("%d accounts, want 1", len(f.mem.users))
	}
}
