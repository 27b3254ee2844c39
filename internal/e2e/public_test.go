package e2e

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// preflight asks on behalf of a page of origin.
func preflight(t *testing.T, url, origin, method string) answer {
	t.Helper()
	return mustSend(t, "OPTIONS", url, http.Header{
		"Origin": {origin}, "Access-Control-Request-Method": {method}, "Access-Control-Request-Headers": {"authorization,content-type"},
	}, "")
}

const allowOrigin = "Access-Control-Allow-Origin"

func TestCORS(t *testing.T) {
	t.Parallel()
	const page, stranger = "https://app.example.com", "https://evil.example.com"
	s := openShop(t, newDeployment(t, "", "--first-party-client", "app", "--cors-origins", page))
	for path, method := range map[string]string{
		"/oauth/token": "POST", "/oauth/par": "POST", "/oauth/revoke": "POST", "/auth/login": "POST", "/auth/me": "GET", "/auth/sessions": "DELETE",
	} {
		if a := preflight(t, s.url+path, page, method); a.header.Get(allowOrigin) != page || a.status >= 300 ||
			!strings.Contains(strings.ToLower(a.header.Get("Access-Control-Allow-Headers")), "authorization") {
			t.Errorf("preflight of %s for %s: %d %v; want it allowed", path, page, a.status, a.header)
		}
		if a := preflight(t, s.url+path, stranger, method); a.header.Get(allowOrigin) != "" {
			t.Errorf("preflight of %s for %s: %v; want nothing allowed", path, stranger, a.header)
		}
	}
	form := values("grant_type", "password", "username", email, "password", password, "client_id", "app")
	for origin, want := range map[string]string{page: page, stranger: ""} {
		a := mustSend(t, "POST", s.url+"/oauth/token", http.Header{"Content-Type": {formType}, "Origin": {origin}}, form.Encode())
		if a.status != 200 || a.header.Get(allowOrigin) != want || a.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("token request of %s: %d %v; want the origin allowed: %q", origin, a.status, a.header, want)
		}
	}
	for _, path := range []string{"/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		if a := mustSend(t, "GET", s.url+path, http.Header{"Origin": {stranger}}, ""); a.status != 200 || a.header.Get(allowOrigin) != "*" {
			t.Errorf("%s for a page of anyone's: %d %v; want it allowed to all", path, a.status, a.header)
		}
	}
	if a := mustSend(t, "GET", s.url+"/healthz", http.Header{"Origin": {page}}, ""); a.header.Get(allowOrigin) != "" {
		t.Errorf("healthz is open to pages: %v", a.header)
	}
}

// TestJWKSCaching fetches the key set as a resource server does.
func TestJWKSCaching(t *testing.T) {
	t.Parallel()
	s := newDeployment(t, "").serve(t)
	url := s.url + "/.well-known/jwks.json"
	a := mustSend(t, "GET", url, nil, "")
	var set struct{ Keys []map[string]any }
	a.decode(t, &set)
	if a.status != 200 || len(set.Keys) != 2 {
		t.Fatalf("%d %s; want the signing key and the standby", a.status, a.body)
	}
	for _, key := range set.Keys {
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if _, there := key[private]; there {
				t.Errorf("the key set holds the private member %s", private)
			}
		}
		if key["use"] != "sig" || key["alg"] != "ES256" || key["kid"] == "" {
			t.Errorf("key %v; want use, alg and kid", key)
		}
	}
	cache := a.header.Get("Cache-Control")
	if !regexp.MustCompile(`max-age=900\b`).MatchString(cache) || !strings.Contains(cache, "public") {
		t.Errorf("Cache-Control %q; want public and the max-age of the settings", cache)
	}
	tag := a.header.Get("ETag")
	if tag == "" {
		t.Fatal("no ETag")
	}
	for header, status := range map[string]int{tag: 304, `"other", ` + tag: 304, "W/" + tag: 304, "*": 304, `"other"`: 200} {
		again := mustSend(t, "GET", url, http.Header{"If-None-Match": {header}}, "")
		if again.status != status || status == 304 && again.body != "" || again.header.Get("ETag") != tag || again.header.Get("Cache-Control") == "" {
			t.Errorf("If-None-Match %s: %d %v; want %d with ETag and Cache-Control", header, again.status, again.header, status)
		}
	}
	if head := mustSend(t, "HEAD", url, nil, ""); head.status != 200 || head.body != "" || head.header.Get("ETag") != tag {
		t.Errorf("HEAD: %d %v", head.status, head.header)
	}
}

