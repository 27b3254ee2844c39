package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/dpop/dpoptest"
)

// TestAnIssuerWithAPath: behind a proxy that strips the issuer's path and behind
// one that leaves it, every URL of the metadata leads where it says, and the
// metadata are found by both rules (RFC 8414 §3.1 and §5).
func TestAnIssuerWithAPath(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"/auth", "/oauth", "/a/b"} {
		for name, strips := range map[string]bool{"strips": true, "leaves": false} {
			t.Run(name+base, func(t *testing.T) {
				t.Parallel()
				d := newDeployment(t, "")
				var backend *url.URL
				proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
					r.SetURL(backend)
					if strips {
						r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, base)
					}
				}})
				t.Cleanup(proxy.Close)
				s := stock(t, d)
				s.server = d.serveAs(t, proxy.URL+base)
				var err error
				if backend, err = url.Parse(s.server.url); err != nil {
					t.Fatal(err)
				}
				get := func(url string) map[string]any {
					t.Helper()
					res, err := http.Get(url)
					if err != nil {
						t.Fatal(err)
					}
					defer res.Body.Close()
					var v map[string]any
					if err := json.NewDecoder(res.Body).Decode(&v); err != nil || res.StatusCode != 200 {
						t.Fatalf("%s: status %d, %v", url, res.StatusCode, err)
					}
					return v
				}
				metadata := get(proxy.URL + base + "/.well-known/openid-configuration")
				if metadata["issuer"] != proxy.URL+base {
					t.Errorf("the issuer is %v", metadata["issuer"])
				}
				for _, at := range []string{base + "/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server" + base} {
					if got := get(proxy.URL + at); got["issuer"] != metadata["issuer"] {
						t.Errorf("%s is of %v", at, got["issuer"])
					}
				}
				if set := get(metadata["jwks_uri"].(string)); set["keys"] == nil {
					t.Error("no keys at jwks_uri")
				}
				endpoint := metadata["token_endpoint"].(string)
				// A proof names the URL that the client knows, whatever the proxy makes of it.
				proof := dpoptest.New(t, "ES256").Prove(t, dpoptest.For("POST", endpoint))
				status, body := postProven(t, endpoint, proof,
					values("grant_type", "password", "client_id", s.public.id, "username", email, "password", password).Encode())
				if status != 200 || !strings.Contains(body, `"DPoP"`) {
					t.Errorf("the token endpoint: status %d %s", status, body)
				}
				for _, path := range []string{"/nothing", "/oauth"} {
					if res, err := http.Get(proxy.URL + base + path); err != nil || res.StatusCode != 404 {
						t.Errorf("%s: %v, %v", path, res, err)
					}
				}
			})
		}
	}
}
