package e2e

import (
	"crypto/tls"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// front is the proxy that ends TLS before a server, as in production. It loses
// the first good answer to each refresh token: the request arrives, is carried
// out, and the connection breaks before the answer is there.
type front struct {
	url  string
	pass *httputil.ReverseProxy

	mu sync.Mutex
	// backend is the server behind; empty until there is one.
	backend string
	lost    map[string]bool
	// extra are documents that the front serves beside, by path.
	extra map[string]string
	// keeps has it lose nothing.
	keeps bool
	// keySets counts the requests for the key set.
	keySets atomic.Int64
}

// newFront opens a front; lead tells it the server when that is known.
func newFront(t *testing.T) *front {
	t.Helper()
	f := &front{lost: map[string]bool{}, extra: map[string]string{}}
	f.pass = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		backend, err := url.Parse(f.behind())
		if err != nil {
			t.Error(err)
			return
		}
		r.SetURL(backend)
		r.SetXForwarded()
	}}
	l, err := net.Listen("tcp", freePort(t))
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: f}, TLS: &tls.Config{Certificates: []tls.Certificate{trust.certificate}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	f.url = "https://" + l.Addr().String()
	return f
}

// lead has the front pass requests on to a server.
func (f *front) lead(backend string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.backend = backend
}

func (f *front) behind() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.backend
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if document, ok := f.document(r.URL.Path); ok {
		_, _ = io.WriteString(w, document)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/.well-known/") {
		// A connection that is kept would hold back a clock that is set.
		w.Header().Set("Connection", "close")
	}
	if r.URL.Path == "/.well-known/jwks.json" {
		f.keySets.Add(1)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	if form, err := url.ParseQuery(string(body)); err == nil && f.loses(form.Get("refresh_token")) {
		answer := httptest.NewRecorder()
		f.pass.ServeHTTP(answer, r)
		if answer.Code == http.StatusOK {
			panic(http.ErrAbortHandler)
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
		return
	}
	f.pass.ServeHTTP(w, r)
}

func (f *front) document(path string) (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	document, ok := f.extra[path]
	return document, ok
}

// publish has the front serve a document.
func (f *front) publish(path, document string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.extra[path] = document
}

func (f *front) loses(refreshToken string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if refreshToken == "" || f.keeps || f.lost[refreshToken] {
		return false
	}
	f.lost[refreshToken] = true
	return true
}
