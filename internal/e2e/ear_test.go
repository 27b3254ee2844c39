//go:build interop

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// ear stands before an application where the server tells it of ends, and remembers
// what the application said to each logout token.
type ear struct {
	url     string
	mu      sync.Mutex
	answers []int
}

func newEar(t *testing.T, application string) *ear {
	t.Helper()
	to, err := url.Parse(application)
	if err != nil {
		t.Fatal(err)
	}
	e := &ear{}
	s := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(res *http.Response) error {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.answers = append(e.answers, res.StatusCode)
			return nil
		},
	})
	t.Cleanup(s.Close)
	e.url = s.URL
	return e
}

// tookAll waits until the application, if it can be told, was told of the end of every
// session that it began, and returns an error unless it took every logout token.
func (a *opened) tookAll() error {
	if a.ear == nil {
		return nil
	}
	return again("it is told of every end", func() (bool, error) {
		a.ear.mu.Lock()
		defer a.ear.mu.Unlock()
		for _, status := range a.ear.answers {
			// Some frameworks make a 204 of §2.8's 200.
			if status != http.StatusOK && status != http.StatusNoContent {
				return true, fmt.Errorf("it answered logout tokens by %v", a.ear.answers)
			}
		}
		n, began := len(a.ear.answers), a.logins.Load()
		if int64(n) < began {
			return false, fmt.Errorf("it was told of %d ends, of %d sessions", n, began)
		}
		return true, nil
	})
}
