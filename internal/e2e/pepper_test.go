package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

const (
	// What Devise made of the password and the pepper; see internal/passwords.
	devisePepper   = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee7"
	deviseHash     = "$2a$05$ac6QtcSfe/CNiFRNZ2wttuwMOlHgzQf790gnJep2HC3dlvvO4gZc2"
	devisePassword = "Grüße aus Königsberg 7"
)

// TestU3_DeviseUsersMoveIn imports accounts whose bcrypt hashes have a pepper: nobody
// gets in to them while the settings do not name it, which the server and doctor say,
// and with it they log in, and need it no more.
func TestU3_DeviseUsersMoveIn(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		file := filepath.Join(t.TempDir(), "users.csv")
		writeFile(t, file, "uid,email,password_hash\n1,ada@example.org,"+deviseHash+"\n2,grace@example.org,"+deviseHash+"\n")
		var refused importReport
		if o := d.run(t, "users", "import", file, "--peppered", "--output", "json"); o.code != 1 || !strings.Contains(o.stdout, "set pepper_file") {
			t.Fatalf("without a pepper: exit code %d, %s %s", o.code, o.stdout, o.stderr)
		}
		pepper := filepath.Join(t.TempDir(), "pepper")
		writeFile(t, pepper, devisePepper+"\r\n")
		refused.Imported = 2
		d.importUsers(t, file, refused, "--peppered", "--pepper-file", pepper)
		for _, u := range d.exportUsers(t) {
			if u.PasswordHash != "$peppered$"+deviseHash {
				t.Errorf("%s has %q at rest", u.Email, u.PasswordHash)
			}
		}
		by := d.addClient(t, "app", "--public", "--grant", "password")

		s := d.serve(t)
		s.refusesLogin(t, by, "ada@example.org", devisePassword)
		if said := s.stderr.String(); !strings.Contains(said, "pepper_file") {
			t.Errorf("the server did not say what it lacks:\n%s", said)
		}
		if log := readFile(t, d.auditLog); !strings.Contains(log, `"reason":"pepper_missing"`) || strings.Contains(log, `"reason":"wrong_password"`) {
			t.Errorf("the audit log gives another reason:\n%s", log)
		}
		if !warnsOf(t, s.url, "pepper_missing") {
			t.Error("/readyz does not warn")
		}
		if o := d.run(t, "doctor", "--issuer", s.url, "--inside"); o.code != 1 || !strings.Contains(o.stdout, "set pepper_file") {
			t.Errorf("doctor: exit code %d, %s", o.code, o.stdout)
		}
		s.stop(t)

		s = d.serve(t, "--pepper-file", pepper)
		s.refusesLogin(t, by, "ada@example.org", devisePassword+"!")
		s.login(t, by, "ada@example.org", devisePassword)
		s.renews(t, d, by, map[string]string{"ada@example.org": devisePassword})
		if warnsOf(t, s.url, "pepper_missing") {
			t.Error("/readyz warns of a pepper that is there")
		}
		if o := d.run(t, "doctor", "--issuer", s.url, "--inside", "--pepper-file", pepper); strings.Contains(o.stdout, "set pepper_file") {
			t.Errorf("doctor with the pepper: %s", o.stdout)
		}
		for _, text := range []string{s.stderr.String(), readFile(t, d.auditLog)} {
			if strings.Contains(text, devisePepper[:20]) {
				t.Error("the pepper is in a log")
			}
		}
		s.stop(t)

		s = d.serve(t)
		s.login(t, by, "ada@example.org", devisePassword)
		s.refusesLogin(t, by, "grace@example.org", devisePassword)
	})
}
