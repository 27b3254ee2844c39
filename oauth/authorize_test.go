package oauth

import (
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/keys"
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
			} else if err == nil && !c.redirectsTo(uri) {
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
		if !registered.redirectsTo(uri) {
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

// FuzzCode: nothing is a code but what was sealed, as it was sealed.
func FuzzCode(f *testing.F) {
	line, err := keys.NewMaster()
	if err != nil {
		f.Fatal(err)
	}
	masters, err := keys.ParseMasters([]byte(line))
	if err != nil {
		f.Fatal(err)
	}
	k := newCodeKeys(masters)
	want := code{SessionID: "s", ClientID: "c", Redirect: []byte{1}, Challenge: "p", Scope: []string{"openid"}, UserID: "u", Expires: 1}
	sealed := k.seal(want)
	if got, err := k.open(sealed); err != nil || !reflect.DeepEqual(got, want) {
		f.Fatalf("%+v, %v", got, err)
	}
	other, _ := keys.NewMaster()
	turned, err := keys.ParseMasters([]byte(other + "\n" + line))
	if err != nil {
		f.Fatal(err)
	}
	if got, err := newCodeKeys(turned).open(sealed); err != nil || got.SessionID != "s" {
		f.Fatalf("after the master key was turned: %v", err)
	}
	f.Add(sealed)
	f.Add(strings.TrimPrefix(sealed, codePrefix))
	f.Add(codePrefix)
	f.Add(sealed[:len(sealed)-4])
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := k.open(text); err == nil && text != sealed {
			t.Errorf("%q is taken for a code", text)
		}
	})
}

func TestVerifiers(t *testing.T) {
	// RFC 7636, appendix B.
	c := code{Challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}
	const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	for text, want := range map[string]bool{
		verifier: true, verifier + "x": false, "": false, c.Challenge: false, strings.Repeat("x", 129): false, verifier + "=": false,
	} {
		if c.verifies(text) != want {
			t.Errorf("%q: %t", text, !want)
		}
	}
	for text, want := range map[string]bool{c.Challenge: true, c.Challenge + "=": false, c.Challenge[1:]: false, "": false, c.Challenge[:42] + "N": false} {
		if isDigest(text) != want {
			t.Errorf("%q as a challenge: %t", text, !want)
		}
	}
}
