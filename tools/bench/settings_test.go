package main

import (
	"slices"
	"strings"
	"testing"
)

func TestRefusesToLeaveTheMachine(t *testing.T) {
	for _, url := range []string{"http://example.com", "https://192.0.2.7:8443", "http://0.0.0.0:80", "http://localhost.example.com"} {
		status, _, stderr := bin(t, "--url", url, "--scenario", "jwks")
		if status != 1 || !strings.Contains(stderr, "--allow-remote") {
			t.Errorf("%s: exit status %d: %s", url, status, stderr)
		}
		if _, err := parseTarget(url, true); err != nil {
			t.Errorf("%s with --allow-remote: %v", url, err)
		}
	}
	for _, url := range []string{"http://localhost", "http://127.8.9.1:1", "https://[::1]:8443/tenant/"} {
		if got, err := parseTarget(url, false); err != nil || !got.loopback {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// A name that passes for this machine's must not lead elsewhere either.
func TestDialStaysOnTheMachine(t *testing.T) {
	remote := &target{addr: "192.0.2.7:80"}
	if _, err := remote.dial(t.Context()); err == nil || !strings.Contains(err.Error(), "not a loopback address") {
		t.Errorf("dialled 192.0.2.7: %v", err)
	}
	if err := (&target{allowRemote: true}).guard("tcp", "192.0.2.7:80", nil); err != nil {
		t.Errorf("with --allow-remote: %v", err)
	}
}

func TestUnusableSettingsAreNamed(t *testing.T) {
	for _, tc := range []struct {
		want string
		args []string
	}{
		{"--url is required", []string{"--scenario", "jwks"}},
		{"--url", []string{"--url", "ftp://127.0.0.1"}},
		{"--url", []string{"--url", "http://u:p@127.0.0.1"}},
		{"port 0", []string{"--url", "http://127.0.0.1:0"}},
		{"--clients 0", []string{"--clients", "0"}},
		{"--clients 1025", []string{"--clients", "1025"}},
		{"--rounds 26", []string{"--rounds", "26"}},
		{"--duration 11m", []string{"--duration", "11m"}},
		{"--warmup 2m", []string{"--warmup", "2m"}},
		{"--max-requests 0", []string{"--max-requests", "0"}},
		{"--pid -1", []string{"--pid", "-1"}},
		{"--pid 999999999", []string{"--pid", "999999999", "--scenario", "jwks"}},
		{`--output "xml"`, []string{"--output", "xml"}},
		{`--scenario "login"`, []string{"--scenario", "login"}},
		{`--argon2 "1,2"`, []string{"--scenario", "jwks", "--argon2", "1,2"}},
		{"needs --client-id", []string{"--scenario", "password"}},
		{"needs --client-secret-file", []string{"--scenario", "introspect", "--client-id", "c"}},
		{"needs --username", []string{"--scenario", "refresh", "--client-id", "c"}},
		{"give both or neither", []string{"--scenario", "jwks", "--username", "u"}},
		{"cannot be combined", []string{"--scenario", "jwks", "--username", "u", "--users-file", "f"}},
		{"one file only", []string{"--scenario", "jwks", "--client-secret-file", "-", "--users-file", "-"}},
		{"--client-secret-file", []string{"--scenario", "jwks", "--client-secret-file", "/nonexistent"}},
		{"is empty", []string{"--scenario", "jwks", "--client-secret-file", "-"}},
		{"unknown flag", []string{"--speed", "high"}},
	} {
		args := tc.args
		if !slices.Contains(args, "--url") && tc.want != "--url is required" {
			args = append([]string{"--url", "http://127.0.0.1:9"}, args...)
		}
		if status, _, stderr := bin(t, args...); status != 1 || !strings.Contains(stderr, tc.want) {
			t.Errorf("%q: exit status %d, %q does not say %q", args, status, stderr, tc.want)
		}
	}
}

func TestParseArgon2(t *testing.T) {
	got, err := parseArgon2("19456, 2,1")
	if want := (argon2Cost{MemoryKiB: 19456, Passes: 2, Lanes: 1}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "1,1,1", "64,1,9", "1048577,1,1", "64,65,1", "640,1,65", "64,0,1", "-1,1,1", "64,1,1,1"} {
		if _, err := parseArgon2(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestSecretLosesOneLineEndOnly(t *testing.T) {
	for in, want := range map[string]string{"a b \n": "a b ", "x\r\n": "x", "y\n\n": "y\n", "z": "z"} {
		if got, err := readSecret("-", strings.NewReader(in)); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	if _, err := readSecret("-", strings.NewReader(strings.Repeat("x", maxSecretBytes+1))); err == nil {
		t.Error("an endless secret was read")
	}
}

func TestUsersFileErrorsNameTheLineAndNoPassword(t *testing.T) {
	for _, bad := range []string{"", "\n\n", "a:b\nhunter2\n", "a:b\n:hunter2", "a:b\nhunter2:", "a:b\n" + strings.Repeat("hunter2", 4096)} {
		_, err := parseUsers(strings.NewReader(bad))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.20q: %v", bad, err)
		}
		if strings.HasPrefix(bad, "a:b") && !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%.20q: %v does not name line 2", bad, err)
		}
	}
}
