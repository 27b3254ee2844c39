package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
)

// heardAnswer is what openapicheck reads: one request and its answer.
type heardAnswer struct {
	Name          string
	Method, URL   string
	Header        http.Header
	Status        int
	AnswerHeader  http.Header
	AnswerContent []byte
}

// heard are the answers that the tests got, a few of each kind. They are held
// against docs/openapi.yaml when all tests have passed.
var heard struct {
	sync.Mutex
	kinds     map[string]int
	exchanges []heardAnswer
}

var (
	described   = regexp.MustCompile(`^/(oauth|auth|\.well-known)/[a-z./-]+$|^/(healthz|readyz|openapi\.yaml)$|^/auth/(sessions|grants)/[^/]+$`)
	describedBy = regexp.MustCompile(`^(GET|POST|DELETE)$`)
)

// hear remembers an answer. What is said of every route at once, 405 and 404,
// is not in the description of each.
func hear(method, address string, header http.Header, a answer) {
	const fewOfAKind = 20
	u, err := url.Parse(address)
	if err != nil || !described.MatchString(u.Path) || !describedBy.MatchString(method) ||
		a.status == http.StatusMethodNotAllowed || a.status == http.StatusNotFound || a.header.Get("Server") != "" {
		return
	}
	heard.Lock()
	defer heard.Unlock()
	kind := fmt.Sprint(method, u.Path, a.status)
	if heard.kinds == nil {
		heard.kinds = map[string]int{}
	}
	if heard.kinds[kind]++; heard.kinds[kind] <= fewOfAKind {
		heard.exchanges = append(heard.exchanges, heardAnswer{"e2e", method, address, header.Clone(), a.status, a.header, []byte(a.body)})
	}
}

// checkHeard returns what the validator finds in what was heard.
func checkHeard() error {
	var in bytes.Buffer
	enc := json.NewEncoder(&in)
	for _, x := range heard.exchanges {
		if err := enc.Encode(x); err != nil {
			return err
		}
	}
	description, err := filepath.Abs(filepath.Join("..", "..", "docs", "openapi.yaml"))
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "run", ".", description)
	cmd.Dir = filepath.Join("..", "server", "openapicheck")
	cmd.Stdin = &in
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		return fmt.Errorf("answers are not as docs/openapi.yaml describes them: %v\n%s", err, out)
	}
	return nil
}
