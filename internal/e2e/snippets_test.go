//go:build interop

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// snippet is one fenced block of a page.
type snippet struct{ language, text string }

var fence = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")

func snippets(t *testing.T, page string) []snippet {
	t.Helper()
	var found []snippet
	for _, m := range fence.FindAllStringSubmatch(readFile(t, filepath.Join("..", "..", "docs", page)), -1) {
		found = append(found, snippet{m[1], m[2]})
	}
	if len(found) == 0 {
		t.Fatalf("docs/%s has no snippets", page)
	}
	return found
}

// TestSnippets runs what the pages say, block by block, against serve --dev. A
// block marked console only shows what cannot be run here: a server that stays,
// a cluster, a container.
func TestSnippets(t *testing.T) {
	t.Parallel()
	for _, page := range []string{"quickstart.md", "clients.md", "resource-servers.md", "operating.md", "accounts.md"} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			d := startDemo(t)
			for i, s := range snippets(t, page) {
				if out, err := d.run(t, s); err != nil {
					t.Fatalf("block %d of docs/%s:\n%s\n%v\n%s", i+1, page, s.text, err, out)
				}
			}
		})
	}
}

// demo is a server started with --dev and the environment of its readers.
type demo struct {
	*server
	dir     string
	environ []string
	uid     string
}

func startDemo(t *testing.T) *demo {
	t.Helper()
	address := freePort(t)
	d := &demo{server: &server{url: "http://" + address, args: []string{"serve", "--dev", "--listen", address, "--admin-listen", "off"}}}
	d.start(t)
	d.dir = d.cmd.Dir
	var login struct {
		Email, Password string
		ClientID        string `json:"client_id"`
		ClientSecret    string `json:"client_secret"`
	}
	if err := json.Unmarshal([]byte(readFile(t, filepath.Join(d.dir, "keyturn-dev.json"))), &login); err != nil {
		t.Fatal(err)
	}
	session := d.login(t, credentials{login.ClientID, login.ClientSecret}, login.Email, login.Password)
	var who userInfo
	mustSend(t, "GET", d.url+"/oauth/userinfo", bearer(session.AccessToken), "").decode(t, &who)
	d.uid = who.Subject
	d.environ = append(bareEnviron(), "ISSUER="+d.url, "CLIENT_ID="+login.ClientID, "CLIENT_SECRET="+login.ClientSecret,
		"EMAIL="+login.Email, "PASSWORD="+login.Password, "DIR="+d.dir, "PATH="+binaries+":"+os.Getenv("PATH"))
	return d
}

// run runs a block. Variables that a shell sets are there in those after it.
func (d *demo) run(t *testing.T, s snippet) (string, error) {
	t.Helper()
	const before = `set -euo pipefail; if [ -e "$DIR/.variables" ]; then . "$DIR/.variables"; fi; set -a
`
	const after = "\nset +a; export -p > \"$DIR/.variables\"\n"
	switch s.language {
	case "sh":
		return d.shell(d.dir, before+s.text+after, "")
	case "js":
		return d.shell(filepath.Join("clients", "node"), before+"node --input-type=module -", s.text)
	case "python":
		return d.verifies(d.shell(d.dir, before+"/usr/bin/python3 -", s.text))
	case "ruby":
		return d.verifies(d.shell(d.dir, before+"/usr/bin/ruby -", s.text))
	case "go":
		return d.verifies(d.runGo(t, before, s.text))
	case "apache":
		return contained(t, s.text, filepath.Join("clients", "apache", "httpd.conf"))
	case "json", "console":
		return "", nil
	}
	return "", fmt.Errorf("a block in %q, which nothing runs", s.language)
}

func (d *demo) shell(dir, script, stdin string) (string, error) {
	cmd := exec.Command("/bin/bash", "-c", script)
	cmd.Dir, cmd.Env, cmd.Stdin = dir, d.environ, strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// verifies has an example of a resource server print whose token it was.
func (d *demo) verifies(out string, err error) (string, error) {
	if err == nil && strings.TrimSpace(out) != d.uid {
		err = fmt.Errorf("it printed %q; want %s", out, d.uid)
	}
	return out, err
}

// runGo runs a program with the modules of the clients.
func (d *demo) runGo(t *testing.T, before, program string) (string, error) {
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		writeFile(t, filepath.Join(dir, name), readFile(t, filepath.Join("clients", "go", name)))
	}
	writeFile(t, filepath.Join(dir, "main.go"), program)
	return d.shell(dir, before+"go run .", "")
}

// contained looks up each line of a configuration in one that another test
// runs.
func contained(t *testing.T, text, path string) (string, error) {
	whole := strings.NewReplacer("${ISSUER}", "https://login.example.com", "${AUDIENCE}", "https://api.example.com").Replace(readFile(t, path))
	for line := range strings.Lines(text) {
		if !strings.Contains(whole, line) {
			return "", fmt.Errorf("%s has no line %q", path, line)
		}
	}
	return "", nil
}
