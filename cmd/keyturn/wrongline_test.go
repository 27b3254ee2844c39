package main

import (
	"bytes"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
)

// wrongLines are command lines that are wrong by themselves, some for every command that
// touches a store, a log or another file. The files "pw" (a good password), "short", "empty" and
// "page.html" are there.
var wrongLines = map[string][]string{
	"audit heads":           {"extra", "--store mongodb://h/a$b"},
	"audit keys":            {"extra", "--store mongodb://h/a$b"},
	"audit report":          {"", "pw --out pw", "pw --out missing/report", "pw --since 1h --until 2h", "pw --keys missing --store sqlite:keyturn.db"},
	"audit tail":            {"", "missing", "pw --since 1h --until 2h", "--follow -"},
	"audit verify":          {"", "pw --keys missing --store sqlite:keyturn.db", "pw --heads empty --store sqlite:keyturn.db"},
	"clients add":           {"", "shop", "shop --grant nope", "-shop --grant password", "shop --grant password --scope a\"b", "shop --grant password --jwks-file missing", "shop --grant password --client-signing-alg RS256", "shop --grant refresh_token", "shop --grant password --redirect-uri https://a.example/", "shop --grant authorization_code --redirect-uri javascript:1", "shop --grant password --client-access-token-ttl 2h", "shop --grant password --client-retry-window 90d", "shop --grant password --default-scope x", "shop --grant password --claim sub", "shop --public --grant client_credentials", "shop --grant password --pepper-file missing", "shop --grant password --audit-log missing/log", "shop --grant password --config stdout.yaml"},
	"clients disable":       {""},
	"clients list":          {"extra"},
	"clients logout":        {""},
	"clients rotate-secret": {""},
	"clients update":        {"", "shop --grant nope", "shop --scope a\"b", "shop --jwks-file empty", "shop --jwks-uri http://a.example/", "shop --audience a#b", "shop --redirect-uri ftp://a", "shop --client-access-token-ttl 2h", "shop --claim sub"},
	"config":                {"extra", "--config stdout.yaml --config stdout.yaml", "--mail-language de", "--listen nowhere", "--tls-cert-file missing --tls-key-file missing"},
	"doctor":                {"extra", "--listen 127.0.0.1:0 --inside"},
	"healthcheck":           {"extra"},
	"keys list":             {"extra"},
	"keys revoke":           {"", "KID", "KID --reason"},
	"keys rewrap":           {"extra"},
	"keys rotate":           {"extra", "--alg RS256"},
	"man":                   {"", "missing"},
	"serve":                 {"extra", "--listen 192.0.2.1:1 --issuer https://a.example", "--listen nowhere", "--dev --listen 0.0.0.0:0 --issuer https://a.example", "--tls-cert-file empty --tls-key-file empty", "--audit-log missing/log", "--audit-log syslog+tcp://127.0.0.1:1", "--audit-log pipe", "--master-key-file empty", "--admin-listen 192.0.2.1:1 --listen 127.0.0.1:0"},
	"store backup":          {"", "-", "pw", "missing/copy.db", "copy.db --audit-log missing/log", "copy.db --store mongodb://h/d"},
	"store check":           {"extra"},
	"store copy":            {"", "--from sqlite:keyturn.db", "--from sqlite:missing.db --to sqlite:copy.db", "--from sqlite:keyturn.db --to sqlite:keyturn.db", "--from sqlite:keyturn.db --to sqlite:copy.db --audit-log missing/log", "--from sqlite:keyturn.db --to sqlite:copy.db --audit-log syslog+tcp://127.0.0.1:1", "--from sqlite:keyturn.db --to sqlite:missing/copy.db"},
	"store migrate":         {"extra"},
	"store restore":         {"", "-", "missing", "empty", "pw"},
	"store restored":        {"", "missing"},
	"users add":             {"", "ada@example.com", "ada@example.com --password-file missing", "ada@example.com --password-file empty", "ada@example.com --password-file short", "ada --password-file pw", "--username a@b --password-file pw", "ada@example.com --password-file pw --claim x", "ada@example.com --password-file pw --claim sub=1", "ada@example.com --password-file pw --pepper-file missing", "ada@example.com --password-file pw --audit-log syslog+tcp://127.0.0.1:1", "ada@example.com --password-file pw --audit-log pipe"},
	"users claims":          {"", "ada", "ada --claim x", "ada --claim sub=1", "ada --role \x01"},
	"users delete":          {""},
	"users disable":         {""},
	"users enable":          {""},
	"users export":          {"", "accounts", "pw --format jsonl", "accounts.jsonl --format keycloak", "missing/accounts.jsonl"},
	"users factors":         {"", "ada --remove=", "ada --remove x --remove-all"},
	"users grants":          {"", "ada --withdraw="},
	"users import":          {"", "accounts", "missing.jsonl", "pw --format xml", "pw --format firebase --firebase-project missing"},
	"users letter":          {"", "ada", "ada --kind letter", "ada --kind reset", "ada --kind reset --language xx --mail-webhook-url http://localhost/ --mail-webhook-secret-file pw"},
	"users list":            {"extra"},
	"users logout":          {"", "ada --session=", "ada --session a --all-but b"},
	"users passwd":          {"", "ada", "ada --password-file missing", "ada --password-file short"},
	"users reset":           {"", "ada --valid-for 0s", "ada --valid-for 30d"},
	"users sessions":        {""},
	"users update":          {"", "ada", "ada --email nowhere", "ada --username a@b", "ada --first-name \x01"},
}

