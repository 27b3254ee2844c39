package e2e

import "testing"

// TestCodeFlow has a Go application, with go-oidc and golang.org/x/oauth2, log its
// user in through a browser, knowing the issuer alone: as a client with a secret and
// as a public one, with the deployment's algorithm and with RS256, under an issuer
// with a path too.
func TestCodeFlow(t *testing.T) {
	t.Parallel()
	program, err := goClient()
	if err != nil {
		t.Fatal(err)
	}
	onBothStores(t, []string{"--signing-algs", "ES256,RS256"}, func(t *testing.T, d *deployment) {
		s := openShop(t, d, "--password-grant", "false")
		for id, flags := range map[string][]string{"wiki": nil, "native": {"--public"}, "old": {"--client-signing-alg", "RS256"}} {
			by := d.addClient(t, id, append(flags, "--grant", "authorization_code", "--grant", "refresh_token", "--redirect-uri", "http://127.0.0.1/callback",
				"--scope", "openid email profile")...)
			r := s.request(by)
			var got struct {
				ID, Again map[string]any
				UserInfo  userInfo
				Alg       string
				Silent    bool
			}
			ask(t, r, &got, program, "code")
			s.checkUserInfo(t, got.UserInfo)
			alg := "ES256"
			if id == "old" {
				alg = "RS256"
			}
			if got.ID["sub"] != s.uid || got.ID["email"] != email || got.ID["name"] != "Ada Lovelace" || got.Alg != alg || !got.Silent {
				t.Errorf("%s: %+v", id, got)
			}
			for _, name := range []string{"sub", "aud", "iss", "auth_time", "sid"} {
				if got.Again[name] != got.ID[name] || got.ID[name] == nil {
					t.Errorf("%s: after a refresh %s is %v, was %v", id, name, got.Again[name], got.ID[name])
				}
			}
			var list []struct {
				ClientID string `json:"client_id"`
			}
			d.must(t, &list, "users", "sessions", email)
			if len(list) == 0 {
				t.Errorf("%s: no session is listed", id)
			}
		}
	})
}
