//go:build interop && installed

package e2e

import (
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// installedGo builds the resource servers in Go with those that need much
// compiling.
var installedGo = sync.OnceValues(func() (string, error) {
	to := filepath.Join(binaries, "resource-installed")
	return to, runIn(filepath.Join("clients", "go"), "go", "test", "-tags", "installed", "-c", "-o", to, "./resource")
})

// installedJava compiles the programs in Java, whose libraries Maven has
// fetched.
var installedJava = sync.OnceValues(func() (string, error) {
	to := filepath.Join(binaries, "java")
	return to, runIn(filepath.Join("clients", "java"), "javac", "-d", to, "-cp", filepath.Join("lib", "*"), "Resource.java", "Client.java", "Login.java", "Trust.java")
})

// installedRust builds the programs in Rust, and returns where they are.
var installedRust = sync.OnceValues(func() (string, error) {
	dir := filepath.Join("clients", "rust")
	return filepath.Join(dir, "target", "debug"), runIn(dir, "cargo", "build", "--quiet", "--locked")
})

// introspects gives a program credentials of its own.
func introspects(t *testing.T, s *shop, dir string, environ map[string]string) {
	t.Helper()
	by := s.addClient(t, "gateway-"+filepath.Base(filepath.Dir(dir))+filepath.Base(dir), "--grant", "client_credentials", "--introspect", api)
	environ["INTROSPECT_ID"], environ["INTROSPECT_SECRET"] = by.id, by.secret
}

var (
	installedGoProgram = resourceProgram{command: func(t *testing.T, s *shop, dir string, environ map[string]string) *exec.Cmd {
		program, err := installedGo()
		if err != nil {
			t.Fatal(err)
		}
		introspects(t, s, dir, environ)
		return exec.Command(program, "-test.run=^TestServe$", "-test.timeout=0")
	}}
	javaProgram = resourceProgram{clocked: fakeTime, command: func(t *testing.T, _ *shop, _ string, _ map[string]string) *exec.Cmd {
		classes, err := installedJava()
		if err != nil {
			t.Fatal(err)
		}
		return exec.Command("java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", classes+":"+filepath.Join("clients", "java", "lib", "*"), "Resource")
	}}
	rustProgram = resourceProgram{clocked: fakeTime, command: func(t *testing.T, _ *shop, _ string, _ map[string]string) *exec.Cmd {
		programs, err := installedRust()
		if err != nil {
			t.Fatal(err)
		}
		return exec.Command(filepath.Join(programs, "resource"))
	}}
	perlProgram     = script("/usr/bin/perl", "perl", "resource.pl")
	installedRuby   = script("/usr/bin/ruby", "ruby", "installed.rb")
	installedPython = script(filepath.Join("clients", "python", "installed", "venv", "bin", "python"), "python", "installed", "resource.py")
)

// installedLibraries are those that need much installing, or compiling.
func installedLibraries() []library {
	const (
		both  = "both algorithms before a change"
		apart = "a check of `typ` and `cnf` by the program, as here"
		one   = "it takes one algorithm: clients that are registered with that (`signing_algs`)"
		own   = "a cache of the program's own, as here; " + both
	)
	return []library{
		{name: "kube-apiserver", host: "Go", program: &installedGoProgram, path: "/kube-apiserver", versions: []string{"go:k8s.io/apiserver"}, noShort: true,
			advice: "`--oidc-signing-algs`: it takes RS256 alone unless told; `claimValidationRules` for `client_id`, since it shows no `typ`, and for no `cnf`; " + both},
		{name: "oauth2-proxy", host: "Go", program: &installedGoProgram, path: "/oauth2-proxy", versions: []string{"go:github.com/oauth2-proxy/oauth2-proxy/v7"}, noShort: true, takesID: true, takesBound: true,
			advice: "**it takes ID tokens, and bound tokens as a bearer's**, and has no setting against it: an audience that is no client's id, and no DPoP in its clients; `skip_jwt_bearer_tokens` and `extra_jwt_issuers`; restart it before an algorithm changes, once the metadata name the new one"},
		{name: "Open Policy Agent", host: "Go", program: &installedGoProgram, path: "/opa", versions: []string{"go:github.com/open-policy-agent/opa"}, noShort: true,
			advice: "`http.send` with `force_cache` for 5 minutes, and a check of `alg`, `typ` and `cnf` in the policy; " + both},
		{name: "auth0/go-jwt-middleware", host: "Go", program: &installedGoProgram, path: "/auth0", versions: []string{"go:github.com/auth0/go-jwt-middleware/v2"}, noShort: true, alg: "RS256",
			advice: "`WithSynchronousRefresh`: else it refuses what is new while it fetches; a life of 5 minutes; " + apart + "; " + one},
		{name: "auth0/go-jwt-middleware v3", host: "Go", program: &installedGoProgram, path: "/auth0-3", versions: []string{"go:github.com/auth0/go-jwt-middleware/v3"}, noShort: true, alg: "RS256",
			advice: apart + "; " + one},
		{name: "echo-jwt and keyfunc", host: "Echo", program: &installedGoProgram, path: "/echo-jwt",
			versions: []string{"go:github.com/labstack/echo-jwt/v4", "go:github.com/MicahParks/keyfunc/v3", "go:github.com/labstack/echo/v4"}, noShort: true,
			advice: "`ParseTokenFunc` that checks `iss`, `aud`, `typ`, `cnf` and the algorithms, as here; `RefreshInterval` of 15 minutes; " + both},
		{name: "fiber/contrib/jwt", host: "Fiber", program: &installedGoProgram, path: "/fiber-jwt",
			versions: []string{"go:github.com/gofiber/contrib/jwt", "go:github.com/gofiber/fiber/v2"}, noShort: true,
			fetches: "every 1 hour; for an unknown `kid` once in 5 minutes, by its documentation", advice: "a `SuccessHandler` that checks `iss`, `aud`, `typ` and `cnf`, as here"},
		{name: "zitadel/oidc, introspection", host: "Go", program: &installedGoProgram, path: "/zitadel-rs", versions: []string{"go:github.com/zitadel/oidc/v3"}, noShort: true,
			advice: "a client of its own; a check of `active`, `token_type` and the audience by the program, as here"},
		{name: "nimbus-jose-jwt", host: "Java", program: &javaProgram, path: "/nimbus", versions: []string{"mvn:nimbus-jose-jwt"}, noShort: true,
			fetches: "every 5 minutes; for an unknown `kid` at most twice in 30 seconds, by its documentation",
			advice:  "`setJWSTypeVerifier` for `at+jwt`; `cnf` among the prohibited claims of `DefaultJWTClaimsVerifier`; " + both},
		{name: "jose4j", host: "Java", program: &javaProgram, path: "/jose4j", versions: []string{"mvn:jose4j"}, noShort: true,
			advice: "`setExpectedType`; `registerValidator` for `cnf`; " + both},
		{name: "java-jwt and jwks-rsa", host: "Java", program: &javaProgram, path: "/java-jwt", versions: []string{"mvn:java-jwt", "mvn:jwks-rsa"}, noShort: true,
			advice: apart + "; `cached(5, 15, MINUTES)`, and **restart it after a revocation**: it keeps the set until it meets an unknown `kid`, and each key by itself; both algorithms in the program before a change"},
		{name: "Spring Security", host: "Java", program: &javaProgram, path: "/spring", versions: []string{"mvn:spring-security-oauth2-jose"}, noShort: true,
			advice: "`JwtValidators.createAtJwtValidator()`, with a validator for `cnf`; `jwsAlgorithms`: else it takes those of the keys that are published when it starts; " + both},
		{name: "smallrye-jwt, of Quarkus", host: "Java", program: &javaProgram, path: "/smallrye", versions: []string{"mvn:smallrye-jwt"}, noShort: true,
			advice: "`mp.jwt.verify.publickey.algorithm`: it takes RS256 alone unless told; `smallrye.jwt.jwks.refresh-interval` of 15 minutes; `client_id` among `smallrye.jwt.required.claims`, since it shows no `typ`; a check of `cnf` by the program, as here; " + both},
		{name: "PyJWT", host: "FastAPI", program: &installedPython, path: "/pyjwt", versions: []string{"pip:PyJWT", "pip:fastapi"}, noShort: true, advice: apart + "; " + both},
		{name: "flask-jwt-extended", host: "Flask", program: &installedPython, path: "/flask-jwt-extended", versions: []string{"pip:Flask-JWT-Extended", "pip:PyJWT", "pip:Flask"}, noShort: true,
			advice: "`decode_key_loader` with PyJWT's client, and `token_verification_loader` for `typ` and `cnf`, as here; " + both},
		{name: "djangorestframework-simplejwt", host: "Django", program: &installedPython, path: "/drf-simplejwt",
			versions: []string{"pip:djangorestframework_simplejwt", "pip:PyJWT", "pip:Django"}, noShort: true, alg: "RS256", advice: "`TOKEN_TYPE_CLAIM: None`, `USER_ID_CLAIM: 'sub'`; `get_validated_token` that checks `typ` and `cnf`, as here; " + one},
		{name: "Authlib", host: "Python", program: &installedPython, path: "/authlib", versions: []string{"pip:Authlib"}, noShort: true, advice: apart + "; " + own},
		{name: "joserfc", host: "Python", program: &installedPython, path: "/joserfc", versions: []string{"pip:joserfc"}, noShort: true, advice: apart + "; " + own},
		{name: "python-jose", host: "Python", program: &installedPython, path: "/python-jose", versions: []string{"pip:python-jose"}, noShort: true,
			advice: "the key that `kid` names, not the set: of that it takes the first; " + apart + "; " + own},
		{name: "jwcrypto", host: "Python", program: &installedPython, path: "/jwcrypto", versions: []string{"pip:jwcrypto"}, noShort: true,
			advice: "a check of the audience, `typ` and `cnf` by the program, as here; " + own},
		{name: "josepy", host: "Python", program: &installedPython, path: "/josepy", versions: []string{"pip:josepy"}, noShort: true,
			advice: "all but the signature is for the program, as here; " + own},
		{name: "jsonwebtoken", host: "Rust", program: &rustProgram, path: "/jsonwebtoken", versions: []string{"cargo:jsonwebtoken"}, noShort: true,
			advice: "one algorithm in `Validation` at a time, the token's if it is allowed, as here; " + apart + "; " + own},
		{name: "Crypt::JWT", host: "Mojolicious", program: &perlProgram, path: "/crypt-jwt", versions: []string{"deb:libcrypt-jwt-perl"}, noShort: true,
			advice: "`accepted_alg` and `kid_keys`; a check of issuer, audience, `typ` and `cnf` by the program, as here; " + own},
		{name: "Mojo::JWT", host: "Mojolicious", program: &perlProgram, path: "/mojo-jwt", versions: []string{"deb:libmojo-jwt-perl"}, noShort: true, alg: "RS256",
			advice: "a check of algorithm, issuer, audience, `typ` and `cnf` by the program, as here; " + one},
		{name: "json-jwt", host: "WEBrick", program: &installedRuby, path: "/json-jwt", versions: []string{"deb:ruby-json-jwt"}, noShort: true,
			advice: "a check of issuer, audience, `exp`, `typ` and `cnf` by the program, as here; " + own},
		{name: "jose, the command", host: "WEBrick", program: &installedRuby, path: "/jose-command", versions: []string{"deb:jose"}, noShort: true,
			advice: "all but the signature is for the program, as here; " + own},
	}
}

// TestInstalledResourceServers is TestResourceServers of those that need much
// installing.
func TestInstalledResourceServers(t *testing.T) {
	liveAndMeasure(t, "## Resource servers that need more installing", installedHead, installedLibraries(), installedFoot)
}

const installedHead = `
Run as those above, by the test ` + "`TestInstalledResourceServers`" + `
(` + "`go test -tags interop,installed ./internal/e2e -run TestInstalledResourceServers -update`" + `, after the installing that ` + "`.ci/run`" + ` has).
None was run with a cache of 1 s besides.
`

const installedFoot = `
Not run, with what their installing takes on two cores:

- HAProxy verifies with files of keys that it is given and fetches no set.
- RabbitMQ 3.10.8 (Debian 12): 21 packages, fetched in 7 s, 57 MB installed; a broker to be set up, whose scopes have names of its own.
- Quarkus OIDC 3.30.0: 120 jars, 32 MB, in 42 s; it runs only what its own build plugin has made. What quarkus-smallrye-jwt verifies with is above.
- Spring Boot 4.0.0's resource server: 51 jars, 24 MB, in 27 s; it verifies with the decoder of Spring Security above.
- mozilla-django-oidc 4.0.1 with Django: 103 MB in 9 s. Its class for Django REST shows the token to userinfo and looks at no audience:
  it is for clients, and no check for a resource server.
- django-oauth-toolkit 3.4.1 with Django: 15 packages, 14 MB fetched, in 8 s. Its resource server shows a token to introspection once and
  stores the answer for the token's life, at most ` + "`RESOURCE_SERVER_TOKEN_CACHING_SECONDS`" + ` (10 h): it goes on accepting what was revoked.
- fastify-jwt-jwks 3.1.2 with Fastify: 66 packages, 18 MB, in 9 s; it takes RS256 and EdDSA alone, whatever it is told
  (` + "`--client-signing-alg RS256`" + `), and verifies with fast-jwt.
- axum-jwt-auth 0.7.0: 244 crates, fetched in 16 s; it verifies with jsonwebtoken, which is above.
- AppAuth for Java 0.11.1 is an archive for Android alone.
- rack-oauth2 1.21.3 (Debian 12) takes the token out of the request, and leaves every check to the program, for which json-jwt is above.
- ggicci/caddy-jwt, lua-resty-openidc, firebase/php-jwt and league's client: no registry has them that the machines that build this reach.
`
