package users

import (
	"errors"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/refusal"
)

func TestUpdateProfile(t *testing.T) {
	f := newFixture(t)
	f.mem.sessions[f.ada.UID] = []string{"one", "two"}
	f.clock.advance(time.Minute)
	got, err := f.UpdateProfile(t.Context(), f.ada.UID, Profile{
		Email: new("Ada.King@Example.org"), Username: new("Countess"), LastName: new("King"),
	})
	want := f.ada
	want.Email, want.EmailKey = "Ada.King@Example.org", "ada.king@example.org"
	want.Username, want.UsernameKey, want.LastName = "Countess", "countess", "King"
	want.UpdatedAt = f.clock.now()
	if err != nil || got.UpdatedAt != want.UpdatedAt || got.Email != want.Email || got.EmailKey != want.EmailKey ||
		got.UsernameKey != want.UsernameKey || got.LastName != want.LastName || got.FirstName != want.FirstName || got.Epoch != want.Epoch {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if e := f.mem.lastEvent(t); e.Action != audit.UserChanged || e.Outcome != audit.Success || e.UserID != f.ada.UID || e.UserEmail != f.ada.Email ||
		e.Detail != "email: Ada.King@Example.org; username; last_name" || e.Count != 2 {
		t.Errorf("event %+v", e)
	}
	if f.mem.emails[f.ada.UID] != want.Email || len(f.mem.sessions[f.ada.UID]) != 2 {
		t.Errorf("the sessions bear %q, and %d live", f.mem.emails[f.ada.UID], len(f.mem.sessions[f.ada.UID]))
	}
	if _, err := f.Authenticate(t.Context(), want.Email, goodPassword); err != nil {
		t.Errorf("by the new address: %v", err)
	}
	_, err = f.Authenticate(t.Context(), f.ada.Email, goodPassword)
	wantReason(t, err, "unknown_user")
	got, err = f.UpdateProfile(t.Context(), f.ada.UID, Profile{Username: new(""), LastName: new("")})
	if err != nil || got.Username != "" || got.UsernameKey != "" || got.LastName != "" || got.Email != want.Email {
		t.Errorf("%+v, %v; want no username and no last name", got, err)
	}
}

// Whatever refuses a change leaves the account and its sessions as they were.
func TestUpdateProfileIsWholeOrNothing(t *testing.T) {
	f := newFixture(t)
	if _, err := f.Add(t.Context(), NewUser{Email: "bob@example.org", Username: "bob", Password: goodPassword}); err != nil {
		t.Fatal(err)
	}
	f.mem.events = nil
	f.mem.sessions[f.ada.UID] = []string{"one"}
	for _, c := range []struct {
		change Profile
		want   error
		reason audit.Reason
	}{
		{Profile{Email: new("BOB@example.org"), LastName: new("King")}, ErrEmailTaken, audit.ReasonEmailTaken},
		{Profile{Username: new("BOB"), Email: new("new@example.org")}, ErrUsernameTaken, audit.ReasonUsernameTaken},
		{Profile{Email: new(""), LastName: new("King")}, nil, audit.ReasonInvalidEmail},
		{Profile{Email: new("new@example.org"), Username: new("a@b")}, nil, audit.ReasonInvalidUsername},
		{Profile{Email: new("new@example.org"), FirstName: new("\x00")}, nil, audit.ReasonInvalidFirstName},
		{Profile{Email: new("new@example.org"), LastName: new("\u200b")}, nil, audit.ReasonInvalidLastName},
	} {
		_, err := f.UpdateProfile(t.Context(), f.ada.UID, c.change)
		if !errors.Is(err, c.want) && (c.want != nil || !refusal.Is(err, refusal.Unacceptable)) {
			t.Errorf("%v; want %v", err, c.want)
		}
		if e := f.mem.lastEvent(t); e.Action != audit.UserChanged || e.Reason != c.reason || e.Outcome != audit.Failure {
			t.Errorf("event %+v; want %s", e, c.reason)
		}
	}
	f.mem.auditDown = true
	if _, err := f.UpdateProfile(t.Context(), f.ada.UID, Profile{Email: new("new@example.org"), Username: new("new")}); !errors.Is(err, decision.ErrNotRecorded) {
		t.Errorf("a change that cannot be recorded: %v", err)
	}
	f.mem.auditDown = false
	if got, err := f.ByID(t.Context(), f.ada.UID); err != nil || got.Email != f.ada.Email || got.EmailKey != f.ada.EmailKey || got.UsernameKey != "" || got.LastName != "" {
		t.Errorf("%+v, %v; want what was", got, err)
	}
	if f.mem.emails[f.ada.UID] != "" {
		t.Errorf("the sessions bear %q", f.mem.emails[f.ada.UID])
	}
}

// A login that read the account before its address changed would make a session
// with the former one.
func TestStillComparesTheAddress(t *testing.T) {
	f := newFixture(t)
	u, err := f.Authenticate(t.Context(), f.ada.Email, goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.UpdateProfile(t.Context(), u.UID, Profile{LastName: new("King")}); err != nil {
		t.Fatal(err)
	}
	if err := f.Still(t.Context(), u); err != nil {
		t.Errorf("after another name: %v", err)
	}
	if _, err := f.UpdateProfile(t.Context(), u.UID, Profile{Email: new("ADA@example.org")}); err != nil {
		t.Fatal(err)
	}
	wantReason(t, f.Still(t.Context(), u), "account_changed")
}
