//go:build interop

package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// foreignAccount is one that foreign_users.py made.
type foreignAccount struct{ Email, Password, Scheme string }

// TestU3_UsersOfOtherSystemsMoveIn imports accounts whose hashes were made by
// passlib, bcrypt, Django, Werkzeug, PHP, OpenSSL and htpasswd, logs each in, and finds
// argon2id afterwards.
func TestU3_UsersOfOtherSystemsMoveIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var made struct{ Accounts []foreignAccount }
	ask(t, map[string]string{"dir": dir}, &made, "/usr/bin/python3", filepath.Join("clients", "python", "foreign_users.py"))
	if len(made.Accounts) != 37 {
		t.Fatalf("%d accounts were made; want 37", len(made.Accounts))
	}
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		by := d.addClient(t, "app", "--public", "--grant", "password")
		for file, want := range map[string]int{"fastapi.csv": 2, "accounts.jsonl": 35} {
			d.importUsers(t, filepath.Join(dir, file), importReport{DryRun: true, Imported: want}, "--dry-run")
			d.importUsers(t, filepath.Join(dir, file), importReport{Imported: want})
			d.importUsers(t, filepath.Join(dir, file), importReport{Present: want})
		}
		s := d.serve(t)
		for _, a := range made.Accounts {
			s.refusesLogin(t, by, a.Email, a.Password+"!")
			if a.Scheme == "disabled" {
				s.refusesLogin(t, by, a.Email, a.Password)
				continue
			}
			s.login(t, by, a.Email, a.Password)
		}
		for _, u := range d.exportUsers(t) {
			renewed := strings.HasPrefix(u.PasswordHash, "$argon2id$v=19$m=19456,t=2,p=1$")
			if renewed == u.Disabled {
				t.Errorf("%s, disabled %t, has the hash %.30s after its login", u.Email, u.Disabled, u.PasswordHash)
			}
		}
		for _, a := range made.Accounts {
			if a.Scheme != "disabled" {
				s.login(t, by, a.Email, a.Password)
			}
		}
	})
}
