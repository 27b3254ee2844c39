//go:build interop

package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// library is a way to guard a resource server, as docs/interop.md describes it.
type library struct {
	name string
	// host is what it runs in; program and path where it is found.
	host    string
	program *resourceProgram
	path    string
	// versions are the packages whose versions the table tells.
	versions []string
	// advice is what an operator sets.
	advice string
	// alg is the one algorithm that it takes, if it takes one only: its tokens are
	// those of a client that is registered with that.
	alg string
	// fetches is when it asks for the key set, where that cannot be measured: its
	// own limit of how often it asks counts by threads that a busy machine holds up.
	fetches string
	// noShort says that its cache cannot be made as short as the test's.
	noShort bool
	// takesID and takesBound say that it takes ID tokens, and as a bearer's tokens that
	// are bound to a key, and that nothing keeps it from that.
	takesID, takesBound bool
}

// libraries are the ways to guard a resource server that are tried.
func libraries() []library {
	const (
		both    = "both algorithms before a change"
		shorter = "a shorter `cacheMaxAge` where 10 minutes are too long after a leak"
		// apart is what keeps ID tokens and bound tokens out.
		apart = "a check of `typ` and `cnf` by the program, as here"
	)
	return []library{
		{name: "coreos/go-oidc", host: "Go", program: &goProgram, path: "/go-oidc", versions: []string{"go:github.com/coreos/go-oidc/v3"}, noShort: true,
			advice: "restart it after a revocation; before an algorithm changes, restart it once the metadata name the new one; " + apart},
		{name: "MicahParks/keyfunc", host: "Go", program: &goProgram, path: "/keyfunc", versions: []string{"go:github.com/MicahParks/keyfunc/v3"},
			advice: "`RefreshInterval` of 15 minutes; " + apart + "; " + both},
		{name: "lestrrat-go/jwx", host: "Go", program: &goProgram, path: "/jwx", versions: []string{"go:github.com/lestrrat-go/jwx/v3"}, advice: apart},
		{name: "coreos/go-oidc v2", host: "Go", program: &goProgram, path: "/go-oidc2", versions: []string{"go:github.com/coreos/go-oidc"}, noShort: true,
			advice: "`SupportedSigningAlgs`: it takes RS256 alone unless told; " + apart},
		{name: "hashicorp/cap", host: "Go", program: &goProgram, path: "/hashicorp-cap", versions: []string{"go:github.com/hashicorp/cap"}, noShort: true,
			advice: "`SigningAlgorithms`; " + apart + "; " + both},
		{name: "zitadel/oidc", host: "Go", program: &goProgram, path: "/zitadel", versions: []string{"go:github.com/zitadel/oidc/v3"}, noShort: true,
			advice: "a check of the audience, `typ` and `cnf` by the program, as here; " + both},
		{name: "aws-jwt-verify", host: "Express", program: &keySetsProgram, path: "/aws-jwt-verify", versions: []string{"npm:aws-jwt-verify"}, noShort: true,
			advice: "`customJwtCheck` for `typ` and `cnf`"},
		{name: "okta-jwt-verifier", host: "Express", program: &keySetsProgram, path: "/okta-jwt-verifier", versions: []string{"npm:@okta/jwt-verifier"}, noShort: true,
			alg: "RS256", advice: "a client that is registered with RS256 (`signing_algs`): it takes nothing else; " + apart},
		{name: "express-jwt and jwks-rsa", host: "Express", program: &keySetsProgram, path: "/express-jwt", versions: []string{"npm:express-jwt", "npm:jwks-rsa"}, noShort: true,
			advice: "`isRevoked` for `typ` and `cnf`; " + shorter + "; " + both},
		{name: "passport-jwt and jwks-rsa", host: "Express", program: &keySetsProgram, path: "/passport-jwt", versions: []string{"npm:passport-jwt", "npm:jwks-rsa"}, noShort: true,
			advice: "`jsonWebTokenOptions` with `complete`, and " + apart + "; " + shorter + "; " + both},
		{name: "koa-jwt and jwks-rsa", host: "Koa", program: &keySetsProgram, path: "/koa-jwt", versions: []string{"npm:koa-jwt", "npm:jwks-rsa", "npm:koa"}, noShort: true,
			advice: "`complete`, and `isRevoked` for `typ` and `cnf`; " + shorter + "; " + both},
		{name: "hono/jwk", host: "Hono", program: &keySetsProgram, path: "/hono", versions: []string{"npm:hono"}, noShort: true,
			advice: "`verification` with `iss`, `aud` and `typ`; a check of `cnf` by the program, as here; it fetches for every token; " + both},
		{name: "jose", host: "Express", program: &expressProgram, path: "/jose-express", versions: []string{"npm:jose", "npm:express"},
			advice: "`typ`; a check of `cnf` by the program, as here; " + shorter + "; " + both},
		{name: "jose", host: "Fastify", program: &fastifyProgram, path: "/jose-fastify", versions: []string{"npm:jose", "npm:fastify"},
			advice: "`typ`; a check of `cnf` by the program, as here; " + shorter + "; " + both},
		{name: "express-oauth2-jwt-bearer", host: "Express", program: &expressProgram, path: "/express-oauth2-jwt-bearer",
			versions: []string{"npm:express-oauth2-jwt-bearer", "npm:express"}, advice: "`strict: true`, without which it takes ID tokens; " + shorter},
		{name: "@fastify/jwt and get-jwks", host: "Fastify", program: &fastifyProgram, path: "/fastify-jwt",
			versions: []string{"npm:@fastify/jwt", "npm:get-jwks", "npm:fastify"}, noShort: true,
			advice: "**restart it after a revocation**: it falls back on the key that it had; `issuersWhitelist`, `allowedIss`, `allowedAud`, `checkTyp`, and `trusted` for `cnf`; " + both},
		{name: "PyJWT", host: "FastAPI", program: &pythonProgram, path: "/pyjwt-fastapi", versions: []string{"deb:python3-jwt", "deb:python3-fastapi"}, advice: apart + "; " + both},
		{name: "Authlib", host: "FastAPI", program: &pythonProgram, path: "/authlib-fastapi", versions: []string{"deb:python3-authlib", "deb:python3-fastapi"},
			advice: apart + "; a cache of the program's own, as here; " + both},
		{name: "ruby-jwt", host: "WEBrick", program: &rubyProgram, path: "/ruby-jwt", versions: []string{"deb:ruby-jwt"},
			advice: apart + "; a loader that keeps the set and heeds `kid_not_found`, as here; " + both},
		{name: "mod_auth_openidc", host: "Apache httpd", program: &apacheProgram, path: "/mod-auth-openidc", versions: []string{"deb:libapache2-mod-auth-openidc"},
			noShort: true, advice: "`OIDCJWKSRefreshInterval 300`, its least; `Require claim` for `iss`, `aud` and `client_id`, since it shows no `typ`, and none for `cnf.jkt`"},
		{name: "mod_oauth2", host: "Apache httpd", program: &apacheProgram, path: "/mod-oauth2", versions: []string{"deb:libapache2-mod-oauth2"},
			advice: "`jwks_uri.expiry=900`, and `expiry=60` for its cache of verdicts; `Require oauth2_claim` for `iss` and `aud`; `Require expr` for `client_id`, since it shows no `typ`, and for no `cnf`"},
		{name: "auth_request and introspection", host: "nginx with Lua", program: &nginxProgram, path: "/nginx", versions: []string{"deb:nginx-light"},
			advice: "a client of its own; a check of `token_type`, as here"},
	}
}

