package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// refusesToStart checks the outcome of a server that must refuse to start: an
// exit code that is not 0 and one line that says why, holding every one of
// words. Only lines of the operational log may come before it.
func refusesToStart(t *testing.T, o outcome, words ...string) {
	t.Helper()
	if o.code <= 0 {
		t.Errorf("exit code %d, want a failure", o.code)
	}
	lines := strings.Split(strings.TrimSuffix(o.stderr, "\n"), "\n")
	line := lines[len(lines)-1]
	logged := lines[:len(lines)-1]
	if !strings.HasPrefix(line, "keyturn: ") || o.stdout != "" ||
		slices.ContainsFunc(logged, func(s string) bool { return !json.Valid([]byte(s)) }) {
		t.Errorf("standard error %q, output %q; want one line that begins with keyturn:", o.stderr, o.stdout)
	}
	for _, word := range words {
		if !strings.Contains(line, word) {
			t.Errorf("standard error %q does not say %q", line, word)
		}
	}
	checkNoSecrets(t, "standard error", o.stderr)
}

// start runs serve where it is expected to fail.
func (d *deployment) start(t *testing.T, environ []string, flags ...string) outcome {
	t.Helper()
	args := slices.Concat([]string{"serve"}, d.flags(), []string{"--listen", freePort(t), "--admin-listen", "off"}, flags)
	return execute(t, environ, "", args...)
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	d := newDeployment(t, "")
	address := taken.Addr().String()
	refusesToStart(t, d.start(t, nil, "--listen", address), address, "address already in use")
	refusesToStart(t, d.start(t, nil, "--admin-listen", address), address, "address already in use", "admin_listen")
}

func TestUnknownSetting(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	file := filepath.Join(d.dir, "keyturn.yaml")
	writeFile(t, file, "acess_token_ttl: 1h\n")
	refusesToStart(t, d.start(t, nil, "--acess-token-ttl", "1h"), "acess-token-ttl")
	refusesToStart(t, d.start(t, []string{"KEYTURN_ACESS_TOKEN_TTL=1h"}), "KEYTURN_ACESS_TOKEN_TTL", "did you mean KEYTURN_ACCESS_TOKEN_TTL")
	refusesToStart(t, d.start(t, nil, "--config", file), "acess_token_ttl", "did you mean access_token_ttl")
}

func TestUnusableSetting(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	for name, c := range map[string]struct {
		flags []string
		words []string
	}{
		"no duration":         {[]string{"--access-token-ttl", "soon"}, []string{"access_token_ttl", "soon", "accepted"}},
		"issuer not https":    {[]string{"--issuer", "http://login.example.com"}, []string{"issuer", "http://login.example.com", "https"}},
		"unknown algorithm":   {[]string{"--signing-alg", "HS256"}, []string{"signing_alg", "HS256", "ES256"}},
		"lead breaks K1":      {[]string{"--key-publish-lead", "1m"}, []string{"key_publish_lead", "jwks_max_age", "15m40s"}},
		"interval below lead": {[]string{"--key-rotation-interval", "23h"}, []string{"key_rotation_interval", "23h", "accepted: at least key_publish_lead, 24h0m0s"}},
		"poll above lead":     {[]string{"--key-poll-interval", "25h"}, []string{"key_publish_lead", "key_poll_interval", "accepted: at least 25h15m30s"}},
		"logo is no picture":  {[]string{"--page-logo-file", "/dev/null"}, []string{"page_logo_file", "/dev/null", "SVG"}},
		"no messages":         {[]string{"--page-messages-dir", "clients"}, []string{"page_messages_dir", "clients", "no such file"}},
		"no colour":           {[]string{"--page-color", "purple"}, []string{"page_color", "purple", "#0b57d0"}},
		"link to anywhere":    {[]string{"--page-terms-url", "javascript:alert(1)"}, []string{"page_terms_url", "https"}},
		"TLS without a key":   {[]string{"--tls-cert-file", "cert.pem"}, []string{"tls_key_file"}},
		"unreachable memory":  {[]string{"--argon2-memory", "7168"}, []string{"argon2_memory", "OWASP"}},
	} {
		t.Run(name, func(t *testing.T) {
			refusesToStart(t, d.start(t, nil, c.flags...), c.words...)
		})
	}
}

func TestCorruptedDatabase(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	d.addUser(t, email, password)
	file := filepath.Join(d.dir, "keyturn.db")
	whole := readFile(t, file)
	for name, corrupted := range map[string]string{
		"not a database": strings.Repeat("This is not a database. ", 400),
		"damaged header": "SQLite format 3\x00" + strings.Repeat("\xff", len(whole)-16),
		"cut off":        whole[:len(whole)/2+100],
	} {
		t.Run(name, func(t *testing.T) {
			writeFile(t, file, corrupted)
			refusesToStart(t, d.start(t, nil), file)
			if readFile(t, file) != corrupted {
				t.Error("the start changed the file")
			}
		})
	}
}