// needNothing are the commands that make no store, log or file, whatever they are told.
var needNothing = []string{"completion bash", "completion fish", "completion powershell", "completion zsh", "keys new-master", "version"}

// TestA3_AWrongCommandLineMakesNothing gives every command what is wrong by itself, in an
// empty directory and beside a store whose log is elsewhere for the moment: it makes no
// store, no log and no other file.
func TestA3_AWrongCommandLineMakesNothing(t *testing.T) {
	p := &program{}
	var named []string
	for _, cmd := range leaves(p.root()) {
		path := strings.TrimPrefix(cmd.CommandPath(), "keyturn ")
		named = append(named, path)
		if _, ok := wrongLines[path]; !ok && !slices.Contains(needNothing, path) {
			t.Errorf("keyturn %s has no row here", path)
		}
	}
	for _, there := range []bool{false, true} {
		t.Chdir(t.TempDir())
		for name, text := range map[string]string{"pw": "a password of which nobody thinks", "short": "short", "empty": "", "stdout.yaml": "audit_log: stdout\n"} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := syscall.Mkfifo("pipe", 0o600); err != nil {
			t.Fatal(err)
		}
		if there {
			if code, said := runLine(t, "clients add shop --grant password"); code != exitOK {
				t.Fatal(said)
			}
			if err := os.Remove("keyturn-audit.log"); err != nil {
				t.Fatal(err)
			}
		}
		before := filesHere(t)
		for path, lines := range wrongLines {
			if !slices.Contains(named, path) {
				t.Errorf("there is no command %s", path)
			}
			for _, line := range lines {
				if path == "serve" {
					line = "--listen 127.0.0.1:0 --admin-listen off " + line
				}
				code, said := runLine(t, path+" "+line)
				if after := filesHere(t); code == exitOK || !slices.Equal(after, before) {
					t.Fatalf("keyturn %s %s (store there: %t): exit code %d, files %q; there were %q\n%s", path, line, there, code, after, before, said)
				}
			}
		}
	}
}

func leaves(cmd *cobra.Command) []*cobra.Command {
	if !cmd.HasSubCommands() {
		return []*cobra.Command{cmd}
	}
	var all []*cobra.Command
	for _, sub := range cmd.Commands() {
		all = append(all, leaves(sub)...)
	}
	return all
}

func runLine(t *testing.T, line string) (code int, said string) {
	t.Helper()
	var out bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &out}
	return p.run(t.Context(), strings.Fields(line)), out.String()
}

// filesHere lists the working directory.
func filesHere(t *testing.T) (names []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS("."), ".", func(path string, _ fs.DirEntry, err error) error {
		names = append(names, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
