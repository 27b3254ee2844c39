package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"0": 0, "0d": 0, "1ms": time.Millisecond, "1.5s": 1500 * time.Millisecond, "1h30m": 90 * time.Minute,
		"2d": 2 * day, "1d12h": 36 * time.Hour, "02d": 2 * day, "3650d": 3650 * day, "-1s": -time.Second,
		"1000us": time.Millisecond, "+5s": 5 * time.Second,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "1", "d", "-1d", "+1d", "1.5d", "1d-1h", "1d+1h", "1dd", "1h1d", "1d1", "1us", "1ns", "3651d", "99999999999999999999d",
		"87600h1ms", "87601h", "1w", " 1s", "1s ", "∞",
	} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is accepted as %v", text, got)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"0", "1ms", "1d12h", "720h0m0s", "3650d", "1.5s", "-1s", "1d-1h", "9999999d", "µs"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err != nil {
			if message := err.Error(); message == "" || strings.Contains(message, "\n") {
				t.Errorf("%q: the error is %q", text, message)
			}
			return
		}
		if d%time.Millisecond != 0 || d > 2*longest {
			t.Fatalf("%q gives %v", text, d)
		}
		if d > longest {
			return
		}
		if again, err := ParseDuration(d.String()); err != nil || again != d {
			t.Errorf("%q prints as %v, which reads as %v, %v", text, d, again, err)
		}
	})
}

func TestSplitList(t *testing.T) {
	for text, want := range map[string][]string{
		"": nil, " , ": nil, "a": {"a"}, "a,b": {"a", "b"}, "a b": {"a", "b"}, " a,\tb ,,c\n": {"a", "b", "c"},
	} {
		if got := splitList(text); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// FuzzLists holds each list to printing what reads as the same list.
func FuzzLists(f *testing.F) {
	for _, seed := range []string{
		"10.0.0.0/8, 192.0.2.1", "::1 fd00::/8", "::ffff:10.0.0.1", "0.0.0.0/0", "https://a.example,http://localhost:3000",
		"*", "null", "https://[::1]:1", "https://u:p@h", "a\x00b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range []string{"trusted_proxies", "cors_origins"} {
			s, _ := lookup(name)
			var first, second Config
			if err := s.kind.set(&first, text); err != nil {
				continue
			}
			printed := s.kind.show(&first)
			if err := s.kind.set(&second, printed); err != nil {
				t.Fatalf("%s: %q prints as %q, which is refused: %v", name, text, printed, err)
			}
			if !slices.Equal(first.TrustedProxies, second.TrustedProxies) || !slices.Equal(first.CORSOrigins, second.CORSOrigins) {
				t.Errorf("%s: %q prints as %q, which is another list", name, text, printed)
			}
		}
	})
}

// FuzzMask looks for a password that masking leaves.
func FuzzMask(f *testing.F) {
	f.Add("mongodb://", "u", "h/db?x=y")
	f.Add("", "", "h")
	f.Add("mongodb://u:a?", "b/", "h@h")
	f.Fuzz(func(t *testing.T, before, user, host string) {
		const password = "\x01hunter2\x01"
		for _, uri := range []string{before + user + ":" + password + "@" + host, before + host + "?aPassword=" + password + "&" + user} {
			if got := maskURI(uri); strings.Contains(got, password) && strings.Contains(uri, "://") {
				t.Errorf("%q prints as %q", uri, got)
			}
		}
	})
}

func FuzzIssuer(f *testing.F) {
	for _, seed := range []string{"https://a.example", "http://localhost:1/x", "https://a?", "https://[::1%25x]", "https://a/%2e%2e", "https://a:0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, issuer string) {
		if issuer == "" || checkIssuer(issuer) != nil {
			return
		}
		if strings.ContainsAny(issuer, "?#@\n ") || strings.HasSuffix(issuer, "/") ||
			!strings.HasPrefix(issuer, "https://") && !strings.HasPrefix(issuer, "http://") {
			t.Errorf("%q is accepted", issuer)
		}
	})
}
