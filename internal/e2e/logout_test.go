package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// session is what users sessions prints of one.
type session struct {
	ID       string `json:"id"`
	ClientID string `json:"client_id"`
}

// sessions lists the live sessions of the shop's user, newest first.
func (s *shop) sessions(t *testing.T) (all []session) {
	t.Helper()
	s.must(t, &all, "users", "sessions", email)
	return all
}

// begin logs the user in and returns the session's id and tokens.
func (s *shop) begin(t *testing.T, by credentials) (string, tokens) {
	t.Helper()
	before := map[string]bool{}
	for _, known := range s.sessions(t) {
		before[known.ID] = true
	}
	got := s.login(t, by, email, password)
	for _, now := range s.sessions(t) {
		if !before[now.ID] {
			return now.ID, got
		}
	}
	t.Fatal("a login began no session")
	return "", tokens{}
}

// logout runs a logout command, which has to end that many sessions.
func (s *shop) logout(t *testing.T, want int, args ...string) {
	t.Helper()
	var got struct {
		Ended *int `json:"sessions_ended"`
	}
	s.must(t, &got, args...)
	if got.Ended == nil || *got.Ended != want {
		t.Errorf("%v ended %v sessions; want %d", args, got.Ended, want)
	}
}

// lives checks whether a session can refresh and its access token counts, and
// returns its tokens as they are then.
func (s *shop) lives(t *testing.T, by credentials, held tokens, want bool) tokens {
	t.Helper()
	if active := s.active(t, s.confidential, held.AccessToken); active != want {
		t.Errorf("the access token counts: %v; want %v", active, want)
	}
	a, err := postForm(s.url+"/oauth/token", by, values("grant_type", "refresh_token", "refresh_token", held.RefreshToken))
	if err != nil {
		t.Fatal(err)
	}
	if (a.status == http.StatusOK) != want {
		t.Fatalf("a refresh: %d %s; want it granted: %v", a.status, a.body, want)
	}
	if want {
		a.decode(t, &held)
	}
	return held
}

// TestOperatorsEndSessions ends one session, all but one, all of a user and all
// of a client from the command line, under a server that runs.
func TestOperatorsEndSessions(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		s := openShop(t, d)
		phone, held := s.begin(t, s.public)
		laptop, kept := s.begin(t, s.public)
		_, other := s.begin(t, s.confidential)

		s.logout(t, 1, "users", "logout", email, "--session", phone)
		s.lives(t, s.public, held, false)
		kept = s.lives(t, s.public, kept, true)
		other = s.lives(t, s.confidential, other, true)
		s.logout(t, 0, "users", "logout", email, "--session", phone)

		s.logout(t, 1, "users", "logout", email, "--all-but", laptop)
		kept = s.lives(t, s.public, kept, true)
		s.lives(t, s.confidential, other, false)
		s.logout(t, 0, "users", "logout", email, "--all-but", laptop)

		s.addUser(t, "bob@example.com", password)
		for want, args := range map[string][]string{
			"no session " + laptop:         {"users", "logout", "bob@example.com", "--session", laptop},
			"no live session " + laptop:    {"users", "logout", "bob@example.com", "--all-but", laptop},
			"no live session " + phone:     {"users", "logout", email, "--all-but", phone},
			"--all-but is empty":           {"users", "logout", email, "--all-but", ""},
			"none of the others can be":    {"users", "logout", email, "--all-but", laptop, "--session", laptop},
			"no account carol@example.com": {"users", "logout", "carol@example.com"},
			"client none: no such client":  {"clients", "logout", "none"},
			"accepts 1 arg(s), received 0": {"clients", "logout"},
		} {
			if o := s.run(t, args...); o.code == 0 || !strings.Contains(o.stderr, want) {
				t.Errorf("%v: exit code %d, %s; want %q", args, o.code, o.stderr, want)
			}
		}
		kept = s.lives(t, s.public, kept, true)

		_, other = s.begin(t, s.confidential)
		s.logout(t, 1, "clients", "logout", s.public.id)
		s.lives(t, s.public, kept, false)
		other = s.lives(t, s.confidential, other, true)
		s.logout(t, 0, "clients", "logout", s.public.id)
		s.begin(t, s.public) // the client is none the worse
		s.logout(t, 2, "users", "logout", email)
		s.lives(t, s.confidential, other, false)

		s.checkLogoutEvents(t)
	})
}

// checkLogoutEvents looks for one event for each command that was recorded.
func (s *shop) checkLogoutEvents(t *testing.T) {
	t.Helper()
	s.checkAudit(t)
	counts := map[string]int{}
	for line := range strings.Lines(readFile(t, s.auditLog)) {
		for _, action := range []string{"session-ended", "sessions-ended"} {
			if strings.Contains(line, `"action":"`+action+`"`) {
				outcome := "failure"
				if strings.Contains(line, `"outcome":"success"`) {
					outcome = "success"
				}
				counts[action+" "+outcome]++
			}
		}
	}
	for what, want := range map[string]int{"session-ended success": 2, "session-ended failure": 1, "sessions-ended success": 5, "sessions-ended failure": 3} {
		if counts[what] != want {
			t.Errorf("%d events %s; want %d", counts[what], what, want)
		}
	}
}
