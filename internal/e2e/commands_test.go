package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCompletion asks as a shell does.
func TestCompletion(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"clients add x --grant ":  "authorization_code password refresh_token client_credentials",
		"serve --signing-alg ":    "ES256 RS256 PS256 EdDSA Ed25519",
		"keys list --output ":     "text json",
		"serve --log-level ":      "debug info warn error",
		"keys r":                  "revoke rewrap rotate",
		"clients add x --jwks-u":  "--jwks-uri",
		"serve --password-grant ": "",
	} {
		args := strings.Split(line, " ")
		o := execute(t, nil, "", append([]string{"__complete"}, args...)...)
		var words []string
		for said := range strings.Lines(o.stdout) {
			word, _, _ := strings.Cut(strings.TrimSpace(said), "\t")
			if word != "" && !strings.HasPrefix(word, ":") {
				words = append(words, word)
			}
		}
		if got := strings.Join(words, " "); got != want {
			t.Errorf("%q completes to %q; want %q", line, got, want)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if o := execute(t, nil, "", "completion", shell); o.code != 0 || !strings.Contains(o.stdout, "__complete") {
			t.Errorf("completion %s: exit code %d, %d bytes", shell, o.code, len(o.stdout))
		}
	}
}

// TestManualPages has every command write its page, twice the same.
func TestManualPages(t *testing.T) {
	t.Parallel()
	first, second := t.TempDir(), t.TempDir()
	for _, dir := range []string{first, second} {
		if o := execute(t, nil, "", "man", dir); o.code != 0 {
			t.Fatalf("man: exit code %d\n%s", o.code, o.stderr)
		}
	}
	made, err := filepath.Glob(filepath.Join(first, "*.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"keyturn", "keyturn-serve", "keyturn-keys-revoke", "keyturn-clients-update", "keyturn-doctor"} {
		if text := readFile(t, filepath.Join(first, name+".1")); !strings.Contains(text, ".SH NAME") || !strings.Contains(text, ".SH SYNOPSIS") {
			t.Errorf("%s.1 is no manual page:\n%s", name, text)
		}
	}
	for _, page := range made {
		if readFile(t, page) != readFile(t, filepath.Join(second, filepath.Base(page))) {
			t.Errorf("%s differs from one run to the next", filepath.Base(page))
		}
	}
	if o := execute(t, nil, "", "man", filepath.Join(first, "nowhere")); o.code != 2 {
		t.Errorf("into no directory: exit code %d, %s", o.code, o.stderr)
	}
	if entries, err := os.ReadDir(first); err != nil || len(entries) != len(made) {
		t.Errorf("%d files for %d pages, %v", len(entries), len(made), err)
	}
}

// TestErrorsNameTheirPage reads what a mistake leads to.
func TestErrorsNameTheirPage(t *testing.T) {
	t.Parallel()
	for page, args := range map[string][]string{
		"settings.md":                     {"serve", "--signing-alg", "HS256"},
		"operating.md#signing-keys":       {"keys", "revoke"},
		"clients.md#register-a-client":    {"clients", "add", "x", "--grant", "magic"},
		"operating.md#backup-and-restore": {"store", "check"},
	} {
		if o := execute(t, nil, "", args...); o.code == 0 || !strings.Contains(o.stderr, "/docs/"+page+"\n") {
			t.Errorf("keyturn %v: exit code %d, %s; want the page %s", args, o.code, o.stderr, page)
		}
	}
}

// TestHelpShowsOwnFlagsFirst asks commands for their help: what is their own
// stands before the settings, which are a group.
func TestHelpShowsOwnFlagsFirst(t *testing.T) {
	t.Parallel()
	for command, own := range map[string]string{"keys revoke": "--reason", "clients add": "--grant", "serve": "--dev", "store copy": "--from"} {
		o := execute(t, nil, "", append(strings.Fields(command), "--help")...)
		flags, settings, found := strings.Cut(o.stdout, "\nSettings ")
		_, flags, _ = strings.Cut(flags, "\nFlags:\n")
		if !found || !strings.Contains(flags, own) || strings.Contains(flags, "--issuer") || !strings.Contains(settings, "--issuer") || !strings.Contains(settings, "--config") {
			t.Errorf("%s --help:\n%s", command, o.stdout)
		}
	}
	if o := execute(t, nil, "", "version", "--help"); strings.Contains(o.stdout, "Settings") {
		t.Errorf("version takes no settings:\n%s", o.stdout)
	}
}

// TestRotateSaysWhenItsKeySigns: of a standby that was made lately the answer is a time to
// come, as in the list, and the help promises no more.
func TestRotateSaysWhenItsKeySigns(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	d.serve(t).stop(t)
	o := execute(t, nil, "", append([]string{"keys", "rotate"}, d.flags()...)...)
	tomorrow := strings.Contains(o.stdout, "(in 1d0h)") || strings.Contains(o.stdout, "(in 23h59m)")
	if o.code != 0 || !strings.Contains(o.stdout, " signs from ") || !tomorrow {
		t.Errorf("the first turn: exit code %d, %s%s", o.code, o.stdout, o.stderr)
	}
	if o = d.run(t, "keys", "rotate"); o.code != 1 || !strings.Contains(o.stderr, "no key can sign sooner than scheduled") {
		t.Errorf("the second: exit code %d, %s%s", o.code, o.stdout, o.stderr)
	}
	if o = execute(t, nil, "", "keys", "rotate", "--help"); !strings.Contains(o.stdout, "the answer says when") {
		t.Errorf("the help: %s", o.stdout)
	}
}