// tableOf tells what was found, one library a row.
func tableOf(t *testing.T, libraries []library, n *season, found map[string]habits) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(tableHead)
	for _, l := range libraries {
		var versions, ran []string
		for _, v := range l.versions {
			versions = append(versions, versionOf(t, v))
		}
		for _, g := range n.guards {
			if g.path != l.path {
				continue
			}
			how := "as it comes"
			if g.short {
				how = "with a cache of 1 s"
			}
			outcome := "passed"
			if _, failed := n.failures[g.String()]; failed {
				outcome = "FAILED"
			}
			ran = append(ran, how+": "+outcome)
		}
		h := found[l.path]
		second := "refuses it"
		if n.kept[l.path] {
			second = "**accepts it still**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", l.name, l.host, strings.Join(versions, ", "), strings.Join(ran, "; "), h.fetches, h.forgets, second, l.advice)
	}
	return b.String()
}

// golden compares a document with what the test makes of it, or writes it.
func golden(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		writeFile(t, path, want)
		return
	}
	if got := readFile(t, path); got != want {
		t.Errorf("%s is not what the test finds; run this test with -update and look at the difference\n%s", path, difference(got, want))
	}
}

// difference is the lines that only one of two texts has.
func difference(got, want string) string {
	var b strings.Builder
	for _, side := range []struct{ name, has, lacks string }{{"want", want, got}, {"got ", got, want}} {
		other := strings.Split(side.lacks, "\n")
		for line := range strings.SplitSeq(side.has, "\n") {
			if !slices.Contains(other, line) {
				fmt.Fprintf(&b, "%s: %s\n", side.name, line)
			}
		}
	}
	if b.Len() == 0 {
		return "the lines are the same, in another order or number"
	}
	return b.String()
}

var upstream = regexp.MustCompile(`^(?:\d+:)?([0-9.]+[0-9])`)

