package oauth_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// events is an audit log that remembers.
type events []audit.Event

func (all *events) Record(_ context.Context, e audit.Event) error {
	*all = append(*all, e)
	return nil
}

// last returns the one event written since the last call.
func (all *events) last(t *testing.T) audit.Event {
	t.Helper()
	if len(*all) != 1 {
		t.Fatalf("events %+v; want one", *all)
	}
	e := (*all)[0]
	*all = nil
	if err := audittest.Check(e); err != nil {
		t.Error(err)
	}
	return e
}

func TestEndSessionsOfAClient(t *testing.T) {
	f := newFixture(t, nil)
	var log events
	registry := &clients.Registry{Store: f.store, Audit: &log, AccessTTL: time.Hour, Now: f.clock.now}
	_, token := f.login(t)
	for _, want := range []int{1, 0} {
		if n, err := registry.EndSessions(f.ctx, app.ID); n != want || err != nil {
			t.Errorf("%d, %v; want %d", n, err, want)
		}
		if e := log.last(t); e.Action != audit.SessionsEnded || e.ClientID != app.ID || e.Count != want || e.Outcome != audit.Success {
			t.Errorf("%+v", e)
		}
	}
	f.refuse(t, token, app.ID, "ended_session")
	f.login(t) // the client is none the worse
	if n, err := registry.EndSessions(f.ctx, "none"); n != 0 || !errors.Is(err, clients.ErrNotFound) {
		t.Errorf("an unknown client: %d, %v", n, err)
	}
	if e := log.last(t); e.Outcome != audit.Failure || e.Reason != audit.ReasonUnknownClient {
		t.Errorf("%+v", e)
	}
}

func TestSessionOf(t *testing.T) {
	f := newFixture(t, nil)
	var log events
	ender := oauth.SessionEnder{Store: f.store, Audit: &log, Now: f.clock.now}
	fam, _ := f.login(t)
	check := func(when, uid, id string, want bool, wantErr error) {
		t.Helper()
		if live, err := ender.SessionOf(f.ctx, uid, id); live != want || !errors.Is(err, wantErr) {
			t.Errorf("%s: %v, %v", when, live, err)
		}
	}
	check("live", "uid-1", fam.ID, true, nil)
	check("another's", "uid-2", fam.ID, false, users.ErrNoSession)
	check("unknown", "uid-1", "none", false, users.ErrNoSession)
	f.clock.advance(48 * time.Hour)
	check("expired", "uid-1", fam.ID, false, nil)
	fam, _ = f.login(t)
	for _, want := range []bool{true, false} {
		e := audit.Event{Action: audit.SessionEnded, Outcome: audit.Success, UserID: "uid-1", SessionID: fam.ID, Reason: audit.ReasonLogout}
		if ended, err := ender.EndSession(f.ctx, e); ended != want || err != nil {
			t.Errorf("ended: %v, %v; want %v", ended, err, want)
		}
		e.UserID = "uid-2"
		if _, err := ender.EndSession(f.ctx, e); !errors.Is(err, users.ErrNoSession) {
			t.Errorf("another's: %v", err)
		}
	}
	if len(log) != 2 {
		t.Errorf("events %+v", log)
	}
	check("ended", "uid-1", fam.ID, false, nil)
}
