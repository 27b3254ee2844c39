//go:build interop

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/dpop/dpoptest"
)

// TestF8_ThePagesResourceServers attacks the examples of docs/resource-servers.md, which
// TestSnippets runs as a reader would: each takes the tokens that are for it, and
// refuses an ID token, one that is bound to a key as a bearer's, and what is no proof.
func TestF8_ThePagesResourceServers(t *testing.T) {
	t.Parallel()
	pages := pagesWithSnippets(t)
	p := pages[slices.IndexFunc(pages, func(p *page) bool { return p.name == resourceServersPage })]
	d := p.demo(t)
	w := d.wares(t)
	var attacked []string
	for _, s := range p.snippets {
		name, attack := d.attackOn(s)
		if attack == nil {
			continue
		}
		attacked = append(attacked, name)
		t.Run(name, func(t *testing.T) { attack(t, w, s.text) })
	}
	slices.Sort(attacked)
	want := []string{"Express", "Go", "Go, proofs", "Node.js", "Python", "Python, proofs", "Ruby"}
	if !slices.Equal(attacked, want) {
		t.Errorf("the page has the examples %q; want %q", attacked, want)
	}
}

// attackOn is how an example of a resource server is attacked, if the block is one.
func (d *demo) attackOn(s snippet) (name string, attack func(*testing.T, *wares, string)) {
	has := func(text string) bool { return strings.Contains(s.text, text) }
	switch {
	case s.language == "js" && has("createServer"):
		return "Node.js", func(t *testing.T, w *wares, text string) {
			r := d.listen(t, text)
			c := checker{r.url + "/orders", window{90 * time.Second, 30 * time.Second}, true, true}
			w.attack(t, c, r.clock.now())
			d.everyAlgorithm(t, c.url)
			w.outlast(t, r, c)
		}
	case s.language == "js" && has("express()"):
		return "Express", func(t *testing.T, w *wares, text string) {
			r := d.listen(t, text)
			c := checker{r.url + "/orders", window{60 * time.Second, 30 * time.Second}, true, false}
			w.attack(t, c, r.clock.now())
			w.outlast(t, r, c)
		}
	case s.language == "python" && has("ACCESS_TOKEN"):
		return "Python", func(t *testing.T, w *wares, text string) { d.presentAll(t, w, "/usr/bin/python3", "-c", text) }
	case s.language == "ruby":
		return "Ruby", func(t *testing.T, w *wares, text string) { d.presentAll(t, w, "/usr/bin/ruby", "-e", text) }
	case s.language == "go" && has("ACCESS_TOKEN"):
		return "Go", func(t *testing.T, w *wares, text string) {
			d.presentAll(t, w, buildGo(t, map[string]string{"main.go": text}))
		}
	case s.language == "python":
		return "Python, proofs", func(t *testing.T, w *wares, text string) {
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "proof.py"), text)
			writeFile(t, filepath.Join(dir, "drive.py"), driverInPython)
			checkProofs(t, w, "/usr/bin/python3", filepath.Join(dir, "drive.py"))
		}
	case s.language == "go":
		return "Go, proofs", func(t *testing.T, w *wares, text string) {
			checkProofs(t, w, buildGo(t, map[string]string{"proof.go": text, "main.go": driverInGo}))
		}
	}
	return "", nil
}

// wares are tokens of the demo's issuer.
func (d *demo) wares(t *testing.T) *wares {
	t.Helper()
	add := func(id, audience string) (by credentials) {
		t.Helper()
		out, err := d.shell.run(t, fmt.Sprintf("keyturn clients add %s --grant password --scope 'openid email' --audience %s --output json", id, audience), "")
		var made struct {
			ID     string `json:"client_id"`
			Secret string `json:"client_secret"`
		}
		if err != nil || unmarshal(out, &made) != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return credentials{made.ID, made.Secret}
	}
	return buy(t, d.server, d.url, add("buyer", api), add("elsewhere", billing), add(api, billing),
		"grant_type", "password", "username", d.email, "password", d.password, "scope", "openid email")
}

