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
	CreatedAt      time.Time `json:"created_at"`
	LastUsedAt     time.Time `json:"last_used_at"`
	ExpiresAt      time.Time `json:"expires_at"`
	FirstIP        string    `json:"first_ip"`
	FirstUserAgent string    `json:"first_user_agent"`
	IP             string    `json:"ip"`
	UserAgent      string    `json:"user_agent"`
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

// TestA2_ARefusedCopyIsNoTampering copies to a copy that somebody has worked on, and to
// another deployment's store. The copy's chain is in the log of the source: it verifies
// with the target where that shares the log, and nothing of it is in the other store.
func TestA2_ARefusedCopyIsNoTampering(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		d.addUser(t, email, password)
		target, foreign := d.on("sqlite:"+filepath.Join(d.dir, "target.db")), newDeployment(t, "")
		foreign.addUser(t, email, password)
		refused := func(to *deployment) {
			t.Helper()
			if o := d.run(t, "store", "copy", "--from", d.store, "--to", to.store); o.code != 1 || !strings.Contains(o.stderr, "is in use") {
				t.Errorf("exit code %d, %s", o.code, o.stderr)
			}
		}
		heads := foreign.run(t, "audit", "heads").stdout
		refused(foreign)
		if now := foreign.run(t, "audit", "heads").stdout; now != heads {
			t.Errorf("another deployment's store had the heads %s and has %s", heads, now)
		}
		foreign.checkAudit(t)
		d.checkAudit(t)

		d.must(t, nil, "store", "copy", "--from", d.store, "--to", target.store)
		d.checkAudit(t)
		target.addUser(t, "bob@example.com", password)
		refused(target)
		target.checkAudit(t)
		if log := readFile(t, d.auditLog); strings.Count(log, `"action":"store-copied"`) != 3 {
			t.Errorf("the log does not tell of three copies:\n%s", log)
		}
	})
}

// TestF6_ACopyIsNotWrittenOverItsOriginal: with the ends swapped, what was revoked since
// the copy would live again. The original's heads do not tell, since its server stores
// them now and then.
func TestF6_ACopyIsNotWrittenOverItsOriginal(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		s := openShop(t, d)
		revoked := s.login(t, s.confidential, email, password)
		copied := "sqlite:" + filepath.Join(d.dir, "copy.db")
		d.must(t, nil, "store", "copy", "--from", d.store, "--to", copied)
		s.insist(t, "/oauth/revoke", "token", revoked.RefreshToken)
		back := func() {
			t.Helper()
			if o := d.run(t, "store", "copy", "--from", copied, "--to", d.store, "--audit-log", d.auditLog); o.code != 1 || !strings.Contains(o.stderr, "a server has run on it") {
				t.Errorf("exit code %d, %s", o.code, o.stderr)
			}
		}
		back()
		s.lives(t, s.confidential, revoked, false)
		s.stop(t)
		back()
	})
}

// TestA2_ACopyIsToldFromItsOriginalBeforeAServerRan: no command on it writes into the
// log of the original by accident.
func TestA2_ACopyIsToldFromItsOriginalBeforeAServerRan(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		d.serve(t).stop(t)
		target := d.on(mongotest.URI(t))
		d.must(t, nil, "store", "copy", "--from", d.store, "--to", target.store, "--audit-log", filepath.Join(d.dir, "copy.log"))
		add := func(to *deployment, id string) outcome {
			return execute(t, []string{"KEYTURN_AUDIT_LOG=" + d.auditLog}, "", "clients", "add", id, "--public", "--grant", "password",
				"--store", to.store, "--master-key-file", d.masterKeys)
		}
		if o := add(target, "app"); o.code != 2 || !strings.Contains(o.stderr, "is a copy of") {
			t.Errorf("on the copy: exit code %d, %s", o.code, o.stderr)
		}
		if o := add(d, "app"); o.code != 0 {
			t.Errorf("on the original: exit code %d, %s", o.code, o.stderr)
		}
		target.auditLog = filepath.Join(d.dir, "copy.log")
		target.serve(t).stop(t)
		if o := add(target, "app"); o.code != 0 {
			t.Errorf("on the copy, after a server: exit code %d, %s", o.code, o.stderr)
		}
		if log := readFile(t, d.auditLog); strings.Count(log, `"action":"client-added"`) != 1 {
			t.Errorf("the log of the original has\n%s", log)
		}
	})
}

// TestACommandWithAnotherMasterKeySaysSoOnce: the copy needs none, for what is sealed
// stays sealed.
func TestACommandWithAnotherMasterKeySaysSoOnce(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		d.serve(t).stop(t)
		other := *d
		other.masterKeys = filepath.Join(d.dir, "other")
		newMasterKeys(t, other.masterKeys)
		for _, args := range [][]string{
			{"store", "copy", "--from", d.store, "--to", "sqlite:" + filepath.Join(d.dir, "copy.db")},
			{"clients", "add", "app", "--public", "--grant", "password"},
		} {
			o := other.run(t, args...)
			if o.code != 0 || strings.Count(o.stderr, `"level":"error"`) != 1 || !strings.Contains(o.stderr, "is this the deployment's master key?") {
				t.Errorf("%v: exit code %d\n%s", args[:2], o.code, o.stderr)
			}
		}
	})
}

// TestADatabaseThatTheURIDoesNotNameIsShown by config.
func TestADatabaseThatTheURIDoesNotNameIsShown(t *testing.T) {
	t.Parallel()
	o := execute(t, nil, "", "config", "--store", "mongodb://u:secret@db1,db2/?replicaSet=rs0", "--master-key-file", newDeployment(t, "").masterKeys)
	if o.code != 0 || !strings.Contains(o.stdout, "mongodb://u:****@db1,db2/keyturn?replicaSet=rs0&authSource=admin") {
		t.Errorf("exit code %d, %s%s", o.code, o.stdout, o.stderr)
	}
}
