package e2e

import (
	"os"
	"regexp"
	"testing"
)

// demoLogin matches the credentials in what serve --dev prints: the client's,
// the user's address and the password.
var demoLogin = regexp.MustCompile(`curl \S+ \S+/oauth/token -u '([^:]+):([^']+)' \\\s+-d grant_type=password -d username=(\S+) -d password=(\S+)`)

// TestDev starts the demo in an empty directory and does what it says.
func TestDev(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ES256", "Ed25519"} {
		t.Run(alg, func(t *testing.T) { demoWith(t, alg) })
	}
}

func demoWith(t *testing.T, alg string) {
	address := freePort(t)
	s := &server{url: "http://" + address, args: []string{"serve", "--dev", "--listen", address, "--admin-listen", "off", "--signing-alg", alg}}
	s.start(t)
	var shown []string
	eventually(t, "the demo shows what to try", func() bool {
		shown = demoLogin.FindStringSubmatch(s.stdout.String())
		return shown != nil
	})
	demo := credentials{shown[1], shown[2]}
	session := s.login(t, demo, shown[3], shown[4])
	s.grant(t, demo, "grant_type", "refresh_token", "refresh_token", session.RefreshToken)
	a := postJSON(t, s.url+"/auth/login", nil, map[string]string{"email": shown[3], "password": shown[4]})
	if a.status != 200 || a.member(t, "message") != "Login successful" {
		t.Errorf("login as a first-party page does: %d %s", a.status, a.body)
	}
	checkNoSecrets(t, "the server's log", s.stderr.String())
	made, err := os.ReadDir(s.cmd.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range made {
		info, err := file.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v; want nobody else to read it", file.Name(), info.Mode())
		}
	}
}

// TestNothingIsMadeUp starts a server without --dev and looks for what nobody
// asked for.
func TestNothingIsMadeUp(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	d.serve(t)
	for _, kind := range []string{"users", "clients"} {
		var list []any
		if d.must(t, &list, kind, "list"); len(list) != 0 {
			t.Errorf("%s of a new deployment: %v", kind, list)
		}
	}
}
