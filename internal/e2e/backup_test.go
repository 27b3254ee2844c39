package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
)

// TestBackupDrill does what docs/operating.md says of backups: a store is backed
// up while its server runs, lost, and restored under the master key that was
// kept apart. Users who refreshed since the backup stay logged in by the tokens
// that the store has never seen; what was revoked since is not revoked any more,
// and what began since is gone.
func TestBackupDrill(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		d := newDeployment(t, "")
		drill(t, d, func() string {
			copied := filepath.Join(t.TempDir(), "copy.db")
			d.must(t, nil, "store", "backup", copied)
			return copied
		}, func(copied string) string {
			for _, suffix := range []string{"", "-wal", "-shm"} {
				if err := os.Remove(filepath.Join(d.dir, "keyturn.db"+suffix)); err != nil && !os.IsNotExist(err) {
					t.Fatal(err)
				}
			}
			d.must(t, nil, "store", "restore", copied)
			return d.store
		})
	})
	t.Run("MongoDB", func(t *testing.T) {
		t.Parallel()
		d := newDeployment(t, mongotest.URI(t))
		drill(t, d, func() string {
			copied := "sqlite:" + filepath.Join(t.TempDir(), "backup.db")
			d.must(t, nil, "store", "copy", "--from", d.store, "--to", copied)
			return copied
		}, func(copied string) string {
			empty := mongotest.URI(t)
			d.must(t, nil, "store", "copy", "--from", copied, "--to", empty)
			return empty
		})
	})
}

// drill backs up, goes on, loses the store and restores it.
func drill(t *testing.T, d *deployment, backup func() string, restore func(string) string) {
	t.Helper()
	s := openShop(t, d)
	issuer := s.url
	refresh := func(token string) tokens {
		return s.grant(t, s.public, "grant_type", "refresh_token", "refresh_token", token)
	}
	idle, busy, ended := s.login(t, s.public, email, password), s.login(t, s.public, email, password), s.login(t, s.public, email, password)
	spent := busy
	busy = refresh(busy.RefreshToken)
	copied := backup()
	for range 3 {
		busy = refresh(busy.RefreshToken)
	}
	late := s.login(t, s.public, email, password)
	if a, err := postForm(s.url+"/oauth/revoke", s.public, values("token", ended.RefreshToken)); err != nil || a.status != http.StatusOK {
		t.Fatalf("revocation: %v, %+v", err, a)
	}
	s.kill(t)

	d.store = restore(copied)
	d.must(t, nil, "store", "check")
	s.server = d.serveAs(t, issuer)
	for name, held := range map[string]tokens{"idle": idle, "busy": busy, "ended": ended} {
		if !s.active(t, s.confidential, held.AccessToken) {
			t.Errorf("%s: the access token does not count", name)
		}
		next := refresh(held.RefreshToken)
		if refresh(next.RefreshToken).RefreshToken == next.RefreshToken {
			t.Errorf("%s: the refresh token did not change", name)
		}
	}
	for name, held := range map[string]tokens{"begun after the backup": late, "spent before it": spent} {
		a, err := postForm(s.url+"/oauth/token", s.public, values("grant_type", "refresh_token", "refresh_token", held.RefreshToken))
		if err != nil || a.status != http.StatusBadRequest || a.member(t, "error") != "invalid_grant" {
			t.Errorf("a token %s: %v, %d %s; want invalid_grant", name, err, a.status, a.body)
		}
	}
	s.stop(t)
}
