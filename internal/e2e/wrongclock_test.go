package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// buildWrongClock builds keyturn with a wall clock whose error stands in a file.
var buildWrongClock = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaries, "keyturn-wrongclock")
	return path, build(path, filepath.Join("..", ".."), "./cmd/keyturn", "-tags", "wrongclock")
})

// wrongClock is a wall clock that can be set, for servers that are started with
// its program and its launch.
type wrongClock struct{ program, file string }

func newWrongClock(t *testing.T, off string) *wrongClock {
	t.Helper()
	program, err := buildWrongClock()
	if err != nil {
		t.Fatal(err)
	}
	w := &wrongClock{program, filepath.Join(t.TempDir(), "clock")}
	w.set(t, off)
	return w
}

// set puts it off by a duration. The server reads the file all the time, so it is never
// half written.
func (w *wrongClock) set(t *testing.T, off string) {
	t.Helper()
	writeFile(t, w.file+".next", off)
	if err := os.Rename(w.file+".next", w.file); err != nil {
		t.Fatal(err)
	}
}

func (w *wrongClock) launch(cmd *exec.Cmd) error {
	cmd.Env = append(cmd.Env, "KEYTURN_TEST_CLOCK_ERROR="+w.file)
	return cmd.Start()
}

// TestT1_WhatIsRevokedInAWrongMinuteStaysSo: an access token that the clock alone calls
// expired, and one that was made two hours behind; a session of that time goes on.
func TestT1_WhatIsRevokedInAWrongMinuteStaysSo(t *testing.T) {
	t.Parallel()
	onBothStores(t, []string{"--refresh-idle-ttl", "1h"}, func(t *testing.T, d *deployment) {
		clock := newWrongClock(t, "0s")
		d.program, d.launch = clock.program, clock.launch
		s := openShop(t, d)
		issuer := s.url
		live := func(token string) bool { return s.active(t, s.confidential, token) }
		revoke := func(token string) {
			t.Helper()
			if a, err := postForm(s.url+"/oauth/revoke", s.confidential, values("token", token)); err != nil || a.status != 200 {
				t.Fatalf("revocation: %v, %d %s", err, a.status, a.body)
			}
		}
		restart := func(off string) {
			t.Helper()
			s.stop(t)
			clock.set(t, off)
			s.server = d.serveAs(t, issuer)
		}
		token := func() string { return s.grant(t, s.confidential, "grant_type", "client_credentials").AccessToken }

		first := token()
		clock.set(t, "2h")
		eventually(t, "the server has seen its clock", func() bool { return warnsOf(t, s.url, "clock_jumped") })
		revoke(first)
		restart("-2h")
		eventually(t, "a clock set back over a restart is seen", func() bool { return warnsOf(t, s.url, "clock_jumped") })
		second, session := token(), s.login(t, s.public, email, password)
		revoke(second)
		restart("0s")
		if live(first) || live(second) {
			t.Errorf("revoked tokens are live after all: %t, %t", live(first), live(second))
		}
		if a, err := postForm(s.url+"/oauth/token", s.public, values("grant_type", "refresh_token", "refresh_token", session.RefreshToken)); err != nil || a.status != 200 {
			t.Errorf("a session of the wrong time: %v, %d %s", err, a.status, a.body)
		}
	})
}

// TestT1_ATimeIsKnownFromTheStartOn: a server that is killed as soon as it served, and a
// copy that none has served yet, are started by a clock that is 45 days ahead. They doubt
// it, and sessions are there when it is right again.
func TestT1_ATimeIsKnownFromTheStartOn(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		clock := newWrongClock(t, "0s")
		d.program, d.launch = clock.program, clock.launch
		s := openShop(t, d)
		issuer, session := s.url, s.login(t, s.public, email, password)
		ahead := func(what string) {
			t.Helper()
			clock.set(t, "1080h")
			s.server = d.serveAs(t, issuer)
			if !warnsOf(t, s.url, "clock_jumped") {
				t.Errorf("%s: it believes its clock", what)
			}
			clock.set(t, "0s")
			eventually(t, "the clock is right again", func() bool { return !warnsOf(t, s.url, "clock_jumped") })
			session = s.grant(t, s.public, "grant_type", "refresh_token", "refresh_token", session.RefreshToken)
		}
		s.kill(t)
		ahead("after a kill")
		s.stop(t)
		copied := "sqlite:" + filepath.Join(d.dir, "copied.db")
		d.must(t, nil, "store", "copy", "--from", d.store, "--to", copied)
		d.store = copied
		ahead("on a copy")
	})
}

// TestT1_AClockThatIsWrongForAMinute: 45 days ahead and back again, and sessions
// and keys are as if it had not happened; two hours behind, and a spent token is
// not taken for two hours more.
func TestT1_AClockThatIsWrongForAMinute(t *testing.T) {
	t.Parallel()
	onBothStores(t, []string{"--key-poll-interval", "200ms", "--clock-skew", "500ms", "--jwks-max-age", "1s",
		"--access-token-ttl", "1s", "--retry-window", "1s"}, func(t *testing.T, d *deployment) {
		clock := newWrongClock(t, "0s")
		d.program, d.launch = clock.program, clock.launch
		s := openShop(t, d)
		set := func(off string, doubted bool) {
			t.Helper()
			clock.set(t, off)
			eventually(t, "the server has seen its clock", func() bool { return warnsOf(t, s.url, "clock_jumped") == doubted })
		}
		present := func(token string) answer {
			t.Helper()
			a, err := postForm(s.url+"/oauth/token", s.public, values("grant_type", "refresh_token", "refresh_token", token))
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		key := activeKey(t, d)
		session := s.login(t, s.public, email, password)

		set("1080h", true)
		if a := present(session.RefreshToken); a.status != 503 {
			t.Errorf("a refresh in the wrong minute: status %d %s", a.status, a.body)
		}
		eventually(t, "the standby signs", func() bool { return strings.Count(readFile(t, d.auditLog), `"key-activated"`) > 1 })
		// What the clock alone calls due would be erased and archived by now.
		<-time.After(4 * time.Second)
		set("0s", false)
		if log := readFile(t, d.auditLog); strings.Contains(log, `"key-erased"`) || strings.Contains(log, `"key-archived"`) {
			t.Error("a key was erased or archived in the wrong minute")
		}
		if now := activeKey(t, d); now != key {
			t.Errorf("key %s signs, %s did before", now, key)
		}
		a := present(session.RefreshToken)
		if a.status != 200 {
			t.Fatalf("a refresh after it: status %d %s", a.status, a.body)
		}

		set("-2h", true)
		eventually(t, "the retry window is over", func() bool { return present(session.RefreshToken).status == 400 })
		if !strings.Contains(readFile(t, d.auditLog), `"token-reuse"`) {
			t.Error("the spent token was not taken for reused")
		}
	})
}