// variable is one of the readers' environment.
func (d *demo) variable(name string) string {
	for _, pair := range slices.Backward(d.environ) {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

// everyAlgorithm has a resource server take proofs of all keys that clients have.
func (d *demo) everyAlgorithm(t *testing.T, url string) {
	t.Helper()
	for _, alg := range []string{"ES256", "EdDSA", "Ed25519", "RS256", "PS256"} {
		w := &wares{holder: dpoptest.New(t, alg)}
		proof := w.holder.Prove(t, dpoptest.For("POST", d.url+"/oauth/token"))
		by := credentials{d.variable("CLIENT_ID"), d.variable("CLIENT_SECRET")}
		var got tokens
		mustSend(t, "POST", d.url+"/oauth/token", http.Header{"Content-Type": {formType}, "Authorization": {basic(by)}, "Dpop": {proof}},
			values("grant_type", "password", "username", d.email, "password", d.password).Encode()).decode(t, &got)
		w.bound = got.AccessToken
		proof = w.holder.Prove(t, w.good(url, time.Now()))
		if a := mustSend(t, "GET", url, http.Header{"Authorization": {"DPoP " + w.bound}, "Dpop": {proof}}, ""); a.status != http.StatusOK {
			t.Errorf("a proof by a key of %s: status %d", alg, a.status)
		}
	}
}

// outlast presents a proof from ahead of the checker's time once more when it is nearly
// too old: the checker has to know it still.
func (w *wares) outlast(t *testing.T, r *running, c checker) {
	t.Helper()
	made := r.clock.now().Add(c.ahead - 5*time.Second)
	present := func(proof string) int {
		t.Helper()
		return mustSend(t, "GET", c.url, http.Header{"Authorization": {"DPoP " + w.bound}, "Dpop": {proof}}, "").status
	}
	first := w.holder.Prove(t, w.good(c.url, made))
	if status := present(first); status != http.StatusOK {
		t.Errorf("a proof from ahead: status %d", status)
	}
	r.clock.advance(t, c.ahead+c.behind-20*time.Second)
	if status := present(first); status == http.StatusOK {
		t.Error("a proof counts again before its iat is too old")
	}
	if status := present(w.holder.Prove(t, w.good(c.url, made))); status != http.StatusOK {
		t.Errorf("another proof of that time: status %d", status)
	}
}

// presentAll runs an example on every token that is presented as a bearer's.
func (d *demo) presentAll(t *testing.T, w *wares, name string, args ...string) {
	t.Helper()
	for _, b := range w.bearers() {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Env = append(slices.Clone(d.environ), "ACCESS_TOKEN="+b.token)
		var told, why strings.Builder
		cmd.Stdout, cmd.Stderr = &told, &why
		err := cmd.Run()
		switch {
		case b.taken && (err != nil || strings.TrimSpace(told.String()) != d.uid):
			t.Errorf("%s is refused: %v, %s %s", b.name, err, told.String(), why.String())
		case !b.taken && (err == nil || told.String() != "" || !strings.Contains(why.String(), "401")):
			t.Errorf("%s is not refused with 401: %v, %s %s", b.name, err, told.String(), why.String())
		}
	}
}

// asked is a question to a driver, which calls an example's function for each and answers
// in a line.
type asked struct {
	Claims map[string]any `json:"claims"`
	JKT    string         `json:"jkt"`
	Token  string         `json:"token"`
	Proof  string         `json:"proof"`
	Method string         `json:"method"`
	URL    string         `json:"url"`
}

// checkProofs has an example's function look at proofs.
func checkProofs(t *testing.T, w *wares, driver string, args ...string) {
	t.Helper()
	const url = "https://api.example.com/orders"
	key := w.holder.Thumbprint(t)
	bound := map[string]any{"sub": "ada", "cnf": map[string]string{"jkt": key}}
	const minute = time.Minute
	attacks := append(w.proofs(t, url, window{minute, minute}, time.Now()),
		proving{"a jti that is a number", w.numbered(t, url, time.Now()), toRefuse},
		proving{"an iat that is no whole number", w.holder.Prove(t, dpoptest.With(w.good(url, time.Now()), "iat", float64(time.Now().Unix())+0.5)), toRefuse})
	var questions strings.Builder
	encoder := json.NewEncoder(&questions)
	put := func(claims map[string]any, jkt, proof string) {
		t.Helper()
		if err := encoder.Encode(asked{claims, jkt, w.bound, proof, "GET", url}); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range attacks {
		put(bound, key, p.proof)
	}
	for _, cnf := range []any{nil, "x", map[string]string{}} {
		proof := w.holder.Prove(t, w.good(url, time.Now()))
		put(dpoptest.With(bound, "cnf", cnf), "", proof)
		attacks = append(attacks, proving{fmt.Sprintf("a token with the cnf %v", cnf), proof, toRefuse})
	}
	cmd := exec.CommandContext(t.Context(), driver, args...)
	cmd.Stdin = strings.NewReader(questions.String())
	var told, why strings.Builder
	cmd.Stdout, cmd.Stderr = &told, &why
	if err := cmd.Run(); err != nil {
		t.Errorf("%v\n%s", err, why.String())
	}
	answers := strings.Fields(told.String())
	for i, p := range attacks {
		want := "refused"
		if p.verdict == toTake {
			want = fmt.Sprint(iatOf(t, p.proof) + 60)
		}
		if i >= len(answers) {
			t.Fatalf("%s has no answer", p.name)
		}
		if answers[i] != want {
			t.Errorf("%s: %s; want %s", p.name, answers[i], want)
		}
	}
}

// iatOf is when a proof says that it was made.
func iatOf(t *testing.T, proof string) int64 {
	t.Helper()
	var claims struct{ IAT int64 }
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(proof, ".")[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		t.Fatalf("%q: %v", payload, err)
	}
	return claims.IAT
}

// buildGo builds a program with the modules of the clients.
func buildGo(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	copyGoModule(t, dir)
	for name, text := range files {
		writeFile(t, filepath.Join(dir, name), text)
	}
	if err := runIn(dir, "go", "build", "-o", "example", "."); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "example")
}

const driverInPython = `import json
import sys

import proof

seen = set()
for line in sys.stdin:
    ask = json.loads(line)
    try:
        name, until = proof.check(ask["claims"], ask["token"], ask["proof"], ask["method"], ask["url"])
    except proof.Refused:
        print("refused")
        continue
    print("refused" if name in seen else until)
    seen.add(name)
`

const driverInGo = `package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	seen := map[string]bool{}
	for d := json.NewDecoder(os.Stdin); d.More(); {
		var ask struct{ JKT, Token, Proof, Method, URL string }
		if err := d.Decode(&ask); err != nil {
			panic(err)
		}
		name, until, err := checkProof(ask.JKT, ask.Token, ask.Proof, ask.Method, ask.URL)
		if err != nil || seen[name] {
			fmt.Println("refused")
			continue
		}
		seen[name] = true
		fmt.Println(until.Unix())
	}
}
`
