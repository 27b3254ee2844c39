package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestDrainingServesOn asks a server that was told to stop: it is not ready and
// answers all the same, to connections that are new.
func TestDrainingServesOn(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	s := d.serve(t, "--shutdown-delay", "1h")
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if !poll(s.exited, func() bool { return !s.ready() }) {
		t.Fatal("it ended, or is ready though it was told to stop")
	}
	a, err := send("GET", s.url+"/readyz", nil, "")
	if err != nil || a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "draining") {
		t.Errorf("/readyz: %v, %v; want 503 and draining", a, err)
	}
	a, err = send("GET", s.url+"/.well-known/jwks.json", nil, "")
	if err != nil || a.status != http.StatusOK {
		t.Errorf("the key set: %v, %v; want it served", a, err)
	}
	s.end(t, syscall.SIGINT)
	if code := s.cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("the second signal: %v; want an end at once, with exit code 130", s.cmd.ProcessState)
	}
}

// TestASecondSignalEndsABackgroundJob: one that a shell began with SIGINT ignored.
func TestASecondSignalEndsABackgroundJob(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	d.launch = func(cmd *exec.Cmd) error {
		cmd.Args = append([]string{"sh", "-c", `trap "" INT; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
		return cmd.Start()
	}
	s := d.serve(t, "--shutdown-delay", "1h")
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if !poll(s.exited, func() bool { return !s.ready() }) {
		t.Fatal("it ended, or is ready though it was told to stop")
	}
	s.end(t, syscall.SIGINT)
	if code := s.cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("the second signal: %v; want exit code 130", s.cmd.ProcessState)
	}
}

// TestDrainingEnds stops a server with a delay.
func TestDrainingEnds(t *testing.T) {
	t.Parallel()
	newDeployment(t, "").serve(t, "--shutdown-delay", "50ms").stop(t)
}

// TestAServerEndsWhileItsStoreIsAway takes the network to the store away: the log is
// told of the end all the same, and that is a success.
func TestAServerEndsWhileItsStoreIsAway(t *testing.T) {
	t.Parallel()
	d, network := newDeploymentBehindNetwork(t)
	s := d.serve(t)
	network.still.Lock()
	s.stop(t)
	network.still.Unlock()
	if log, err := os.ReadFile(d.auditLog); err != nil || !strings.Contains(string(log), `"action":"server-stopped"`) {
		t.Errorf("the log ends without it, %v: %s\n%s", err, log, s.stderr.String())
	}
}

// TestFirstPartyClientIsMissing registers it after the warning.
func TestFirstPartyClientIsMissing(t *testing.T) {
	t.Parallel()
	const code = "first_party_client_unregistered"
	d := newDeployment(t, "")
	s := d.serve(t, "--first-party-client", "app")
	if !warnsOf(t, s.url, code) || !strings.Contains(s.stderr.String(), "keyturn clients add") {
		t.Errorf("nobody is told that the client is missing:\n%s", s.stderr.String())
	}
	s.stop(t)
	o := execute(t, nil, "", slices.Concat([]string{"clients", "add", "app", "--public", "--grant", "password"}, d.flags())...)
	if o.code != 0 {
		t.Fatal(o.stderr)
	}
	if s = s.again(t); warnsOf(t, s.url, code) {
		t.Error("it warns of a client that is there")
	}
}

// TestFirstPartyClientIsAThirdPartys: who held a token of such a client could end its
// users' sessions and remove their factors.
func TestFirstPartyClientIsAThirdPartys(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	d.addClient(t, "wiki", "--third-party", "--grant", "authorization_code", "--redirect-uri", "http://127.0.0.1/")
	d.addClient(t, "app", "--public", "--grant", "authorization_code", "--redirect-uri", "http://127.0.0.1/")
	refused := func(first string, args ...string) {
		t.Helper()
		if o := d.run(t, append(args, "--first-party-client", first)...); o.code == 0 || !strings.Contains(o.stdout+o.stderr, "first_party_client "+first+": the client is a third party's") {
			t.Errorf("%v: exit code %d\n%s%s", args, o.code, o.stdout, o.stderr)
		}
	}
	refused("wiki", "serve", "--issuer", "http://127.0.0.1", "--listen", freePort(t), "--admin-listen", "off")
	refused("app", "clients", "update", "app", "--third-party")
	s := d.serve(t, "--first-party-client", "app")
	refused("wiki", "doctor", "--inside", "--issuer", s.url)
}
