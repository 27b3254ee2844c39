package verify_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/audit/line"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

func lineOf(e audit.Event, r audit.Request, at time.Time) []byte {
	text, _ := line.Beginning(line.NewChainID(at), at).Append(nil, line.AppendBody(nil, &e, &r, "", at, line.Suffix("1", "host:/log")), at)
	return bytes.TrimSuffix(text, []byte{'\n'})
}

var noon = time.Date(2026, 11, 24, 12, 0, 0, int(5*time.Millisecond), time.UTC)

func TestFormat(t *testing.T) {
	got := verify.Format(lineOf(audittest.Full, audittest.FullRequest, noon), false)
	want := `2026-11-24T12:00:00.005Z token-reuse failure reused_token email=ada@example.org user=u-1 client=app ip=192.0.2.7 ` +
		`grant=refresh_token scope="openid email" session=s-1 jti=j-1 kid=k-1 generation=7 presented=0 previous_at=1970-01-01T00:00:00.000Z previous_ip=2001:db8::1 previous_agent=Firefox/140 count=3 ` +
		`detail="both \"generations\"" request=r-1 agent=curl/8`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if c := verify.Format(lineOf(audittest.Full, audittest.FullRequest, noon), true); !strings.Contains(c, verify.Red+"failure") || strings.Contains(c, verify.Green) {
		t.Errorf("%q", c)
	}
	if c := verify.Format(lineOf(audit.Event{Action: audit.UserRead, Outcome: audit.Success}, audit.Request{}, noon), true); !strings.Contains(c, verify.Green+"success") {
		t.Errorf("%q", c)
	}
}

