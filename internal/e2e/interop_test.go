//go:build interop

package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

func TestNodeClients(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("clients", "node")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "openid-client")); err != nil {
		t.Fatalf("the packages of the Node.js clients are missing: run npm ci --prefix internal/e2e/clients/node (%v)", err)
	}
	onSQLite(t, func(t *testing.T, d *deployment) {
		s := openShopBehindFront(t, d)
		for _, by := range []credentials{s.confidential, s.public} {
			var got struct {
				journey
				Jose, OAuth4WebAPI map[string]claims
				UserInfo           userInfo
			}
			ask(t, s.request(by), &got, "node", filepath.Join(dir, "client.mjs"))
			s.checkClaims(t, by, map[string]map[string]claims{"jose": got.Jose, "oauth4webapi": got.OAuth4WebAPI})
			s.checkUserInfo(t, got.UserInfo)
			got.check(t, s, "openid-client", by)
			var other journey
			ask(t, s.request(by), &other, "node", filepath.Join(dir, "oauth4webapi.mjs"))
			other.check(t, s, "oauth4webapi", by)
		}
	})
}

func TestPythonClients(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, d *deployment) {
		s := openShopBehindFront(t, d)
		// Authlib signs assertions for the token endpoint.
		d.must(t, nil, "clients", "update", s.keyed.id, "--token-endpoint-audience")
		for _, by := range []credentials{s.confidential, s.public} {
			for library, program := range map[string]string{"Authlib": "authlib_client.py", "requests-oauthlib": "requests_oauthlib_client.py"} {
				var got journey
				ask(t, s.request(by), &got, "/usr/bin/python3", filepath.Join("clients", "python", program))
				got.check(t, s, library, by)
			}
		}
	})
}

func TestSimpleOAuth2(t *testing.T) {
	t.Parallel()
	onBothStores(t, nil, func(t *testing.T, d *deployment) {
		s := openShopBehindFront(t, d)
		var got journey
		ask(t, s.request(s.confidential), &got, "node", filepath.Join("clients", "node", "simple-oauth2.mjs"))
		got.check(t, s, "simple-oauth2", s.confidential)
	})
}

// TestPyJWT has Debian's PyJWT verify tokens of every algorithm.
func TestPyJWT(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"ES256", "RS256", "PS256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			s := openShop(t, newDeployment(t, "", "--signing-alg", alg))
			login := s.login(t, s.confidential, email, password)
			refreshed := s.grant(t, s.confidential, "grant_type", "refresh_token", "refresh_token", login.RefreshToken)
			own := s.grant(t, s.confidential, "grant_type", "client_credentials")
			r := s.request(s.confidential)
			r.Alg = alg
			r.Tokens = map[string]string{
				"password": login.AccessToken, "refresh_token": refreshed.AccessToken, "client_credentials": own.AccessToken,
			}
			var got struct{ PyJWT map[string]claims }
			ask(t, r, &got, "/usr/bin/python3", filepath.Join("clients", "python", "pyjwt_verify.py"))
			s.checkClaims(t, s.confidential, map[string]map[string]claims{"PyJWT": got.PyJWT})
		})
	}
}
