//go:build interop

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// logoutIssuer is an issuer of logout tokens that no Keyturn makes.
type logoutIssuer struct {
	url string
	key *ecdsa.PrivateKey
}

func newLogoutIssuer(t *testing.T) *logoutIssuer {
	t.Helper()
	mux := http.NewServeMux()
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	i := &logoutIssuer{s.URL, newSigningKey(t)}
	answer := func(pattern string, v any) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(v)
		})
	}
	answer("GET /.well-known/openid-configuration", map[string]any{
		"issuer": i.url, "jwks_uri": i.url + "/keys", "id_token_signing_alg_values_supported": []string{"ES256"},
	})
	answer("GET /keys", jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: "one", Algorithm: "ES256", Use: "sig"}}})
	return i
}

func newSigningKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// said is a logout token before it is signed.
type said struct {
	typ, kid string
	key      *ecdsa.PrivateKey
	claims   map[string]any
}

// good is one that says all that it should.
func (i *logoutIssuer) good() said {
	now := time.Now().Unix()
	return said{"logout+jwt", "one", i.key, map[string]any{
		"iss": i.url, "aud": "shop", "iat": now, "exp": now + 120, "jti": rand.Text(), "sub": "ada", "sid": "a session",
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}}
}

func (s said) sign(t *testing.T) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: s.key, KeyID: s.kid}},
		(&jose.SignerOptions{}).WithType(jose.ContentType(s.typ)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(s.claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestAWholeWebApplicationTakesLogoutTokens has the web application of docs/clients.md
// take a logout token that is as it should be, and none that is not (OpenID Connect
// Back-Channel Logout 1.0 §2.6).
func TestAWholeWebApplicationTakesLogoutTokens(t *testing.T) {
	t.Parallel()
	issuer, app := newLogoutIssuer(t), "http://"+freePort(t)
	at := shell{t.TempDir(), append(bareEnviron(), "ISSUER="+issuer.url, "APP="+app, "API="+issuer.url)}
	writeFile(t, filepath.Join(at.dir, "app.mjs"), blockOf(t, "clients.md", theShop))
	writeFile(t, filepath.Join(at.dir, "shop.json"), `{"client_id":"shop","client_secret":"of another issuer"}`)
	at.stays(t, install(t)+blockOf(t, "clients.md", "node app.mjs"))
	up(t, app)
	take := func(what, token string, want int) {
		t.Helper()
		a, err := postForm(app+"/ended", credentials{}, values("logout_token", token))
		if err != nil || a.status != want {
			t.Errorf("%s is answered by %d; want %d (%v)", what, a.status, want, err)
		}
	}
	good := issuer.good().sign(t)
	take("a good one", good, http.StatusOK)
	take("one without its signature", good[:strings.LastIndex(good, ".")+1], http.StatusBadRequest)
	take("none", "", http.StatusBadRequest)
	now := time.Now().Unix()
	for what, change := range map[string]func(*said){
		"the type of an ID token":  func(s *said) { s.typ = "JWT" },
		"another issuer":           func(s *said) { s.claims["iss"] = "https://login.example.com" },
		"another audience":         func(s *said) { s.claims["aud"] = "notes" },
		"an old iat":               func(s *said) { s.claims["iat"] = now - 600 },
		"an exp that is over":      func(s *said) { s.claims["exp"] = now - 60 },
		"another event":            func(s *said) { s.claims["events"] = map[string]any{"https://example.com/event": map[string]any{}} },
		"a nonce":                  func(s *said) { s.claims["nonce"] = "n" },
		"a key of somebody else's": func(s *said) { s.key = newSigningKey(t) },
		"a key that is not known":  func(s *said) { s.kid = "two" },
	} {
		s := issuer.good()
		change(&s)
		take("one with "+what, s.sign(t), http.StatusBadRequest)
	}
	for _, claim := range []string{"iss", "aud", "iat", "exp", "jti", "sid", "events"} {
		s := issuer.good()
		delete(s.claims, claim)
		take("one without "+claim, s.sign(t), http.StatusBadRequest)
	}
}
