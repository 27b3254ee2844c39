// Package layout holds no code, only the test that keeps the direction of the
// imports.
package layout

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/keyturn/keyturn/"

// allowed says, for each package, which packages of this module it may import
// and which foreign ones it may not do without. A package that is not listed
// here fails the test: decide where it belongs.
var allowed = map[string]struct{ own, foreign []string }{
	"internal/audit":            {},
	"internal/audit/line":       {own: []string{"internal/audit"}, foreign: []string{"github.com/google/uuid"}},
	"internal/audit/log":        {own: []string{"internal/audit", "internal/audit/line"}, foreign: []string{"github.com/leodido/go-syslog/", "golang.org/x/sys/unix"}},
	"internal/audit/verify":     {own: []string{"internal/audit", "internal/audit/line", "internal/jws"}, foreign: []string{"github.com/go-jose/", "github.com/klauspost/compress/"}},
	"internal/audit/syslogtest": {foreign: []string{"github.com/leodido/go-syslog/"}},
	"internal/audit/audittest":  {own: []string{"internal/audit", "internal/audit/"}, foreign: []string{"github.com/go-jose/"}},
	"internal/audit/report":     {own: []string{"internal/audit", "internal/audit/line", "internal/audit/verify"}},
	"internal/problem":          {own: []string{"docs", "internal/audit", "internal/dpop", "internal/refusal", "internal/strictjson"}},
	"internal/strictjson":       {},
	"internal/base64url":        {},
	"internal/refusal":          {own: []string{"internal/audit"}},
	"internal/jws":              {own: []string{"internal/base64url", "internal/strictjson"}, foreign: []string{"github.com/go-jose/"}},
	"internal/dpop":             {own: []string{"internal/audit", "internal/base64url", "internal/jws", "internal/refusal", "internal/strictjson", "keys"}, foreign: []string{"github.com/go-jose/"}},
	"internal/config":           {own: []string{"internal/clients", "internal/clientip", "internal/passwords", "internal/store/mongodb", "keys", "oauth", "users"}, foreign: []string{"github.com/spf13/pflag", "go.yaml.in/yaml"}},
	"internal/clientip":         {foreign: []string{"github.com/pires/go-proxyproto"}},
	"internal/dpop/dpoptest":    {foreign: []string{"github.com/go-jose/"}},
	"internal/layout":           {},
	"internal/steady":           {},
	"internal/mail":             {own: []string{"internal/messages", "internal/outbox", "keys"}, foreign: []string{"github.com/google/uuid"}},
	"internal/mail/transport":   {own: []string{"internal/mail", "internal/outbox"}, foreign: []string{"github.com/wneessen/go-mail"}},
	"internal/mail/mailtest":    {},
	"internal/messages":         {foreign: []string{"golang.org/x/text"}},
	"internal/outbox":           {own: []string{"internal/audit"}, foreign: []string{"github.com/google/uuid"}},
	"internal/listing":          {},
	"internal/devices":          {own: []string{"internal/audit"}},
	"internal/factors":          {foreign: []string{"github.com/go-webauthn/"}},
	"internal/model":            {},
	"docs":                      {},
	"internal/decision":         {own: []string{"internal/audit", "internal/refusal"}, foreign: []string{"github.com/google/uuid"}},
	"internal/doctor":           {own: []string{"keys"}},
	"keys":                      {own: []string{"internal/audit", "internal/base64url", "internal/decision"}, foreign: []string{"github.com/go-jose/", "golang.org/x/crypto"}},
	"users": {
		own:     []string{"keys", "internal/devices", "internal/mail", "internal/factors", "internal/base64url", "internal/listing", "internal/decision", "internal/audit", "internal/passwords", "internal/problem", "internal/refusal", "internal/strictjson", "internal/throttle"},
		foreign: []string{"golang.org/x/text", "github.com/google/uuid"},
	},
	"internal/passwords": {
		own:     []string{"internal/audit", "internal/refusal"},
		foreign: []string{"golang.org/x/crypto", "golang.org/x/sync", "golang.org/x/sys/unix", "golang.org/x/text"},
	},
	"internal/passwords/passwordstest": {},
	"internal/userfile":                {own: []string{"internal/base64url", "internal/factors", "internal/passwords", "internal/refusal", "internal/strictjson", "users"}, foreign: []string{"golang.org/x/text"}},
	"internal/throttle":                {own: []string{"internal/audit", "internal/refusal"}},
	"wellknown":                        {own: []string{"keys", "internal/problem"}},
	"internal/clients": {
		own:     []string{"internal/base64url", "internal/listing", "internal/decision", "keys", "users", "internal/audit", "internal/jws", "internal/refusal", "internal/strictjson"},
		foreign: []string{"github.com/go-jose/", "code.dny.dev/ssrf"},
	},
	"oauth": {
		own:     []string{"internal/factors", "internal/outbox", "internal/clients", "internal/base64url", "internal/decision", "docs", "keys", "users", "internal/audit", "internal/dpop", "internal/jws", "internal/problem", "internal/refusal", "internal/strictjson"},
		foreign: []string{"github.com/google/uuid"},
	},
	"internal/store":                   {own: []string{"internal/clients", "internal/outbox", "internal/audit", "internal/steady", "internal/throttle", "keys", "oauth", "users"}},
	"internal/store/transfer":          {own: []string{"internal/clients", "internal/outbox", "internal/store", "internal/audit", "keys", "oauth", "users"}},
	"internal/store/inspect":           {own: []string{"internal/clients", "internal/listing", "internal/store", "keys", "oauth", "users"}},
	"internal/store/storetest":         {own: []string{"internal/factors", "internal/clients", "internal/outbox", "internal/decision", "internal/store", "internal/audit", "keys", "oauth", "users"}, foreign: []string{"github.com/google/uuid"}},
	"internal/store/sqlite":            {own: []string{"internal/factors", "internal/clients", "internal/outbox", "internal/decision", "internal/store", "internal/audit", "keys", "oauth", "users"}, foreign: []string{"modernc.org/sqlite"}},
	"internal/store/mongodb":           {own: []string{"internal/factors", "internal/clients", "internal/outbox", "internal/decision", "internal/store", "internal/audit", "keys", "oauth", "users"}, foreign: []string{"go.mongodb.org/mongo-driver/v2"}},
	"internal/store/mongodb/mongotest": {foreign: []string{"go.mongodb.org/mongo-driver/v2", "github.com/google/uuid"}},
	"internal/firstparty":              {own: []string{"internal/factors", "internal/clients", "internal/decision", "internal/audit", "internal/problem", "internal/refusal", "oauth", "users"}},
	"internal/pages":                   {own: []string{"internal/devices", "internal/messages", "internal/factors", "internal/clients", "internal/decision", "internal/audit", "internal/problem", "internal/refusal", "oauth", "users"}, foreign: []string{"golang.org/x/text", "rsc.io/qr"}},
	"internal/server": {
		own:     []string{"docs", "internal/firstparty", "internal/pages", "internal/audit", "internal/clientip", "internal/problem", "oauth", "wellknown"},
		foreign: []string{"github.com/gorilla/mux", "github.com/rs/", "github.com/prometheus/client_golang", "github.com/google/uuid"},
	},
	"internal/e2e": {own: []string{"internal/model", "internal/store/mongodb/mongotest"}, foreign: []string{"github.com/go-jose/"}},
	"cmd/keyturn": {
		own:     []string{"clients", "docs", "internal/", "keys", "oauth", "users", "wellknown"},
		foreign: []string{"github.com/google/uuid", "github.com/spf13/", "github.com/rs/zerolog", "github.com/go-jose/", "golang.org/x/term"},
	},
}

func TestImportsRunOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; seen++ {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		rule, known := allowed[name]
		if !known {
			t.Errorf("package %s has no rule", name)
			continue
		}
		for _, path := range p.Imports {
			own, isOwn := strings.CutPrefix(path, module)
			switch {
			case isOwn && !isOf(own, rule.own):
				t.Errorf("%s imports %s, which stands above it or beside it", name, own)
			case !isOwn && strings.Contains(strings.SplitN(path, "/", 2)[0], ".") && !hasPrefix(path, rule.foreign):
				t.Errorf("%s imports %s, which is not its business", name, path)
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d packages seen", seen)
	}
}

// TestDomainBringsNoMachinery follows every import of the domain packages, on
// each platform that they build for: no store, driver, router, sink of the audit
// log or command line is behind them, and none of them lacks files there.
func TestDomainBringsNoMachinery(t *testing.T) {
	machinery := []string{module + "internal/store", module + "internal/server", module + "internal/config", module + "internal/audit/log",
		"github.com/gorilla/", "github.com/rs/", "github.com/spf13/", "github.com/leodido/", "github.com/klauspost/",
		"github.com/prometheus/", "go.mongodb.org/", "modernc.org/", "net/http/pprof"}
	for _, platform := range []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64"} {
		system, machine, _ := strings.Cut(platform, "/")
		cmd := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}}", module+"keys", module+"users", module+"internal/clients", module+"oauth", module+"wellknown")
		cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+machine, "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: go list: %v\n%s", platform, err, out)
		}
		seen := 0
		for path := range strings.Lines(string(out)) {
			seen++
			if path = strings.TrimSpace(path); hasPrefix(path, machinery) {
				t.Errorf("%s: the domain brings %s with it", platform, path)
			}
		}
		if seen < 100 {
			t.Errorf("%s: only %d packages seen", platform, seen)
		}
	}
}

// TestBinaryLinksNoModel holds the program to what internal/model says of itself.
func TestBinaryLinksNoModel(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", module+"cmd/keyturn").Output()
	if err != nil {
		t.Fatal(err)
	}
	if list := strings.Fields(string(out)); len(list) < 100 || slices.Contains(list, module+"internal/model") {
		t.Errorf("the model is among the %d packages of the program, or they are too few", len(list))
	}
}

// mostLines is how many lines a package may have, tests apart, without saying in
// the first sentence of its comment why it is one idea.
const mostLines = 2500

func TestLargePackagesAreOneIdea(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=Dir,ImportPath,Doc,GoFiles", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			Dir, ImportPath, Doc string
			GoFiles              []string
		}
		if err := dec.Decode(&p); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		lines := 0
		for _, file := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			lines += strings.Count(string(text), "\n")
		}
		if lines > mostLines && !strings.Contains(p.Doc, "one idea") && !strings.HasSuffix(p.ImportPath, "internal/store/storetest") {
			t.Errorf("%s has %d lines; make it less, or say in its first sentence why it is one idea: %q", p.ImportPath, lines, p.Doc)
		}
	}
}

// isOf reports whether a package of this module is one of those listed; an entry
// that ends in a slash stands for all below it.
func isOf(path string, listed []string) bool {
	return slices.ContainsFunc(listed, func(l string) bool { return path == l || strings.HasSuffix(l, "/") && strings.HasPrefix(path, l) })
}

func hasPrefix(path string, prefixes []string) bool {
	for _, p := range prefixes {
		if path == p || strings.HasPrefix(path, p) && (strings.HasSuffix(p, "/") || strings.HasPrefix(path[len(p):], "/")) {
			return true
		}
	}
	return false
}
