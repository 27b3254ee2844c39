package main

import (
	"os"
	"strings"
	"testing"
)

// TestWhatRefusalsSay: what to do, in one sentence.
func TestWhatRefusalsSay(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("pw", []byte("a password of which nobody thinks"), 0o600); err != nil {
		t.Fatal(err)
	}
	const letter = "users letter ada@example.com --kind confirm --mail-webhook-url http://localhost/ --mail-webhook-secret-file pw "
	if code, said := runLine(t, "users add ada@example.com --password-file pw"); code != exitOK {
		t.Fatal(said)
	}
	for _, c := range []struct {
		line string
		code int
		says string
	}{
		{"users add ada@example.com --password-file pw", exitFailed, "has an account already; see"},
		{"users add --password-file pw", exitUsage, "--username"},
		{"users reset ada@example.com --valid-for 10d", exitUsage, "up to 7 days"},
		{letter + "--language xx", exitUsage, `--language "xx": there are no messages in it: there are en, `},
		{letter + "--language de", exitFailed, "there are no master keys"},
	} {
		if code, said := runLine(t, c.line); code != c.code || !strings.Contains(said, c.says) || strings.Contains(said, ".; ") {
			t.Errorf("%s: exit code %d, %s; want %d, %s", c.line, code, said, c.code, c.says)
		}
	}
}
