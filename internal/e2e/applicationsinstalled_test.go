//go:build interop && installed

package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// installedProxy builds oauth2-proxy.
var installedProxy = sync.OnceValues(func() (string, error) {
	to := filepath.Join(binaries, "oauth2-proxy")
	return to, build(to, filepath.Join("clients", "go"), "github.com/oauth2-proxy/oauth2-proxy/v7")
})

var proxyLogin = resourceProgram{command: func(t *testing.T, _ *shop, dir string, environ map[string]string) *exec.Cmd {
	program, err := installedProxy()
	if err != nil {
		t.Fatal(err)
	}
	documentRoot(t, dir, "index.html", "bye")
	writeFile(t, filepath.Join(dir, "secret"), environ["CLIENT_SECRET"])
	writeFile(t, filepath.Join(dir, "emails"), environ["EMAIL"]+"\n")
	cookie := make([]byte, 32)
	_, _ = rand.Read(cookie)
	pairs := []string{"${COOKIE_SECRET}", base64.URLEncoding.EncodeToString(cookie), "${ISSUER_HOST}", strings.TrimPrefix(environ["ISSUER"], "https://")}
	for name, value := range environ {
		pairs = append(pairs, "${"+name+"}", value)
	}
	config := filepath.Join(dir, "oauth2-proxy.cfg")
	writeFile(t, config, strings.NewReplacer(pairs...).Replace(readFile(t, filepath.Join("clients", "oauth2-proxy.cfg"))))
	return exec.Command(program, "--config", config)
}}

var flaskLogin = resourceProgram{command: func(*testing.T, *shop, string, map[string]string) *exec.Cmd {
	return exec.Command(filepath.Join("clients", "python", "installed", "venv", "bin", "python"), filepath.Join("clients", "python", "installed", "login.py"))
}}

var springLogin = resourceProgram{command: func(t *testing.T, _ *shop, _ string, _ map[string]string) *exec.Cmd {
	classes, err := installedJava()
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command("java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", classes+":"+filepath.Join("clients", "java", "lib", "*"), "Login")
}}

// installedApplications are those that need much installing, or compiling.
var installedApplications = []application{
	{name: "Authlib", host: "Flask", program: &flaskLogin, versions: []string{"pip:Authlib", "pip:Flask"},
		callback: "/callback", logout: "/logout", backchannel: "/ended", still: "/?still", set: "`code_challenge_method`; the refresh and the check of logout tokens by the program, as here"},
	{name: "oauth2-proxy", host: "static pages", program: &proxyLogin, versions: []string{"go:github.com/oauth2-proxy/oauth2-proxy/v7"},
		callback: "/oauth2/callback",
		logout:   "/oauth2/sign_out?rd=${ISSUER}%2Foauth%2Flogout%3Fid_token_hint%3D{id_token}%26post_logout_redirect_uri%3D${URL}%2Fbye",
		set:      "`code_challenge_method`; `cookie_refresh`; `insecure_oidc_allow_unverified_email`; `whitelist_domains` with the issuer's"},
	{name: "Spring Security", host: "Tomcat", program: &springLogin, versions: []string{"mvn:spring-security-config", "mvn:tomcat-embed-core"},
		callback: "/login/oauth2/code/keyturn", logout: "/logout", backchannel: "/logout/connect/back-channel/keyturn", still: "/?still",
		set: "a client that is registered with RS256 (`signing_algs`): its check of logout tokens takes nothing else; `oidcLogout`; `OidcClientInitiatedLogoutSuccessHandler`"},
}

// TestInstalledApplications is TestApplications of those that need much installing.
func TestInstalledApplications(t *testing.T) {
	t.Parallel()
	openSquare(t, "RS256", installedApplications).live()
	goldenSection(t, filepath.Join("..", "..", "docs", "interop.md"), "## Applications that need more installing",
		installedApplicationsHead+applicationsTable(t, installedApplications)+installedApplicationsFoot)
}

const installedApplicationsHead = `
Run as those above, by the test ` + "`TestInstalledApplications`" + `, with tokens signed by RS256.
`

const installedApplicationsFoot = `
Not run: OmniAuth's strategy for OpenID Connect in Debian 12 (gitlab-omniauth-openid-connect 0.10.0) knows no PKCE, without which nobody
begins a log-in here, and no registry has a newer one that the machines that build this reach: above OmniAuth has one on omniauth-oauth2.
better-auth, in whose place Auth.js is.
`
