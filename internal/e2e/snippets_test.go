//go:build interop

package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestSnippets runs what the pages say, block by block, against serve --dev. A
// block marked console is for another place than where that serves: it is run
// in one of its own, as stages has it, or said there not to be.
func TestSnippets(t *testing.T) {
	t.Parallel()
	pages := pagesWithSnippets(t)
	checkStages(t, pages)
	for _, p := range pages {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			for i, s := range p.snippets {
				if out, err := p.run(t, s); err != nil {
					t.Fatalf("block %d of %s:\n%s\n%v\n%s", i+1, p.name, s.text, err, out)
				}
			}
		})
	}
}

// page is a page of the documents.
type page struct {
	name     string
	snippets []snippet
	// server is what its blocks talk to, once one does.
	server *demo
}

// snippet is one fenced block of a page.
type snippet struct{ language, text string }

var fence = regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$")

// anyFence is what readers see a block in, also where fence does not.
var anyFence = regexp.MustCompile("(?m)^[ \t>]*(```|~~~)")

// detectionPage has a test of its own, which runs its queries on a log made for
// them and compares what they find with what the page shows.
const detectionPage = "docs/detection.md"

// resourceServersPage is run against a server whose clock is ahead of its readers'
// by less than they are told to allow.
const resourceServersPage = "docs/resource-servers.md"

// pagesWithSnippets are all other pages that have any.
func pagesWithSnippets(t *testing.T) []*page {
	t.Helper()
	var pages []*page
	for name, text := range filesOf(t, ".md") {
		p := &page{name: name}
		for _, m := range fence.FindAllStringSubmatch(text, -1) {
			p.snippets = append(p.snippets, snippet{m[1], m[2]})
		}
		if fences := len(anyFence.FindAllString(text, -1)); fences != 2*len(p.snippets) {
			t.Errorf("%s has a block without a language, or not at the margin", p.name)
		}
		if len(p.snippets) > 0 && p.name != detectionPage {
			pages = append(pages, p)
		}
	}
	return pages
}

// blockOf is the one block of a page in docs that has a text.
func blockOf(t *testing.T, page, has string) string {
	t.Helper()
	var found []string
	for _, m := range fence.FindAllStringSubmatch(readFile(t, filepath.Join("..", "..", "docs", page)), -1) {
		if strings.Contains(m[2], has) {
			found = append(found, m[2])
		}
	}
	if len(found) != 1 {
		t.Fatalf("docs/%s has %d blocks with %q; want one", page, len(found), has)
	}
	return found[0]
}

