package oauth_test

import (
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/oauth"
)

// TestT1_AWrongClockEndsNoSession: whichever way it is wrong, a session that only
// one clock calls expired is neither ended nor said to be.
func TestT1_AWrongClockEndsNoSession(t *testing.T) {
	f := newFixture(t, nil)
	_, token := f.login(t)
	undecided := func() {
		t.Helper()
		_, _, err := f.Refresh(f.ctx, token, app.ID, "")
		if e := refusal.Of(err); e == nil || e.Code != refusal.Unavailable || e.Reason != audit.ReasonClockUnconfirmed {
			t.Errorf("the refresh ended with %v", err)
		}
	}
	f.clock.jump(45 * 24 * time.Hour)
	undecided()
	f.clock.jump(0)
	_, next, err := f.Refresh(f.ctx, token, app.ID, "")
	if err != nil {
		t.Fatalf("after the clock was right again: %v", err)
	}
	token = next
	f.clock.advance(49 * time.Hour)
	f.clock.jump(-2 * time.Hour)
	undecided()
	f.clock.jump(0)
	if _, _, err := f.Refresh(f.ctx, token, app.ID, ""); !isDead(err) {
		t.Errorf("a session that both clocks call expired: %v", err)
	}
}

// TestT1_ASessionOfAWrongMinuteLivesOn: begun, or refreshed, while the clock was behind
// by more than a session may be idle.
func TestT1_ASessionOfAWrongMinuteLivesOn(t *testing.T) {
	f := newFixture(t, nil)
	_, before := f.login(t)
	f.clock.jump(-72 * time.Hour)
	_, meanwhile := f.login(t)
	before, meanwhile = f.spend(t, before), f.spend(t, meanwhile)
	f.clock.jump(0)
	before, meanwhile = f.spend(t, before), f.spend(t, meanwhile)
	f.clock.advance(49 * time.Hour)
	for _, token := range []string{before, meanwhile} {
		if _, _, err := f.Refresh(f.ctx, token, app.ID, ""); !isDead(err) {
			t.Errorf("a session that was idle for too long: %v", err)
		}
	}
}

// TestT1_TheRetryWindowIsElapsedTime: a clock set back does not stretch it, and neither
// one set forward nor one that was behind before makes a thief of who tries again.
func TestT1_TheRetryWindowIsElapsedTime(t *testing.T) {
	f := newFixture(t, func(s *oauth.Settings) { s.RetryWindow = clients.RetryWindow(30 * time.Second) })
	_, token := f.login(t)
	if _, _, err := f.Refresh(f.ctx, token, app.ID, ""); err != nil {
		t.Fatal(err)
	}
	f.clock.advance(20 * time.Second)
	f.clock.jump(time.Hour)
	if _, _, err := f.Refresh(f.ctx, token, app.ID, ""); err != nil {
		t.Errorf("20 seconds later by elapsed time: %v", err)
	}
	f.clock.advance(20 * time.Second)
	f.clock.jump(-2 * time.Hour)
	if _, _, err := f.Refresh(f.ctx, token, app.ID, ""); !isDead(err) {
		t.Errorf("40 seconds later by elapsed time: %v", err)
	}
	_, token = f.login(t)
	for range 2 {
		if _, _, err := f.Refresh(f.ctx, token, app.ID, ""); err != nil {
			t.Errorf("spent behind time and tried again at once: %v", err)
		}
	}
}

func isDead(err error) bool {
	_, dead := oauth.RefusalOf(err)
	return dead
}
