package users

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/refusal"
)

func (f *fixture) issueReset(t *testing.T) string {
	t.Helper()
	token, expires, err := f.IssueReset(t.Context(), f.ada.UID, time.Hour, false)
	if err != nil || !expires.Equal(f.clock.now().Add(time.Hour)) {
		t.Fatalf("expires %v, error %v", expires, err)
	}
	if e := f.mem.lastEvent(t); e.Action != audit.ResetIssued || e.Outcome != audit.Success || strings.Contains(e.Detail, token) {
		t.Fatalf("event %+v", e)
	}
	return token
}

func TestReset(t *testing.T) {
	f := newFixture(t)
	f.mem.sessions[f.ada.UID] = []string{"s1", "s2"}
	token := f.issueReset(t)
	if hash := f.mem.users[f.ada.UID].ResetHash; strings.Contains(token, string(hash)) || len(hash) != 32 {
		t.Errorf("the store keeps %x", hash)
	}
	if _, err := f.Authenticate(t.Context(), f.ada.Email, goodPassword); err != nil {
		t.Errorf("while the token is out the password is good: %v", err)
	}

	if err := f.RedeemReset(t.Context(), token, "short"); err == nil || f.mem.lastEvent(t).Reason.String() != "password_refused" {
		t.Errorf("error %v; want the policy's", err)
	}
	if err := f.RedeemReset(t.Context(), token, otherPassword); err != nil {
		t.Fatalf("after a password that was refused the token is spent: %v", err)
	}
	e := f.mem.lastEvent(t)
	if e.Action != audit.ResetRedeemed || e.Outcome != audit.Success || e.UserID != f.ada.UID || e.Count != 2 {
		t.Errorf("event %+v", e)
	}
	if _, err := f.Authenticate(t.Context(), f.ada.Email, otherPassword); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if _, err := f.Authenticate(t.Context(), f.ada.Email, goodPassword); !refusal.Is(err, refusal.BadCredentials) {
		t.Errorf("the former password: %v", err)
	}
	if err := f.RedeemReset(t.Context(), token, goodPassword); !errors.Is(err, errResetToken) || f.mem.lastEvent(t).Reason.String() != "bad_reset_token" {
		t.Errorf("the token's second use: %v", err)
	}
}

func TestResetTokensThatDoNotCount(t *testing.T) {
	for what, spoil := range map[string]func(f *fixture, token string) string{
		"expired": func(f *fixture, token string) string { f.clock.advance(time.Hour); return token },
		"of a clock that was ahead": func(f *fixture, _ string) string {
			f.clock.advance(45 * 24 * time.Hour)
			token := f.issueReset(t)
			f.clock.advance(-45 * 24 * time.Hour)
			return token
		},
		"replaced":   func(f *fixture, token string) string { f.issueReset(t); return token },
		"empty":      func(*fixture, string) string { return "" },
		"cut":        func(_ *fixture, token string) string { return token[:len(token)-1] },
		"prolonged":  func(_ *fixture, token string) string { return token + "AAAA" },
		"long":       func(_ *fixture, token string) string { return token + strings.Repeat("A", 10<<20) },
		"without id": func(_ *fixture, token string) string { return token[:len(resetPrefix)+43] },
		"changed": func(_ *fixture, token string) string {
			return token[:10] + string(token[10]^1) + token[11:]
		},
		"a line break": func(_ *fixture, token string) string { return token[:20] + "\n" + token[20:] },
		"disabled": func(f *fixture, token string) string {
			if err := f.Disable(t.Context(), f.ada.UID); err != nil {
				t.Fatal(err)
			}
			f.mem.lastEvent(t)
			return token
		},
		"password changed": func(f *fixture, token string) string {
			if err := f.ResetPassword(t.Context(), f.ada.UID, otherPassword); err != nil {
				t.Fatal(err)
			}
			f.mem.lastEvent(t)
			return token
		},
		"deleted": func(f *fixture, token string) string {
			if err := f.Delete(t.Context(), f.ada.UID); err != nil {
				t.Fatal(err)
			}
			f.mem.lastEvent(t)
			return token
		},
	} {
		f := newFixture(t)
		token := spoil(f, f.issueReset(t))
		before, computed := f.mem.users[f.ada.UID].PasswordHash, f.Hasher.Stats().Computed
		if err := f.RedeemReset(t.Context(), token, "a password for nobody at all"); !errors.Is(err, errResetToken) {
			t.Errorf("%s: error %v, want %v", what, err, errResetToken)
		}
		if f.mem.users[f.ada.UID].PasswordHash != before || f.Hasher.Stats().Computed != computed {
			t.Errorf("%s: the password changed, or a hash was computed", what)
		}
	}
}