func TestUnreadableMasterKeys(t *testing.T) {
	t.Parallel()
	const secret = "kt_mk_thisisnotamasterkeybutmustnotbeshownatall"
	d := newDeployment(t, "")
	garbage := filepath.Join(d.dir, "garbage")
	writeFile(t, garbage, secret+"\n")
	empty := filepath.Join(d.dir, "empty")
	writeFile(t, empty, "# nothing\n")
	for name, path := range map[string]string{
		"missing": filepath.Join(d.dir, "missing"), "a directory": d.dir, "no key in it": garbage, "empty": empty,
	} {
		t.Run(name, func(t *testing.T) {
			refusesToStart(t, d.start(t, nil, "--master-key-file", path), "master", path)
		})
	}
}

// TestK7_WrongMasterKey starts a server with another master key than the one
// that the store's keys are sealed under.
func TestK7_WrongMasterKey(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		d.serve(t).stop(t)
		var before, after []struct {
			KID      string
			Alg      string
			State    string
			MasterID string `json:"master_id"`
		}
		d.must(t, &before, "keys", "list")
		if len(before) < 2 || before[0].MasterID == "" {
			t.Fatalf("keys list printed %+v; want an active key and a standby, and the master key that they are sealed under", before)
		}
		stored := d.contents(t)
		wrong := filepath.Join(d.dir, "wrong")
		newMasterKeys(t, wrong)
		refusesToStart(t, d.start(t, nil, "--master-key-file", wrong), before[0].MasterID)
		if now := d.contents(t); now != stored {
			t.Errorf("the refused start changed the store from\n%s\nto\n%s", stored, now)
		}
		d.must(t, &after, "keys", "list")
		if !slices.Equal(before, after) {
			t.Errorf("the refused start changed the keys from %+v to %+v", before, after)
		}
		d.serve(t).stop(t)
	})
}

// contents is a checksum of every record but the heads of the audit chains,
// which every command moves on.
func (d *deployment) contents(t *testing.T) string {
	t.Helper()
	var digests []struct{ Kind, SHA256 string }
	d.must(t, &digests, "store", "check")
	var lines []string
	for _, digest := range digests {
		if !strings.Contains(digest.Kind, "anchor") {
			lines = append(lines, digest.Kind+" "+digest.SHA256)
		}
	}
	return strings.Join(lines, "\n")
}

func TestMongoDBNeedsMasterKeys(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3tInTheURI"
	o := execute(t, nil, "", "serve", "--listen", freePort(t), "--admin-listen", "off",
		"--store", "mongodb://keyturn:"+secret+"@127.0.0.1:1/keyturn", "--audit-log", filepath.Join(t.TempDir(), "audit.log"))
	refusesToStart(t, o, "master_key_file")
	if strings.Contains(o.stderr, secret) {
		t.Errorf("standard error %q shows the password", o.stderr)
	}
}

