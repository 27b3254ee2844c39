package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
)

// deployment is one store and what runs on it: servers and commands.
type deployment struct {
	dir   string
	store string
	// masterKeys and auditLog are files; the commands write to auditLog, and
	// so does a server that is not given another.
	masterKeys, auditLog string
	// settings are flags that servers and commands share.
	settings []string
	// program is what its servers run, if not keyturn as TestMain built it.
	program string
	// launch starts the process of a server, if not in the plain way.
	launch func(*exec.Cmd) error
	// What checkModel has to know: bounded that a retry window was set, rings that several
	// algorithms sign, logAway that a server could not be sure of its log, which then may
	// hold what did not stand.
	bounded, rings, logAway *atomic.Bool
}

// newDeployment makes an empty deployment on the store with that URI; on a new
// SQLite file if it is empty.
func newDeployment(t *testing.T, store string, settings ...string) *deployment {
	t.Helper()
	dir := t.TempDir()
	if store == "" {
		store = "sqlite:" + filepath.Join(dir, "keyturn.db")
	}
	d := &deployment{
		dir: dir, store: store, settings: settings,
		masterKeys: filepath.Join(dir, "master-keys"), auditLog: filepath.Join(dir, "audit.log"),
		bounded: new(atomic.Bool), rings: new(atomic.Bool), logAway: new(atomic.Bool),
	}
	t.Cleanup(func() { d.checkModel(t) })
	newMasterKeys(t, d.masterKeys)
	return d
}

// newMasterKeys writes a file with a fresh master key.
func newMasterKeys(t *testing.T, path string) {
	t.Helper()
	made := execute(t, nil, "", "keys", "new-master")
	if made.code != 0 || !strings.HasPrefix(made.stdout, "kt_mk_") {
		t.Fatalf("keys new-master: exit code %d, stderr %q; want a line kt_mk_…", made.code, made.stderr)
	}
	writeFile(t, path, made.stdout)
}

// onBothStores runs a test on an empty deployment of each store.
func onBothStores(t *testing.T, settings []string, test func(*testing.T, *deployment)) {
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(t, newDeployment(t, "", settings...))
	})
	t.Run("MongoDB", func(t *testing.T) {
		t.Parallel()
		test(t, newDeployment(t, mongotest.URI(t), settings...))
	})
}

// onSQLite runs a test of what no store decides.
func onSQLite(t *testing.T, test func(*testing.T, *deployment)) {
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(t, newDeployment(t, ""))
	})
}

// on is the deployment with another store.
func (d *deployment) on(store string) *deployment {
	other := *d
	other.store = store
	return &other
}

// flags are what every command and server of the deployment is given.
func (d *deployment) flags() []string {
	return append([]string{"--store", d.store, "--master-key-file", d.masterKeys, "--audit-log", d.auditLog}, d.settings...)
}

// run runs a command on the deployment.
func (d *deployment) run(t *testing.T, args ...string) outcome {
	t.Helper()
	d.noteFlags(args)
	return execute(t, nil, "", slices.Concat(args, d.flags(), []string{"--output", "json"})...)
}

// must runs a command that has to succeed and decodes what it prints into v,
// unless that is nil.
func (d *deployment) must(t *testing.T, v any, args ...string) {
	t.Helper()
	o := d.run(t, args...)
	if o.code != 0 {
		t.Fatalf("keyturn %s: exit code %d\n%s", strings.Join(args, " "), o.code, o.stderr)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal([]byte(o.stdout), v); err != nil {
		t.Fatalf("keyturn %s printed %q: %v", strings.Join(args, " "), o.stdout, err)
	}
}

// addUser adds an account and returns its uid.
func (d *deployment) addUser(t *testing.T, email, password string, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	writeFile(t, file, password+"\n")
	var user struct{ UID, Email string }
	d.must(t, &user, slices.Concat([]string{"users", "add", email, "--password-file", file}, args)...)
	if user.UID == "" || user.Email != email {
		t.Fatalf("users add printed %+v; want a uid and the address %s", user, email)
	}
	return user.UID
}

// addClient registers a client and returns its credentials.
func (d *deployment) addClient(t *testing.T, id string, args ...string) credentials {
	t.Helper()
	var made struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	d.must(t, &made, slices.Concat([]string{"clients", "add", id}, args)...)
	secretless := slices.Contains(args, "--public") || slices.Contains(args, "--jwks-file") || slices.Contains(args, "--jwks-uri")
	if made.ID != id || secretless != (made.Secret == "") {
		t.Fatalf("clients add printed the id %q and a secret of %d characters for %s %v", made.ID, len(made.Secret), id, args)
	}
	return credentials{made.ID, made.Secret}
}

// outcome is what a command that ended left.
type outcome struct {
	code           int
	stdout, stderr string
}

// execute runs keyturn to its end, with no settings but those given.
func execute(t *testing.T, environ []string, stdin string, args ...string) outcome {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), keyturn, args...)
	cmd.Env = append(bareEnviron(), environ...)
	cmd.Dir = t.TempDir()
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var ended *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &ended) {
		t.Fatalf("keyturn %s: %v", strings.Join(args, " "), err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// bareEnviron is the environment without settings of Keyturn but the one that lets
// in FerretDB, and with trust in the tests' authority. A program built with the race detector sleeps for a second before it exits unless it is told
// not to; where it found a race its exit code is 66.
func bareEnviron() []string {
	kept := slices.DeleteFunc(os.Environ(), func(pair string) bool { return strings.HasPrefix(pair, "KEYTURN_") })
	return append(kept, append(trust.environ(), "GORACE=atexit_sleep_ms=0", "KEYTURN_MONGODB_ENGINE_RISK=accept")...)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func activeKey(t *testing.T, d *deployment) string {
	t.Helper()
	var list []struct{ KID, State string }
	d.must(t, &list, "keys", "list")
	for _, key := range list {
		if key.State == "active" {
			return key.KID
		}
	}
	t.Fatal("no key is active")
	return ""
}
