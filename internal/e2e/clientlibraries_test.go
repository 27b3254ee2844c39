package e2e

import (
	"slices"
	"testing"
)

// clientLibrary is a library for clients, as docs/interop.md describes it.
type clientLibrary struct {
	name, language, version string
	// does are the things that it does; the program that uses it must do
	// just these.
	does []string
}

// clientThings are what a client can do.
var clientThings = []string{"password", "refresh_token", "client_credentials", "revocation", "introspection", "private_key_jwt", "resource"}

var clientLibraries = []clientLibrary{
	{"golang.org/x/oauth2", "Go", "go:golang.org/x/oauth2", []string{"password", "refresh_token", "client_credentials", "private_key_jwt", "resource"}},
	{"openid-client", "JavaScript", "npm:openid-client", clientThings},
	{"oauth4webapi", "JavaScript", "npm:oauth4webapi", clientThings},
	{"simple-oauth2", "JavaScript", "npm:simple-oauth2", []string{"password", "refresh_token", "client_credentials", "revocation", "resource"}},
	{"Authlib", "Python", "deb:python3-authlib", clientThings},
	{"requests-oauthlib", "Python", "deb:python3-requests-oauthlib",
		[]string{"password", "refresh_token", "client_credentials", "revocation", "resource"}},
	{"oauth2", "Rust", "cargo:oauth2", []string{"password", "refresh_token", "client_credentials", "revocation", "introspection", "resource"}},
	{"Spring Security", "Java", "mvn:spring-security-oauth2-client", []string{"refresh_token", "client_credentials", "private_key_jwt", "resource"}},
}

// checkDid holds what a program did against what is said of its library. Not
// all is for a client without a secret.
func (j journey) checkDid(t *testing.T, library string, by credentials) {
	t.Helper()
	i := slices.IndexFunc(clientLibraries, func(l clientLibrary) bool { return l.name == library })
	if i < 0 {
		t.Fatalf("%s is not among the libraries", library)
	}
	for _, thing := range clientThings {
		did, does := slices.Contains(j.Did, thing), slices.Contains(clientLibraries[i].does, thing)
		if did && !does || by.secret != "" && does && !did {
			t.Errorf("%s as %s, %s: done %t; the table says %t", library, by.id, thing, did, does)
		}
	}
}
