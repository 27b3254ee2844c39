package users

import (
	"errors"
	"slices"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
)

func TestEndSessions(t *testing.T) {
	for _, test := range []struct {
		name, uid, except string
		want              int
		err               error
		reason            string
	}{
		{"all", "", "", 3, nil, endLoggedOut},
		{"all but one", "", "phone", 2, nil, endLoggedOut},
		{"all but one that is unknown", "", "phome", 0, ErrNoSession, "unknown_session"},
		{"all but one that has ended", "", "ended", 0, ErrNoSession, "unknown_session"},
		{"of nobody", "nobody", "", 0, ErrNotFound, "unknown_user"},
	} {
		f := newFixture(t)
		if test.uid == "" {
			test.uid = f.ada.UID
		}
		f.mem.sessions[f.ada.UID] = []string{"phone", "laptop", "tablet"}
		n, err := f.EndSessions(t.Context(), test.uid, test.except)
		if n != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s: %d, %v; want %d, %v", test.name, n, err, test.want, test.err)
		}
		if left := 3 - len(f.mem.sessions[f.ada.UID]); left != test.want {
			t.Errorf("%s: %d sessions are gone; want %d", test.name, left, test.want)
		}
		e := f.mem.lastEvent(t)
		if e.Action != audit.SessionsEnded || e.Count != test.want || e.Reason.String() != test.reason || (e.Outcome == audit.Success) != (test.err == nil) {
			t.Errorf("%s: %+v", test.name, e)
		}
	}
}

func TestEndSession(t *testing.T) {
	f := newFixture(t)
	f.mem.sessions[f.ada.UID] = []string{"phone", "laptop"}
	f.mem.sessions["bob"] = []string{"desk"}
	for _, test := range []struct {
		id    string
		ended bool
		err   error
	}{{"phone", true, nil}, {"ended", false, nil}, {"desk", false, ErrNoSession}, {"none", false, ErrNoSession}} {
		ended, err := f.EndSession(t.Context(), f.ada.UID, test.id)
		if ended != test.ended || !errors.Is(err, test.err) {
			t.Errorf("%s: %v, %v", test.id, ended, err)
		}
		e := f.mem.lastEvent(t)
		if e.Action != audit.SessionEnded || e.SessionID != test.id || (e.Count == 1) != ended || (e.Outcome == audit.Success) != (test.err == nil) {
			t.Errorf("%s: %+v", test.id, e)
		}
	}
	if !slices.Equal(f.mem.sessions[f.ada.UID], []string{"laptop"}) || len(f.mem.sessions["bob"]) != 1 {
		t.Errorf("left are %v", f.mem.sessions)
	}
}
