package e2e

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// demoLogin matches the credentials in what serve --dev prints: the client's,
// the user's address and the password.
var demoLogin = regexp.MustCompile(`curl \S+ \S+/oauth/token -u '([^:]+):([^']+)' \\\s+-d grant_type=password -d username=(\S+) -d password=(\S+)`)

// demoPage matches the address of the page, and who can log in there.
var demoPage = regexp.MustCompile(`\n  (http://\S+/account)\n  (\S+)\n  (\S+)\n`)

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
	page := demoPage.FindStringSubmatch(s.stdout.String())
	if page == nil {
		t.Fatalf("no page is shown: %s", s.stdout.String())
	}
	token := formToken.FindStringSubmatch(mustSend(t, "GET", page[1], nil, "").body)
	in := mustSend(t, "POST", page[1]+"/login", http.Header{"Content-Type": {formType}, "Cookie": {"keyturn-form=" + token[1]}},
		values("token", token[1], "username", page[2], "password", page[3]).Encode())
	if in.status != http.StatusSeeOther || in.header.Get("Location") != "/account" {
		t.Errorf("log-in at the page: %d %s", in.status, in.body)
	}
	bearer := http.Header{"Authorization": {"Bearer " + a.member(t, "access_token")}}
	var factor struct{ Challenge, Secret string }
	mustSend(t, "GET", s.url+"/auth/factors/totp", bearer, "").decode(t, &factor)
	if a := postJSON(t, s.url+"/auth/factors", bearer, map[string]string{"challenge": factor.Challenge, "code": totp(t, factor.Secret, 0)}); a.status != http.StatusCreated {
		t.Fatalf("the second factor: %d %s", a.status, a.body)
	}
	s.stop(t)
	next := &server{url: s.url, args: s.args, launch: func(cmd *exec.Cmd) error { cmd.Dir = s.cmd.Dir; return cmd.Start() }}
	next.start(t)
	eventually(t, "the demo of a user with a second factor is shown", func() bool {
		return slices.Equal(demoPage.FindStringSubmatch(next.stdout.String()), page) &&
			strings.Contains(next.stdout.String(), " users factors "+page[2]+" --remove-all\n")
	})
	checkNoSecrets(t, "the server's log", s.stderr.String()+next.stderr.String())
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

// TestDevWithoutThePasswordGrant does what the demo says where nobody logs in by a form
// that is not the page's.
func TestDevWithoutThePasswordGrant(t *testing.T) {
	t.Parallel()
	address := freePort(t)
	s := &server{url: "http://" + address, args: []string{"serve", "--dev", "--listen", address, "--admin-listen", "off", "--password-grant=false"}}
	s.start(t)
	eventually(t, "the demo shows what to try", func() bool { return strings.Contains(s.stdout.String(), "stop with Ctrl-C") })
	shown := s.stdout.String()
	for _, refused := range []string{"grant_type=password", "/auth/login", "with a password"} {
		if strings.Contains(shown, refused) {
			t.Errorf("it shows %s, which is refused:\n%s", refused, shown)
		}
	}
	page := demoPage.FindStringSubmatch(shown)
	token := formToken.FindStringSubmatch(mustSend(t, "GET", page[1], nil, "").body)
	in := mustSend(t, "POST", page[1]+"/login", http.Header{"Content-Type": {formType}, "Cookie": {"keyturn-form=" + token[1]}},
		values("token", token[1], "username", page[2], "password", page[3]).Encode())
	session := http.Header{}
	for _, set := range in.header.Values("Set-Cookie") {
		session.Add("Cookie", strings.SplitN(set, ";", 2)[0])
	}
	led := mustSend(t, "GET", regexp.MustCompile(`http://\S+/oauth/authorize\?\S+`).FindString(shown), session, "")
	back, err := url.Parse(led.header.Get("Location"))
	if err != nil || back.Query().Get("code") == "" {
		t.Fatalf("the address to open: %d %v %s", led.status, led.header, led.body)
	}
	spend := regexp.MustCompile(`curl .*authorization_code \\\n.* -d code=PASTE`).FindString(shown)
	out, err := exec.Command("/bin/sh", "-c", strings.Replace(spend, "PASTE", back.Query().Get("code"), 1)).Output()
	var got struct {
		ID string `json:"id_token"`
	}
	if err := errors.Join(err, json.Unmarshal(out, &got)); err != nil || got.ID == "" {
		t.Errorf("%s: %s (%v)", spend, out, err)
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