// filesOf are the repository's files whose names end so: path and content.
func filesOf(t *testing.T, suffix string) map[string]string {
	t.Helper()
	root, found := filepath.Join("..", ".."), map[string]string{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != root && (e.Name() == "node_modules" || strings.HasPrefix(e.Name(), ".")):
			return fs.SkipDir
		case e.IsDir() || !strings.HasSuffix(path, suffix):
			return nil
		}
		name, err := filepath.Rel(root, path)
		found[filepath.ToSlash(name)] = readFile(t, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// run runs a block. Variables that a shell sets are there in those after it.
func (p *page) run(t *testing.T, s snippet) (string, error) {
	t.Helper()
	if at := p.stagesOf(s); len(at) > 0 {
		if at[0].cannot != "" {
			t.Logf("%s: the block with %q is not run: %s", p.name, at[0].has, at[0].cannot)
			return "", nil
		}
		return p.on(t, at[0], s.text)
	}
	const before = `set -euo pipefail; if [ -e "$DIR/.variables" ]; then . "$DIR/.variables"; fi; set -a
`
	const after = "\nset +a; export -p > \"$DIR/.variables\"\n"
	switch s.language {
	case "json":
		return "", json.Unmarshal([]byte(s.text), new(any))
	case "rsyslog":
		return "", nil // TestA2_RsyslogIsKilled runs it
	case "toml":
		return contained(t, s.text, filepath.Join("clients", "oauth2-proxy.cfg"))
	case "apache":
		config := "login.conf"
		if p.name == resourceServersPage {
			config = "httpd.conf"
		}
		return contained(t, s.text, filepath.Join("clients", "apache", config))
	}
	d := p.demo(t)
	text := strings.NewReplacer(d.ports...).Replace(s.text)
	switch s.language {
	case "sh":
		// It is run by bash for the option pipefail, and any shell can read it.
		if out, err := d.shell.run(t, "/bin/sh -n", text); err != nil {
			return out, err
		}
		return d.shell.run(t, before+text+after, "")
	case "js":
		if port := listens.FindStringSubmatch(text); port != nil {
			here := strings.TrimPrefix(d.listen(t, text).url, "http://127.0.0.1:")
			d.ports = append(d.ports, port[1], here)
			return "", nil
		}
		return shell{filepath.Join("clients", "node"), d.environ}.run(t, before+"node --input-type=module -", text)
	case "python":
		return d.verifies(text)(d.shell.run(t, before+"/usr/bin/python3 -", text))
	case "ruby":
		return d.verifies(text)(d.shell.run(t, before+"/usr/bin/ruby -", text))
	case "go":
		return d.verifies(text)(d.runGo(t, before, text))
	case "console":
		return "", fmt.Errorf("a block for another place, which stages does not name")
	}
	return "", fmt.Errorf("a block in %q, which nothing runs", s.language)
}

// demo is a server started with --dev, the environment of its readers, and its user.
type demo struct {
	*server
	shell
	uid, email, password string
	// ports are those that servers of the page name, each before the one that it has here.
	ports []string
	// goDir is where the page's files in Go are.
	goDir string
}

// demo starts the page's server when its first block wants it.
func (p *page) demo(t *testing.T) *demo {
	t.Helper()
	if p.server != nil {
		return p.server
	}
	address := freePort(t)
	s := &server{url: "http://" + address, args: []string{"serve", "--dev", "--listen", address, "--admin-listen", "off"}}
	if p.name == resourceServersPage {
		ahead := newWrongClock(t, "20s")
		s.program, s.launch = ahead.program, ahead.launch
	}
	p.server = startDemo(t, s)
	return p.server
}

// startDemo starts a server that is to make what it needs, and reads what that is.
func startDemo(t *testing.T, s *server) *demo {
	t.Helper()
	d := &demo{server: s}
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
	d.uid, d.email, d.password = who.Subject, login.Email, login.Password
	d.environ = append(bareEnviron(), "ISSUER="+d.url, "CLIENT_ID="+login.ClientID, "CLIENT_SECRET="+login.ClientSecret,
		"EMAIL="+login.Email, "PASSWORD="+login.Password, "DIR="+d.dir, path(binaries))
	return d
}

// shell is where scripts are run.
type shell struct {
	dir     string
	environ []string
}

// listens is where a server of a page says at which port.
var listens = regexp.MustCompile(`\.listen\((\d+), `)

// listen starts a server of a page at a free port, with a clock of its own.
func (d *demo) listen(t *testing.T, text string) *running {
	t.Helper()
	address := freePort(t)
	_, port, _ := strings.Cut(address, ":")
	r := newRunning(t, address)
	r.cmd = exec.Command("node", "--input-type=module", "-")
	r.cmd.Dir = filepath.Join("clients", "node")
	r.cmd.Stdin = strings.NewReader(strings.ReplaceAll(text, listens.FindStringSubmatch(text)[1], port))
	r.launch(t, slices.Concat(d.environ, fakeTime(t, r.clock)))
	r.up(t)
	return r
}

// path is the environment's PATH with directories before it.
func path(dirs ...string) string {
	return "PATH=" + strings.Join(append(dirs, os.Getenv("PATH")), ":")
}

// run runs a script with all that it starts, and ends what it leaves running.
func (s shell) run(t *testing.T, script, stdin string) (string, error) {
	t.Helper()
	// A file, since a pipe would be waited for until the last process let go.
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		return "", err
	}
	defer out.Close()
	cmd := exec.Command("/bin/bash", "-c", script)
	cmd.Dir, cmd.Env, cmd.Stdin = s.dir, s.environ, strings.NewReader(stdin)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	err = cmd.Wait()
	// With nothing left of the group there is nothing to end.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	return readFile(t, out.Name()), err
}

// stays starts a script that goes on until the test ends, and returns what it prints.
func (s shell) stays(t *testing.T, script string) *logBuffer {
	t.Helper()
	var out logBuffer
	cmd := exec.Command("/bin/bash", "-c", "set -euo pipefail\n"+script)
	cmd.Dir, cmd.Env = s.dir, s.environ
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("%s\nprinted\n%s", script, out.String())
		}
	})
	return &out
}

// verifies has an example of a resource server print whose token it was. A module in
// Python prints nothing.
func (d *demo) verifies(text string) func(out string, err error) (string, error) {
	want := d.uid
	if strings.Contains(text, "\ndef check(") {
		want = ""
	}
	return func(out string, err error) (string, error) {
		if err == nil && strings.TrimSpace(out) != want {
			err = fmt.Errorf("it printed %q; want %q", out, want)
		}
		return out, err
	}
}

// runGo runs a program with the modules of the clients, and with the files of the page
// that stand beside it.
func (d *demo) runGo(t *testing.T, before, text string) (string, error) {
	if d.goDir == "" {
		d.goDir = t.TempDir()
		copyGoModule(t, d.goDir)
	}
	name := "main.go"
	if !strings.Contains(text, "\nfunc main()") {
		name = "beside.go"
	}
	writeFile(t, filepath.Join(d.goDir, name), text)
	return shell{d.goDir, d.environ}.run(t, before+"go run .", "")
}

// copyGoModule makes a directory a module with what the clients in Go import.
func copyGoModule(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"go.mod", "go.sum"} {
		writeFile(t, filepath.Join(dir, name), readFile(t, filepath.Join("clients", "go", name)))
	}
}

// contained looks up each line of a configuration in one that another test
// runs.
func contained(t *testing.T, text, path string) (string, error) {
	whole := strings.NewReplacer("${ISSUER}", "https://login.example.com", "${ISSUER_HOST}", "login.example.com", "${AUDIENCE}", "https://api.example.com",
		"${URL}", "https://handbook.example.com", "${CLIENT_ID}", "handbook", "${CLIENT_SECRET}", "kt_cs_…", "${EMAIL}", "ada@example.com", "${DIR}", "/etc/oauth2-proxy").Replace(readFile(t, path))
	for line := range strings.Lines(text) {
		if !strings.Contains(whole, line) {
			return "", fmt.Errorf("%s has no line %q", path, line)
		}
	}
	return "", nil
}
