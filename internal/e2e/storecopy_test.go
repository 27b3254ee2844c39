package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
)

// listed is all that users sessions prints of one session.
type listed struct {
	session
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
	ExpiresAt  time.Time `json:"expires_at"`
	IP         string    `json:"ip"`
	UserAgent  string    `json:"user_agent"`
}

// TestStoreCopyLogsNobodyOut moves a deployment from SQLite to MongoDB and back.
// Sessions go on with the tokens that were held before each move, and look the
// same; the spent ones still end theirs (F3), and those that ended stay so.
func TestStoreCopyLogsNobodyOut(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	s := openShop(t, d)
	issuer := s.url
	held := map[credentials]tokens{}
	for _, by := range []credentials{s.public, s.confidential} {
		held[by] = s.login(t, by, email, password)
	}
	refresh := func(by credentials, token string) tokens {
		return s.grant(t, by, "grant_type", "refresh_token", "refresh_token", token)
	}
	ended := s.login(t, s.public, email, password)
	s.insist(t, "/oauth/revoke", "token", s.login(t, s.confidential, email, password).RefreshToken)
	if a, err := postForm(s.url+"/oauth/revoke", s.public, values("token", ended.RefreshToken)); err != nil || a.status != http.StatusOK {
		t.Fatalf("revocation: %v, %+v", err, a)
	}
	for moves, to := range []string{mongotest.URI(t), "sqlite:" + filepath.Join(t.TempDir(), "back.db")} {
		// Of a session that is stolen, the thief holds a token spent before.
		stolen := s.login(t, s.public, email, password).RefreshToken
		live := refresh(s.public, refresh(s.public, stolen).RefreshToken)

		var before, after []listed
		s.must(t, &before, "users", "sessions", email)
		s.stop(t)
		d.must(t, nil, "store", "copy", "--from", d.store, "--to", to)
		d.store = to
		s.must(t, &after, "users", "sessions", email)
		if len(before) != 3 || !slices.Equal(before, after) {
			t.Errorf("move %d: sessions before %+v; after %+v", moves, before, after)
		}
		s.server = d.serveAs(t, issuer)
		for by, had := range held {
			// Its access token, and the keys that signed it, moved too.
			if !s.active(t, s.confidential, had.AccessToken) {
				t.Errorf("move %d: the access token of %s does not count", moves, by.id)
			}
			held[by] = refresh(by, refresh(by, had.RefreshToken).RefreshToken)
		}
		s.lives(t, s.public, ended, false)
		s.checkReuses(t, moves)
		a, err := postForm(s.url+"/oauth/token", s.public, values("grant_type", "refresh_token", "refresh_token", stolen))
		if err != nil || a.status != http.StatusBadRequest {
			t.Errorf("move %d: a spent token: %v, %d %s", moves, err, a.status, a.body)
		}
		s.lives(t, s.public, live, false)
		s.checkReuses(t, moves+1)
	}
	s.stop(t)
	s.checkAudit(t)
}

// TestStoreCopyOfNothing refuses a source that holds nothing, as a mistyped database
// does, and one that is the target.
func TestStoreCopyOfNothing(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	onBothStores(t, nil, func(t *testing.T, other *deployment) {
		other.addUser(t, email, password)
		target := "sqlite:" + filepath.Join(t.TempDir(), "copy.db")
		for _, c := range []struct{ from, to, says string }{
			{mongotest.URI(t), target, "holds nothing"},
			{other.store, other.store, "is the store of --from"},
		} {
			if o := d.run(t, "store", "copy", "--from", c.from, "--to", c.to); o.code == 0 || !strings.Contains(o.stderr, c.says) {
				t.Errorf("copying %s to %s: exit code %d, %s", c.from, c.to, o.code, o.stderr)
			}
		}
		if _, err := os.Stat(strings.TrimPrefix(target, "sqlite:")); err == nil {
			t.Error("a copy of nothing was made")
		}
	})
}