// TestMetadata compares both documents with what is served.
func TestMetadata(t *testing.T) {
	t.Parallel()
	s := newDeployment(t, "").serve(t)
	a := mustSend(t, "GET", s.url+"/.well-known/oauth-authorization-server", nil, "")
	var m struct {
		Issuer        string
		Token         string   `json:"token_endpoint"`
		JWKS          string   `json:"jwks_uri"`
		PAR           string   `json:"pushed_authorization_request_endpoint"`
		Revocation    string   `json:"revocation_endpoint"`
		Introspection string   `json:"introspection_endpoint"`
		UserInfo      string   `json:"userinfo_endpoint"`
		Authorization string   `json:"authorization_endpoint"`
		Grants        []string `json:"grant_types_supported"`
		Methods       []string `json:"token_endpoint_auth_methods_supported"`
	}
	a.decode(t, &m)
	if m.Issuer != s.url || m.Token != s.url+"/oauth/token" || m.JWKS != s.url+"/.well-known/jwks.json" ||
		m.PAR != s.url+"/oauth/par" || m.Revocation != s.url+"/oauth/revoke" || m.Introspection != s.url+"/oauth/introspect" || m.UserInfo != s.url+"/oauth/userinfo" {
		t.Errorf("endpoints %+v, want those of %s", m, s.url)
	}
	slices.Sort(m.Grants)
	if m.Authorization != s.url+"/oauth/authorize" || !slices.Equal(m.Grants, []string{"authorization_code", "client_credentials", "password", "refresh_token"}) {
		t.Errorf("%+v; want the grants that are served and the authorization endpoint", m)
	}
	for _, method := range []string{"client_secret_basic", "client_secret_post", "none"} {
		if !slices.Contains(m.Methods, method) {
			t.Errorf("authentication methods %v, want %s among them", m.Methods, method)
		}
	}
	if other := mustSend(t, "GET", s.url+"/.well-known/openid-configuration", nil, ""); other.status != 200 || other.member(t, "issuer") != s.url {
		t.Errorf("openid-configuration: %d %s", other.status, other.body)
	}
}

// TestAdminListener looks for the metrics where they are and where they must
// not be.
func TestAdminListener(t *testing.T) {
	t.Parallel()
	s := newDeployment(t, "").serve(t)
	mustSend(t, "GET", s.url+"/.well-known/jwks.json", nil, "")
	if a := mustSend(t, "GET", s.admin+"/metrics", nil, ""); a.status != 200 ||
		!strings.Contains(a.body, `keyturn_http_request_duration_seconds_count{route="/.well-known/jwks.json",status="200"} 1`) {
		t.Errorf("metrics: %d\n%s\nwant the one request counted", a.status, a.body)
	}
	if a := mustSend(t, "GET", s.url+"/metrics", nil, ""); a.status != 404 {
		t.Errorf("metrics on the public listener: %d, want 404", a.status)
	}
	if a := mustSend(t, "GET", s.admin+"/debug/pprof/profile?seconds=1", nil, ""); a.status != 404 {
		t.Errorf("a profile without profiling: %d, want 404", a.status)
	}
}

// TestProfiling takes a profile that lasts longer than a request may, and looks
// for what must not be told.
func TestProfiling(t *testing.T) {
	t.Parallel()
	s := newDeployment(t, "").serve(t, "--profiling=on", "--request-timeout", "300ms")
	start := time.Now()
	if a := mustSend(t, "GET", s.admin+"/debug/pprof/profile?seconds=1", nil, ""); a.status != 200 || !strings.HasPrefix(a.body, "\x1f\x8b") {
		t.Errorf("a profile: %d %.100q, want it in gzip's form", a.status, a.body)
	}
	if took := time.Since(start); took < time.Second {
		t.Errorf("a profile of one second ended after %s", took)
	}
	if a := mustSend(t, "GET", s.admin+"/debug/pprof/cmdline", nil, ""); a.status != 404 {
		t.Errorf("the command line: %d, want 404", a.status)
	}
	if a := mustSend(t, "GET", s.url+"/debug/pprof/", nil, ""); a.status != 404 {
		t.Errorf("profiles on the public listener: %d, want 404", a.status)
	}
}
