package server_test

import (
	"net/http/httptest"
	"testing"
)

// TestEveryAnswerIsProtected asks every route, and a path that is none, in every
// method: no class of routes forgets what all answers have.
func TestEveryAnswerIsProtected(t *testing.T) {
	w := newWorld(t)
	paths, err := w.server.Paths()
	must(t, err)
	if len(paths) < 10 {
		t.Errorf("only %v were found", paths)
	}
	for _, path := range append(paths, "/no/such/path") {
		for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "BREW"} {
			a := w.serve(httptest.NewRequest(method, path, nil))
			for header, want := range map[string]string{"Strict-Transport-Security": "max-age=63072000", "X-Content-Type-Options": "nosniff"} {
				if got := a.Header().Get(header); got != want {
					t.Errorf("%s %s: %d with %s %q; want %q", method, path, a.Code, header, got, want)
				}
			}
		}
	}
}