// TestAStartThatFailsForItsSettingsHasMadeNothing gives config and serve what
// one of them used to accept: both refuse it with the setting's name, and serve
// has made no database, no master key and no log by then.
func TestAStartThatFailsForItsSettingsHasMadeNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		flags   []string
		setting string
	}{
		"memory":            {flags: []string{"--argon2-memory", "524288"}, setting: "argon2_memory"},
		"threads":           {flags: []string{"--argon2-threads", "32"}, setting: "argon2_threads"},
		"work":              {flags: []string{"--argon2-time", "64", "--argon2-memory", "65536"}, setting: "argon2_memory"},
		"write concern":     {flags: []string{"--store", "mongodb://127.0.0.1:1/db?w=1"}, setting: "store"},
		"MongoDB's port":    {flags: []string{"--store", "mongodb://127.0.0.1:99999/db"}, setting: "store"},
		"database":          {flags: []string{"--store", "mongodb://127.0.0.1:1/a$b"}, setting: "store"},
		"no master key":     {flags: []string{"--master-key-file", "missing"}, setting: "master_key_file"},
		"a folder of keys":  {flags: []string{"--master-key-file", "."}, setting: "master_key_file"},
		"an empty key":      {flags: []string{"--master-key-file", os.DevNull}, setting: "master_key_file"},
		"no pepper":         {flags: []string{"--pepper-file", "missing"}, setting: "pepper_file"},
		"a folder of it":    {flags: []string{"--pepper-file", "."}, setting: "pepper_file"},
		"an empty pepper":   {flags: []string{"--pepper-file", os.DevNull}, setting: "pepper_file"},
		"no certificate":    {flags: []string{"--tls-cert-file", "missing", "--tls-key-file", "missing"}, setting: "tls_cert_file"},
		"no audit folder":   {flags: []string{"--audit-log", "missing/audit.log"}, setting: "audit_log"},
		"no authorities":    {flags: []string{"--audit-log", "syslog+tls://127.0.0.1:1", "--audit-ca-file", "missing"}, setting: "audit_ca_file"},
		"not authorities":   {flags: []string{"--audit-log", "syslog+tls://127.0.0.1:1", "--audit-ca-file", os.DevNull}, setting: "audit_ca_file"},
		"no store's folder": {flags: []string{"--store", "sqlite:missing/keyturn.db"}, setting: "store"},
		"store is a folder": {flags: []string{"--store", "sqlite:."}, setting: "store"},
		"a log's log":       {flags: []string{"--audit-log", os.Args[0] + "/audit.log"}, setting: "audit_log"},
		"no logo":           {flags: []string{"--page-logo-file", "missing"}, setting: "page_logo_file"},
		"a logo of no kind": {flags: []string{"--page-logo-file", "/etc/passwd"}, setting: "page_logo_file"},
		"no messages":       {flags: []string{"--page-messages-dir", "missing"}, setting: "page_messages_dir"},
		"other messages":    {flags: []string{"--page-messages-dir", "/etc"}, setting: "page_messages_dir"},
		"audit is a folder": {flags: []string{"--audit-log", "."}, setting: "audit_log"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			flags := slices.Clone(c.flags)
			for i, flag := range flags {
				path, isStore := strings.CutPrefix(flag, "sqlite:")
				if path == "missing" || path == "." || strings.HasPrefix(path, "missing/") {
					path = filepath.Join(dir, path)
				}
				if flags[i] = path; isStore {
					flags[i] = "sqlite:" + path
				}
			}
			args := append([]string{"--listen", freePort(t), "--admin-listen", "off",
				"--store", "sqlite:" + filepath.Join(dir, "keyturn.db"), "--audit-log", filepath.Join(dir, "audit.log")}, flags...)
			for _, command := range []string{"config", "serve"} {
				refusesToStart(t, execute(t, nil, "", append([]string{command}, args...)...), c.setting)
			}
			left, err := os.ReadDir(dir)
			if err != nil || len(left) > 0 {
				t.Errorf("it left %v (%v)", left, err)
			}
		})
	}
}

// TestAStartThatCannotBeginHasMadeNothing: the audit log or a port is not to be had.
func TestAStartThatCannotBeginHasMadeNothing(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ flag, value string }{
		"nobody receives": {"audit_log", "syslog+tcp://" + freePort(t)},
		"nobody reads":    {"audit_log", pipe},
		"port in use":     {"listen", taken.Addr().String()},
		"admin's port":    {"admin_listen", taken.Addr().String()},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			o := execute(t, nil, "", "serve", "--listen", freePort(t), "--admin-listen", "off", "--store", "sqlite:"+filepath.Join(dir, "keyturn.db"),
				"--audit-log", filepath.Join(dir, "audit.log"), "--"+c.flag, c.value)
			refusesToStart(t, o, c.flag)
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("it left %v (%v)", left, err)
			}
		})
	}
}

// TestU2_MemoryThatIsNotThere: a quarter of a TiB for passwords is refused, with both
// settings' names, where the machine has less.
func TestU2_MemoryThatIsNotThere(t *testing.T) {
	t.Parallel()
	var kib int
	if _, err := fmt.Sscanf(readFile(t, "/proc/meminfo"), "MemTotal: %d kB", &kib); err != nil {
		t.Fatal(err)
	}
	d := newDeployment(t, "")
	for _, command := range []string{"config", "serve"} {
		if kib >= 1<<28 && command == "serve" {
			continue
		}
		args := append([]string{command, "--listen", freePort(t), "--admin-listen", "off", "--hash-concurrency", "1024", "--argon2-memory", "262144"}, d.flags()...)
		if o := execute(t, nil, "", args...); kib < 1<<28 {
			refusesToStart(t, o, "argon2_memory 262144", "hash_concurrency 1024")
		}
	}
}

// TestAnImportThatFailsForItsFileHasMadeNothing: no store and no log.
func TestAnImportThatFailsForItsFileHasMadeNothing(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-"}, {"missing.jsonl"}, {"-", "--format", "csv", "--firebase-project", "missing"}} {
		dir := t.TempDir()
		o := execute(t, nil, "", slices.Concat([]string{"users", "import"}, args, []string{"--store", "sqlite:" + filepath.Join(dir, "keyturn.db"), "--audit-log", filepath.Join(dir, "audit.log")})...)
		if left, err := os.ReadDir(dir); o.code == 0 || err != nil || len(left) > 0 {
			t.Errorf("%v: exit code %d, it left %v (%v)", args, o.code, left, err)
		}
	}
}
