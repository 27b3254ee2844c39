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
	onSQLite(t, func(t *testing.T, d *deployment) {
		by := d.addClient(t, "app", "--public", "--grant", "password")
		s := d.serve(t)
		// The costliest kind comes last: from then on every refusal costs as much.
		for _, batch := range []struct {
			file     string
			accounts []foreignAccount
		}{{"accounts.jsonl", made.Accounts[2:]}, {"fastapi.csv", made.Accounts[:2]}} {
			want := len(batch.accounts)
			d.importUsers(t, filepath.Join(dir, batch.file), importReport{DryRun: true, Imported: want}, "--dry-run")
			d.importUsers(t, filepath.Join(dir, batch.file), importReport{Imported: want})
			d.importUsers(t, filepath.Join(dir, batch.file), importReport{Present: want})
			for _, a := range batch.accounts {
				s.refusesLogin(t, by, a.Email, a.Password+"!")
				if a.Scheme == "disabled" {
					s.refusesLogin(t, by, a.Email, a.Password)
					continue
				}
				s.login(t, by, a.Email, a.Password)
			}
		}
		passwords := map[string]string{}
		for _, a := range made.Accounts {
			if a.Scheme != "disabled" {
				passwords[a.Email] = a.Password
			}
		}
		s.renews(t, d, by, passwords)
		for _, u := range d.exportUsers(t) {
			if u.Disabled == strings.HasPrefix(u.PasswordHash, ownHash) {
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