func TestResetTokenIsSpentOnce(t *testing.T) {
	f := newFixture(t)
	token := f.issueReset(t)
	var wins atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := f.RedeemReset(t.Context(), token, otherPassword)
			switch {
			case err == nil:
				wins.Add(1)
			case !errors.Is(err, errResetToken) && !errors.Is(err, ErrConflict):
				t.Errorf("error %v", err)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 {
		t.Errorf("the token counted %d times", wins.Load())
	}
}

func TestA3_ResetTokenWithoutItsEventIsVoid(t *testing.T) {
	f := newFixture(t)
	f.mem.auditDown = true
	token, _, err := f.IssueReset(t.Context(), f.ada.UID, time.Hour, false)
	if token != "" || !errors.Is(err, decision.ErrNotRecorded) || f.mem.users[f.ada.UID].ResetHash != nil {
		t.Errorf("token of %d characters, error %v", len(token), err)
	}
	f.mem.auditDown = false
	token = f.issueReset(t)
	f.mem.auditDown = true
	if err := f.RedeemReset(t.Context(), token, otherPassword); !errors.Is(err, decision.ErrNotRecorded) {
		t.Errorf("error %v", err)
	}
	f.mem.auditDown = false
	if _, err := f.Authenticate(t.Context(), f.ada.Email, goodPassword); err != nil {
		t.Errorf("the former password was not put back: %v", err)
	}
}

func TestIssueResetRefuses(t *testing.T) {
	f := newFixture(t)
	for _, life := range []time.Duration{0, -1, LongestReset + 1} {
		if _, _, err := f.IssueReset(t.Context(), f.ada.UID, life, false); err == nil {
			t.Errorf("a life of %s is accepted", life)
		}
	}
	if _, _, err := f.IssueReset(t.Context(), "nobody", time.Hour, false); !errors.Is(err, ErrNotFound) {
		t.Errorf("error %v", err)
	}
}

func FuzzResetToken(f *testing.F) {
	f.Add("kt_pr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAxMjM0")
	f.Add("kt_pr_")
	f.Fuzz(func(t *testing.T, token string) {
		if secret, uid, ok := parseReset(token); ok && (len(secret) != resetSecretBytes || !isUID(uid)) {
			t.Errorf("%q is read as %x, %q", token, secret, uid)
		}
	})
}

func TestDelete(t *testing.T) {
	f := newFixture(t)
	f.mem.sessions[f.ada.UID] = []string{"s1", "s2"}
	if err := f.Delete(t.Context(), f.ada.UID); err != nil {
		t.Fatal(err)
	}
	e := f.mem.lastEvent(t)
	if e.Action != audit.UserDeleted || e.Outcome != audit.Success || e.UserID != f.ada.UID || e.UserEmail != f.ada.Email || e.Count != 2 {
		t.Errorf("event %+v", e)
	}
	_, err := f.Authenticate(t.Context(), f.ada.Email, goodPassword)
	wantReason(t, err, "unknown_user")
	wantReason(t, f.Still(t.Context(), f.ada), "unknown_user")
	if err := f.Delete(t.Context(), f.ada.UID); !errors.Is(err, ErrNotFound) || f.mem.lastEvent(t).Outcome != audit.Failure {
		t.Errorf("deleting it again: %v", err)
	}
	if _, err := f.SignUp(t.Context(), NewUser{Email: f.ada.Email, Password: goodPassword}); err != nil {
		t.Errorf("the address is not free: %v", err)
	}
}
