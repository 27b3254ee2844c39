package clients

import (
	"net/url"
	"strings"
	"testing"
)

func TestRedirectURIsAtRegistration(t *testing.T) {
	for uri, good := range map[string][2]bool{ // of a confidential client, of a public one
		"https://app.example.com/callback":     {true, true},
		"https://app.example.com":              {true, true},
		"https://app.example.com:8443/?a=b":    {true, true},
		"http://127.0.0.1/callback":            {true, true},
		"http://127.0.0.1:8080/callback":       {true, true},
		"http://[::1]":                         {true, true},
		"http://localhost:3000/callback":       {true, true},
		"com.example.app:/callback":            {false, true},
		"com.example.app://callback":           {false, true},
		"http://app.example.com/callback":      {},
		"http://127.0.0.1.example.com/":        {},
		"http://127.0.0.1@evil.example/":       {},
		"http://10.0.0.1/":                     {},
		"https://app.example.com/#":            {},
		"https://app.example.com/#f":           {},
		"https://user@app.example.com/":        {},
		"https://*.example.com/":               {},
		"https://app.example.com/\\x":          {},
		"https://app.example.com/a b":          {},
		"https://caf\u00e9.example/":           {},
		"https:///callback":                    {},
		"https:callback":                       {},
		"http:callback":                        {},
		"//app.example.com/":                   {},
		"/callback":                            {},
		"":                                     {},
		"javascript:alert(1)":                  {},
		"data:text/html,x":                     {},
		"myapp:/callback":                      {},
		"HTTPS://app.example.com/":             {},
		"https://" + strings.Repeat("a", 1100): {},
	} {
		for i, public := range []bool{false, true} {
			c := Client{Public: public, Grants: []string{GrantAuthorizationCode}, RedirectURIs: []string{uri}}
			if err := checkRedirectURIs(c); (err == nil) != good[i] {
				t.Errorf("%q, public %t: %v", uri, public, err)
			} else if err == nil && !c.RedirectsTo(uri) {
				t.Errorf("%q is registered, and not itself", uri)
			}
		}
	}
	for _, c := range []Client{
		{Grants: []string{GrantAuthorizationCode}},
		{Grants: []string{GrantPassword}, RedirectURIs: []string{"https://app.example.com"}},
		{Grants: []string{GrantAuthorizationCode}, RedirectURIs: make([]string, maxRedirectURIs+1)},
	} {
		if checkRedirectURIs(c) == nil {
			t.Errorf("%v with %d redirect URIs is taken", c.Grants, len(c.RedirectURIs))
		}
	}
}

// FuzzRedirect: what is taken for a registered URL is that URL, but for the port of the
// loopback interface.
func FuzzRedirect(f *testing.F) {
	registered := Client{RedirectURIs: []string{"https://app.example.com/callback", "http://127.0.0.1/callback", "http://[::1]:1/callback", "com.example.app:/x"}}
	for _, uri := range append(registered.RedirectURIs, "http://127.0.0.1:1@evil.example/callback", "http://127.0.0.1:99999/callback") {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if !registered.RedirectsTo(uri) {
			return
		}
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatalf("%q: %v", uri, err)
		}
		if u.Port() != "" {
			u.Host = strings.TrimSuffix(u.Host, ":"+u.Port())
		}
		switch s := u.String(); s {
		case "https://app.example.com/callback", "http://127.0.0.1/callback", "http://[::1]/callback", "com.example.app:/x":
		default:
			t.Errorf("%q is taken: %s", uri, s)
		}
	})
}
