package users

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
)

// TestA3_WithoutItsEventADecisionDoesNotStand makes every change of an account
// while the log is away: the account is field by field what it was, and the same
// again succeeds when the log is back. What takes rights away stands, and its
// event comes then.
func TestA3_WithoutItsEventADecisionDoesNotStand(t *testing.T) {
	first := "Augusta"
	for name, act := range map[string]func(f *fixture) error{
		"sign-up": func(f *fixture) error {
			_, err := f.SignUp(t.Context(), NewUser{Email: "grace@example.org", Username: "grace", Password: otherPassword})
			return err
		},
		"add": func(f *fixture) error {
			_, err := f.Add(t.Context(), NewUser{Email: "grace@example.org", Password: otherPassword})
			return err
		},
		"import": func(f *fixture) error {
			_, err := f.Import(t.Context(), ImportUser{Email: "grace@example.org", PasswordHash: vectors["scrypt"]})
			return err
		},
		"password": func(f *fixture) error {
			return f.ChangePassword(t.Context(), f.ada.UID, goodPassword, otherPassword, "")
		},
		"reset":  func(f *fixture) error { return f.ResetPassword(t.Context(), f.ada.UID, otherPassword) },
		"enable": func(f *fixture) error { return f.Enable(t.Context(), f.ada.UID) },
		"delete": func(f *fixture) error { return f.Delete(t.Context(), f.ada.UID) },
		"profile": func(f *fixture) error {
			_, err := f.UpdateProfile(t.Context(), f.ada.UID, Profile{FirstName: &first})
			return err
		},
		"claims": func(f *fixture) error {
			_, err := f.SetClaims(t.Context(), f.ada.UID, []string{"admin"}, "")
			return err
		},
		"token": func(f *fixture) error {
			_, _, err := f.IssueReset(t.Context(), f.ada.UID, time.Hour, false)
			return err
		},
	} {
		f := newFixture(t)
		f.mem.sessions[f.ada.UID] = []string{"phone"}
		f.mem.auditDown = true
		if err := act(f); !errors.Is(err, decision.ErrNotRecorded) || !errors.Is(err, errDown) {
			t.Errorf("%s: got %v, want decision.ErrNotRecorded and its cause", name, err)
		}
		was := f.ada
		was.Version = f.mem.users[was.UID].Version
		if !reflect.DeepEqual(f.mem.users, map[string]User{was.UID: was}) || len(f.mem.sessions[was.UID]) != 1 {
			t.Errorf("%s: without its event the accounts are %+v", name, f.mem.users)
		}
		f.mem.auditDown = false
		if err := act(f); err != nil {
			t.Errorf("%s, repeated: %v", name, err)
		}
		if e := f.mem.lastEvent(t); e.Outcome != audit.Success || e.ID == "" || e.Retold {
			t.Errorf("%s: %+v", name, e)
		}
		for uid := range f.mem.users {
			if u := f.mem.users[uid]; !u.Free() || u.Unborn {
				t.Errorf("%s: left as %+v", name, u.Held)
			}
		}
	}
}

// TestA3_WhatTakesRightsAwayOwesItsEvent ends sessions and disables accounts
// while the log is away, several times: each stands at once, and each event comes
// when the log is back.
func TestA3_WhatTakesRightsAwayOwesItsEvent(t *testing.T) {
	f := newFixture(t)
	f.mem.sessions[f.ada.UID] = []string{"phone", "laptop"}
	f.mem.auditDown = true
	if n, err := f.EndSessions(t.Context(), f.ada.UID, "phone"); n != 1 || !errors.Is(err, decision.ErrOwed) {
		t.Errorf("%d, %v", n, err)
	}
	if err := f.Disable(t.Context(), f.ada.UID); !errors.Is(err, decision.ErrOwed) || !errors.Is(err, errDown) {
		t.Error(err)
	}
	if !f.mem.users[f.ada.UID].Disabled || len(f.mem.sessions[f.ada.UID]) != 0 {
		t.Error("a protection waits for the log")
	}
	if err := f.Enable(t.Context(), f.ada.UID); !errors.Is(err, decision.ErrNotRecorded) {
		t.Errorf("enabled while an event is owed and the log away: %v", err)
	}
	f.clock.advance(decision.Grace)
	if n, err := f.SettleDecisions(t.Context()); n != 0 || !errors.Is(err, errDown) {
		t.Errorf("settled without the log: %d, %v", n, err)
	}
	f.mem.auditDown = false
	f.clock.advance(decision.Grace)
	if n, err := f.SettleDecisions(t.Context()); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if len(f.mem.events) != 2 || f.mem.events[0].Action != audit.SessionsEnded || f.mem.events[1].Action != audit.UserDisabled ||
		f.mem.events[0].ID == f.mem.events[1].ID || !f.mem.events[0].Retold || f.mem.events[0].Count != 1 {
		t.Errorf("%+v", f.mem.events)
	}
	f.mem.events = nil
	if err := f.Enable(t.Context(), f.ada.UID); err != nil {
		t.Error(err)
	}
}

// A refusal that cannot be recorded is not told either.
func TestA3_ARefusalIsNotToldWithoutItsEvent(t *testing.T) {
	f := newFixture(t)
	f.mem.auditDown = true
	_, err := f.SignUp(t.Context(), NewUser{Email: "ada@example.org", Password: goodPassword})
	if !errors.Is(err, decision.ErrNotRecorded) || errors.Is(err, ErrEmailTaken) {
		t.Errorf("got %v", err)
	}
}
