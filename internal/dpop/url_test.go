package dpop_test

import (
	"testing"

	"github.com/keyturn/keyturn/internal/dpop"
	"github.com/keyturn/keyturn/internal/dpop/dpoptest"
)

func TestURLsAreCompared(t *testing.T) {
	c, h := newChecker(t), dpoptest.New(t, "ES256")
	for _, of := range []struct {
		asked string
		same  []string
		other []string
	}{
		{"https://login.example.com/oauth/token", []string{
			"https://login.example.com/oauth/token", "HTTPS://Login.Example.COM/oauth/token", "https://login.example.com:443/oauth/token",
			"https://login.example.com:/oauth/token", "https://login.example.com/oauth/token?a=b", "https://login.example.com/oauth/token#f",
			"https://login.example.com/oauth/token?", "https://login.example.com/%6fauth/%74oken", "https://login.example.com/x/../oauth/./token",
			"https://login.example.com/%2e/oauth/token",
		}, []string{
			"https://login.example.com/OAuth/token", "https://login.example.com/oauth/token/", "https://login.example.com//oauth/token",
			"https://login.example.com/oauth%2Ftoken", "https://login.example.com:8443/oauth/token", "https://login.example.com:80/oauth/token",
			"http://login.example.com/oauth/token", "http://login.example.com:443/oauth/token", "https://login.example.com.evil/oauth/token",
			"https://evil@login.example.com/oauth/token", "https://login.example.com", "login.example.com/oauth/token", "//login.example.com/oauth/token",
			"https:login.example.com/oauth/token", "https:///oauth/token", "https://login.example.com/oauth/token%", "", "ftp://login.example.com/oauth/token",
			" https://login.example.com/oauth/token",
		}},
		{"http://[::1]:8080/a/auth/sessions/%C3%BC%2f", []string{
			"http://[::1]:8080/a/auth/sessions/%c3%bc%2F", "http://[::1]:8080/a/auth/sessions/%C3%BC%2F?x",
		}, []string{
			"http://[::1]/a/auth/sessions/%C3%BC%2F", "http://[::1]:8080/a/auth/sessions/%C3%BC/", "http://[::1]:8080/auth/sessions/%C3%BC%2F",
		}},
		{"http://127.0.0.1:80", []string{"http://127.0.0.1", "http://127.0.0.1/", "http://127.0.0.1:80/?x#y"}, []string{"http://127.0.0.1:8080/"}},
	} {
		check := func(htu string, good bool) {
			_, e := c.Check([]string{h.Prove(t, dpoptest.For("POST", htu))}, dpop.Request{Method: "POST", URL: of.asked})
			if (e == nil) != good || e != nil && e.Reason.String() != "proof_target" {
				t.Errorf("%q for %q: %v", htu, of.asked, e)
			}
		}
		for _, htu := range of.same {
			check(htu, true)
		}
		for _, htu := range of.other {
			check(htu, false)
		}
	}
}
