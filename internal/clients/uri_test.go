package clients

import (
	"strings"
	"testing"
)

// TestRegisteredURIs has one rule for every URI that is registered, whatever it is for.
func TestRegisteredURIs(t *testing.T) {
	for uri, good := range map[string]bool{
		"https://a.example/x":                            true,
		"https://a.example:1/x":                          true,
		"https://a.example:8443/x":                       true,
		"https://a.example:65535/x":                      true,
		"https://[2001:db8::1]/x":                        true,
		"https://[2001:db8::1]:8443/x":                   true,
		"https://a.example:0/x":                          false,
		"https://a.example:00/x":                         false,
		"https://a.example:0443/x":                       false,
		"https://a.example:65536/x":                      false,
		"https://a.example:99999/x":                      false,
		"https://a.example:184467440737095516/x":         false,
		"https://a.example:/x":                           false,
		"https://a.example:+443/x":                       false,
		"https://[2001:db8::1]:0/x":                      false,
		"https://[2001:db8::1]:70000/x":                  false,
		"https://[2001:db8::1/x":                         false,
		"https://:443/x":                                 false,
		"https://u@a.example/x":                          false,
		"https://u:p@a.example/x":                        false,
		"https://@a.example/x":                           false,
		"https://a.example/x#f":                          false,
		"https://a.example/x#":                           false,
		"https://a.example\\@b.example/x":                false,
		"https://a.example/\tx":                          false,
		"https://a.example/x\n":                          false,
		" https://a.example/x":                           false,
		"HTTPS://a.example/x":                            false,
		"https:a.example/x":                              false,
		"https://*.a.example/x":                          false,
		"https://a.example/" + strings.Repeat("x", 1024): false,
		"http://a.example/x":                             false,
		"http://127.0.0.1:99999/x":                       false,
		"":                                               false,
	} {
		redirect := Client{Grants: []string{GrantAuthorizationCode}, RedirectURIs: []string{uri}}
		logOut := Client{Grants: []string{GrantAuthorizationCode}, RedirectURIs: []string{"https://a.example"}, PostLogoutRedirectURIs: []string{uri}}
		for what, err := range map[string]error{
			"redirect_uri": checkRedirectURIs(redirect), "post_logout_redirect_uri": checkRedirectURIs(logOut), "jwks_uri": checkJWKSURI(uri),
			"backchannel_logout_uri": checkBackchannelURI(uri),
		} {
			if (err == nil) != good {
				t.Errorf("%q as %s: %v", uri, what, err)
			}
		}
	}
}

// TestALoopbackPortIsAPort compares what a native app asks for with what it registered
// (RFC 8252 §7.3).
func TestALoopbackPortIsAPort(t *testing.T) {
	c := Client{RedirectURIs: []string{"http://127.0.0.1/cb"}}
	for uri, good := range map[string]bool{
		"http://127.0.0.1:1/cb": true, "http://127.0.0.1:65535/cb": true, "http://127.0.0.1/cb": true,
		"http://127.0.0.1:0/cb": false, "http://127.0.0.1:00080/cb": false, "http://127.0.0.1:65536/cb": false, "http://127.0.0.1:/cb": false,
	} {
		if c.RedirectsTo(uri) != good {
			t.Errorf("%s: %t", uri, !good)
		}
	}
}

// TestUnsoundKeysAreNotRegistered has keys that anybody can sign for.
func TestUnsoundKeysAreNotRegistered(t *testing.T) {
	for set, want := range map[string]string{
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`: "",
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}`: "key 1 of the JWK set",
		`{"keys":[{"kty":"OKP","crv":"Ed25519","X":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`: `"X" is written "x"`,
	} {
		err := checkKeys(Client{JWKS: set})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", set, err)
		}
	}
}