// versionOf tells the version of a package in use, by its lock file or, for
// Debian's, by dpkg without Debian's own part.
func versionOf(t *testing.T, name string) string {
	t.Helper()
	kind, name, _ := strings.Cut(name, ":")
	base := filepath.Base(name)
	switch kind {
	case "go":
		m := regexp.MustCompile(regexp.QuoteMeta(name) + ` v(\S+)`).FindStringSubmatch(readFile(t, filepath.Join("clients", "go", "go.mod")))
		if m == nil {
			t.Fatalf("%s is not in go.mod", name)
		}
		return strings.TrimSuffix(m[1], "+incompatible")
	case "mvn":
		m := regexp.MustCompile(`<artifactId>` + regexp.QuoteMeta(name) + `</artifactId><version>(.+?)</version>`).FindStringSubmatch(readFile(t, filepath.Join("clients", "java", "pom.xml")))
		if m == nil {
			t.Fatalf("%s is not in pom.xml", name)
		}
		return name + " " + m[1]
	case "pip":
		m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `==(.+)$`).FindStringSubmatch(readFile(t, filepath.Join("clients", "python", "installed", "requirements.txt")))
		if m == nil {
			t.Fatalf("%s is not in requirements.txt", name)
		}
		return name + " " + m[1]
	case "cargo":
		m := regexp.MustCompile(`name = "` + regexp.QuoteMeta(name) + `"\nversion = "(.+)"`).FindStringSubmatch(readFile(t, filepath.Join("clients", "rust", "Cargo.lock")))
		if m == nil {
			t.Fatalf("%s is not in Cargo.lock", name)
		}
		return name + " " + m[1]
	case "npm":
		var lock struct {
			Packages map[string]struct{ Version string }
		}
		if err := json.Unmarshal([]byte(readFile(t, filepath.Join("clients", "node", "package-lock.json"))), &lock); err != nil {
			t.Fatal(err)
		}
		return base + " " + lock.Packages["node_modules/"+name].Version
	}
	out, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", name).Output()
	if err != nil {
		t.Fatalf("the Debian package %s is missing: %v", name, err)
	}
	m := upstream.FindStringSubmatch(string(out))
	if m == nil {
		t.Fatalf("the version %q of %s", out, name)
	}
	return strings.TrimPrefix(name, "python3-") + " " + m[1] + " (Debian 12)"
}

func header(t *testing.T, token string) jose.Header {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Headers[0]
}

func kidOf(t *testing.T, token string) string { return header(t, token).KeyID }

func algOf(t *testing.T, token string) string { return header(t, token).Algorithm }

const interopHead = `
Written by the test ` + "`TestResourceServers`" + ` in ` + "`internal/e2e`" + ` (` + "`go test -tags interop ./internal/e2e -run TestResourceServers -update`" + `).
Each of these resource servers was installed from its registry, told the issuer's URL and its audience and nothing else,
and started against the real binary over TLS. While fresh tokens arrived several times a second it lived through two turns
of the keys, the second from ES256 to RS256, and the revocation of the key that signed. **Passed** means that it refused no
good token for a moment, whether ` + "`aud`" + ` was a list or a string, tokens of earlier keys included,
and did refuse a wrong signature, a foreign audience, an ID token, and as a bearer's a token that is bound to a key
(unless the last column says that it takes them); with a cache of 1 s, also that it refused the revoked key as soon as its
cache was over.

The resource servers' clocks were set: before each turn they saw the day go by that a deployment publishes a key ahead
(` + "`key_publish_lead`" + `), longer than each of these caches, and that is why scheduled turns need no setting anywhere. The last
columns but one were measured with the same clocks, each library as it comes, in a process of its own: when it asks for the
key set, counted at the issuer, and for how many seconds it went on accepting a token of a key that was **revoked** just after it
had fetched the set, with no other token to look at. What is within ` + "`jwks_max_age`" + ` (900 s) is within what the issuer allows. Then,
with the others in one process, whether it accepted the revoked key still when ` + "`key_publish_lead`" + ` had gone by and it had met a
token of the **second turn**: the key that ` + "`keys revoke`" + ` makes for verifiers that fetch only for an unknown ` + "`kid`" + `
([operating.md](operating.md#signing-keys)).
`

const tableHead = `
| library | in | version | run | fetches the key set | accepts a revoked key for | after the second turn | set |
| --- | --- | --- | --- | --- | --- | --- | --- |
`

const interopFoot = `
Where a library is told which algorithms to accept, list the old and the new one before the operator changes
` + "`signing_alg`" + ` or the first of ` + "`signing_algs`" + `, or registers a client with another
(` + "`--client-signing-alg`" + `), and drop the old one when the last old token has expired. The metadata name the new algorithm from
the restart on that announces it, at least ` + "`key_publish_lead`" + ` before a token has it.
`
