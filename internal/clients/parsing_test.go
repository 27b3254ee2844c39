package clients

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func FuzzBasic(f *testing.F) {
	f.Add("Basic " + base64.StdEncoding.EncodeToString([]byte("a%3Ab:c+d")))
	f.Add("Basic ====")
	f.Add("Bearer x")
	f.Fuzz(func(t *testing.T, header string) {
		c, ok := parseBasic(header)
		if !ok {
			return
		}
		again := "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(c.ID)+":"+url.QueryEscape(c.secret)))
		if back, ok := parseBasic(again); !ok || back != c {
			t.Fatalf("%q does not survive: %+v, %+v", header, c, back)
		}
	})
}

func FuzzScope(f *testing.F) {
	f.Add("openid  email openid")
	f.Add("a\"b")
	f.Fuzz(func(t *testing.T, s string) {
		scope, ok := ParseScope(s)
		if !ok {
			return
		}
		again, ok := ParseScope(strings.Join(scope, " "))
		if !ok || !slices.Equal(scope, again) {
			t.Fatalf("%q: %q, then %q", s, scope, again)
		}
	})
}

func TestClientSecrets(t *testing.T) {
	secret, hash := newSecret()
	c := Client{SecretHash: hash}
	if !c.hasSecret(secret) || c.hasSecret(secret+"x") || c.hasSecret("") || (Client{}).hasSecret("") {
		t.Fatal("the wrong secrets are the client's")
	}
}