func TestFormatDoesNotLetStrangersSteerTheTerminal(t *testing.T) {
	evil := "\x1b[2J\r\nok \u009b\u202e\u2028 client=admin"
	e := audit.Event{Action: audit.TokenRefused, UserEmail: evil, ClientID: evil, Detail: evil}
	got := verify.Format(lineOf(e, audit.Request{UserAgent: evil, ID: evil}, noon), false)
	raw := verify.Format([]byte(`{"x":"`+evil), false)
	for _, s := range []string{got, raw} {
		if strings.ContainsAny(s, "\x1b\r\n\u009b\u202e\u2028") {
			t.Errorf("%q", s)
		}
	}
	for _, s := range []string{"\x1b[2J", "\u009b", "\u202e", "\xff", `"`, `\`, "a=b", "a b", "\u00a0"} {
		if b := verify.Bare(s); b == s || strings.ContainsAny(b, "\x1b\u009b\u202e") {
			t.Errorf("%q stands bare", s)
		}
	}
	if strings.Contains(got, " client=admin ") {
		t.Errorf("a forged field: %s", got)
	}
}

func TestFilter(t *testing.T) {
	text := lineOf(audittest.Full, audittest.FullRequest, noon)
	for _, c := range []struct {
		f    verify.Filter
		want bool
	}{
		{verify.Filter{}, true},
		{verify.Filter{User: "u-1"}, true},
		{verify.Filter{User: "ADA@example.org"}, true},
		{verify.Filter{User: "u-2"}, false},
		{verify.Filter{Client: "app"}, true},
		{verify.Filter{Client: "ap"}, false},
		{verify.Filter{IP: "192.0.2.7"}, true},
		{verify.Filter{IP: "::ffff:192.0.2.7"}, true},
		{verify.Filter{IP: "192.0.2.0/24"}, true},
		{verify.Filter{IP: "192.0.3.0/24"}, false},
		{verify.Filter{IP: "nonsense"}, false},
		{verify.Filter{Actions: []string{"token-reuse"}}, true},
		{verify.Filter{Actions: []string{"token-issued"}}, false},
		{verify.Filter{Actions: []string{"token-issued", "token-r*"}}, true},
		{verify.Filter{Actions: []string{"token"}}, false},
		{verify.Filter{Outcome: audit.Failure}, true},
		{verify.Filter{Outcome: audit.Success}, false},
		{verify.Filter{Reasons: []string{"throttled", "reused_token"}}, true},
		{verify.Filter{Reasons: []string{"throttled"}}, false},
		{verify.Filter{Session: "s-1"}, true},
		{verify.Filter{Session: "s-2"}, false},
		{verify.Filter{Since: noon}, true},
		{verify.Filter{Since: noon.Add(time.Second)}, false},
		{verify.Filter{Until: noon.Add(time.Nanosecond)}, true},
		{verify.Filter{Until: noon}, false},
		{verify.Filter{User: "u-1", Client: "other"}, false},
	} {
		if got := c.f.Match(text); got != c.want {
			t.Errorf("%+v: %v", c.f, got)
		}
	}
	if (&verify.Filter{User: "u"}).Match([]byte("nonsense")) || !(&verify.Filter{}).Match([]byte("nonsense")) {
		t.Error("what is no event")
	}
}

func TestFilterFindsTheOtherSide(t *testing.T) {
	e := audittest.Full
	e.Previous = audit.Use{At: noon, IP: "198.51.100.4", UserAgent: "app/1"}
	f := verify.Filter{IP: "198.51.100.0/24"}
	if !f.Match(lineOf(e, audittest.FullRequest, noon)) {
		t.Error("who used the session before is not found")
	}
}

func TestFilterCheck(t *testing.T) {
	for _, f := range []verify.Filter{
		{}, {Actions: []string{"token-reuse", "user-*", "*"}}, {Outcome: audit.Success}, {IP: "2001:db8::/32"}, {IP: "192.0.2.7"},
		{Since: noon}, {Since: noon, Until: noon.Add(1)},
	} {
		if err := f.Check(); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
	for word, f := range map[string]verify.Filter{
		"token-resue": {Actions: []string{"token-reuse", "token-resue"}},
		"usr-*":       {Actions: []string{"usr-*"}},
		"failed":      {Outcome: "failed"},
		"192.0.2":     {IP: "192.0.2"},
		"until":       {Since: noon, Until: noon},
	} {
		if err := f.Check(); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

func TestLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("one\n"+strings.Repeat("x", 1<<20)+"\ntwo\nthree"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := verify.Lines([]string{path}, func(text []byte) error { got = append(got, string(text)); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 4 || len(got[1]) != line.Max || got[2] != "two" || got[3] != "three" {
		t.Errorf("%d lines", len(got))
	}
	stop := errors.New("stop")
	if err := verify.Lines([]string{path}, func([]byte) error { return stop }); err != stop {
		t.Errorf("got %v", err)
	}
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log")
		write := func(s string) {
			t.Helper()
			f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString(s); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		expect := func(want string) {
			t.Helper()
			audittest.Elapse(2 * verify.PollEvery)
			if s := strings.Join(got, ","); s != want {
				t.Errorf("got %q, want %q", s, want)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- verify.Follow(ctx, path, func(text []byte) error { got = append(got, string(text)); return nil })
		}()
		expect("")
		write("1\n2\nha")
		expect("1,2")
		write("lf\n")
		expect("1,2,half")
		write("last\n")
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		expect("1,2,half,last")
		write("new\n" + strings.Repeat("x", 3*line.Max) + "\nmore\n")
		expect("1,2,half,last,new," + strings.Repeat("x", line.Max) + ",more")
		got = nil
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		write("after\n")
		expect("after")
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestFollowThroughRotations rotates a log more often than anybody looks: every
// line comes, and in order.
func TestFollowThroughRotations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log")
		write := func(text string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- verify.Follow(ctx, path, func(text []byte) error { got = append(got, string(text)); return nil })
		}()
		write("0")
		audittest.Elapse(2 * verify.PollEvery)
		for n := 1; n < 5; n++ {
			if err := os.Rename(path, path+"."+time.Now().Add(time.Duration(n)).UTC().Format(line.RotatedLayout)); err != nil {
				t.Fatal(err)
			}
			write(strconv.Itoa(n))
		}
		audittest.Elapse(2 * verify.PollEvery)
		stop()
		if err := <-ended; err != nil || strings.Join(got, "") != "01234" {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestFollowStopsWithItsCallersError(t *testing.T) {
	f := audittest.NewFixture(t)
	f.Write(t, 1)
	stop := errors.New("enough")
	if err := verify.Follow(t.Context(), f.Path, func([]byte) error { return stop }); err != stop {
		t.Errorf("got %v", err)
	}
	if err := verify.Follow(t.Context(), f.Path+"/below", func([]byte) error { return nil }); err == nil {
		t.Error("a path that cannot be is waited for")
	}
}

func FuzzFormat(f *testing.F) {
	f.Add(lineOf(audittest.Full, audittest.FullRequest, noon))
	f.Fuzz(func(_ *testing.T, text []byte) {
		verify.Format(text, true)
		(&verify.Filter{User: "u", IP: "192.0.2.0/24"}).Match(text)
	})
}
