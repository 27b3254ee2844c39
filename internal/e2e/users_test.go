package e2e

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// importReport is what users import prints.
type importReport struct {
	DryRun   bool `json:"dry_run"`
	Imported int  `json:"imported"`
	Present  int  `json:"already_present"`
	Refused  []struct {
		Line   int
		Reason string
	} `json:"refused"`
}

// importUsers imports a file, of which nothing may be refused.
func (d *deployment) importUsers(t *testing.T, file string, want importReport, args ...string) {
	t.Helper()
	var got importReport
	d.must(t, &got, slices.Concat([]string{"users", "import", file}, args)...)
	if want.Refused = got.Refused; len(got.Refused) > 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("importing %s %v: %+v; want %+v", filepath.Base(file), args, got, want)
	}
}

// exportedUser is one line of users export.
type exportedUser struct {
	UID          string          `json:"uid"`
	Email        string          `json:"email"`
	PasswordHash string          `json:"password_hash"`
	Disabled     bool            `json:"disabled"`
	Roles        []string        `json:"roles"`
	Claims       json.RawMessage `json:"claims"`
}

func (d *deployment) exportUsers(t *testing.T) []exportedUser {
	t.Helper()
	o := d.run(t, "users", "export", "-")
	if o.code != 0 {
		t.Fatalf("users export: exit code %d\n%s", o.code, o.stderr)
	}
	var all []exportedUser
	for line := range strings.Lines(o.stdout) {
		var u exportedUser
		if err := json.Unmarshal([]byte(line), &u); err != nil {
			t.Fatalf("users export printed %q: %v", line, err)
		}
		all = append(all, u)
	}
	return all
}

// refusesLogin sends credentials that do not count.
func (s *server) refusesLogin(t *testing.T, by credentials, username, password string) {
	t.Helper()
	a, err := postForm(s.url+"/oauth/token", by, values("grant_type", "password", "username", username, "password", password))
	if err != nil {
		t.Fatal(err)
	}
	if a.status != http.StatusBadRequest || a.member(t, "error") != "invalid_grant" {
		t.Errorf("a login as %s: %d %s; want it refused", username, a.status, a.body)
	}
}

// ownHash begins a hash of the cost that servers hash at.
const ownHash = "$argon2id$v=19$m=19456,t=2,p=1$"

// renews waits until all who logged in have a hash of the server's own. A server that
// is too busy for it leaves it to the next login.
func (s *server) renews(t *testing.T, d *deployment, by credentials, passwords map[string]string) {
	t.Helper()
	if !poll(s.exited, func() bool {
		done := true
		for _, u := range d.exportUsers(t) {
			if password, is := passwords[u.Email]; is && !strings.HasPrefix(u.PasswordHash, ownHash) {
				done = false
				s.login(t, by, u.Email, password)
			}
		}
		return done
	}) {
		t.Error("hashes of other systems are there after many logins")
	}
}

// TestUsersMoveBetweenDeployments writes the accounts of one deployment out and
// reads them into another, where they log in as before.
func TestUsersMoveBetweenDeployments(t *testing.T) {
	t.Parallel()
	from := newDeployment(t, "")
	uid := from.addUser(t, email, password, "--username", "ada", "--first-name", "Ada", "--role", "admin", "--claim", "tier=3")
	from.addUser(t, "bob@example.com", password)
	from.must(t, nil, "users", "disable", "bob@example.com")
	onBothStores(t, nil, func(t *testing.T, to *deployment) {
		for _, name := range []string{"accounts.jsonl", "accounts.csv"} {
			file := filepath.Join(t.TempDir(), name)
			from.must(t, nil, "users", "export", file)
			if o := from.run(t, "users", "export", file); o.code != 1 || !strings.Contains(o.stderr, "exists") {
				t.Errorf("writing over an export: exit code %d, %s", o.code, o.stderr)
			}
			want := importReport{Imported: 2}
			if name == "accounts.csv" {
				want = importReport{Present: 2}
			}
			to.importUsers(t, file, want)
		}
		if got, want := to.exportUsers(t), from.exportUsers(t); !reflect.DeepEqual(got, want) || len(got) != 2 {
			t.Errorf("moved:\n%+v\nwant\n%+v", got, want)
		}
		by := to.addClient(t, "app", "--public", "--grant", "password", "--claim", "roles")
		s := to.serve(t)
		s.login(t, by, email, password)
		s.refusesLogin(t, by, "bob@example.com", password)

		var reset struct{ Token string }
		to.must(t, &reset, "users", "reset", uid, "--valid-for", "1h")
		if !strings.HasPrefix(reset.Token, "kt_pr_") {
			t.Errorf("users reset printed a token of %d characters", len(reset.Token))
		}
		var off struct{ Disabled bool }
		if to.must(t, &off, "users", "reset", "bob@example.com"); !off.Disabled {
			t.Error("users reset says nothing of a disabled account")
		}
		to.must(t, nil, "users", "claims", email, "--role", "editor")
		to.must(t, nil, "users", "delete", email)
		s.refusesLogin(t, by, email, password)
		if left := to.exportUsers(t); len(left) != 1 {
			t.Errorf("after users delete there is %+v", left)
		}
	})
}

// TestImportReportsByLine imports a file with lines that cannot be taken.
func TestImportReportsByLine(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	d.addUser(t, email, password)
	const hash = "$2b$05$U.6.gPs5MUbuscDNCwOTt.Hhz7sJvgOD6n12TshKwfGe2N9v1ShX6"
	file := filepath.Join(t.TempDir(), "accounts.csv")
	writeFile(t, file, strings.Join([]string{
		"email,password_hash,first_name",
		"one@example.com," + hash + ",One",
		"two@example.com,$2b$31$U.6.gPs5MUbuscDNCwOTt.Hhz7sJvgOD6n12TshKwfGe2N9v1ShX6,a cost of 2^31",
		"thr\x00ee@example.com," + hash + ",NUL",
		"four@example.com,$argon2id$v=19$m=19456,t=2,p=1$no,argon2id it is not",
		"five@example.com," + strings.Repeat("x", 60_000) + ",long",
		"",
		email + "," + hash + ",taken",
	}, "\n"))
	before := d.exportUsers(t)
	for _, args := range [][]string{{"--dry-run"}, {}} {
		o := d.run(t, slices.Concat([]string{"users", "import", file}, args)...)
		var got importReport
		if err := json.Unmarshal([]byte(o.stdout), &got); err != nil || o.code != 1 || got.Imported != 1 || got.Present != 1 || len(got.Refused) != 4 {
			t.Fatalf("%v: exit code %d, %s", args, o.code, o.stdout)
		}
		for n, no := range got.Refused {
			if no.Line != n+3 || no.Reason == "" || strings.Contains(no.Reason, "U.6.gPs5") {
				t.Errorf("refusal %d: line %d, %s", n, no.Line, no.Reason)
			}
		}
		if len(args) > 0 && !reflect.DeepEqual(d.exportUsers(t), before) {
			t.Error("a dry run wrote")
		}
	}
}
