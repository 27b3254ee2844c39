package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// TestARefusedOriginIsLogged: who wonders why a page gets no answer finds it at the
// level debug, once for each request, and nothing about a page that may.
func TestARefusedOriginIsLogged(t *testing.T) {
	t.Parallel()
	s := newDeployment(t, "", "--log-level", "debug", "--cors-origins", "https://app.example.com").serve(t)
	for _, origin := range []string{"https://app.example.com", "https://other.example.com"} {
		mustSend(t, "POST", s.url+"/oauth/token", http.Header{"Origin": {origin}, "Content-Type": {formType}}, "grant_type=password")
	}
	eventually(t, "the refused origin is in the log", func() bool { return strings.Contains(s.stderr.String(), `"origin":"https://other.example.com"`) })
	if n := strings.Count(s.stderr.String(), "see cors_origins"); n != 1 {
		t.Errorf("%d lines about origins, want 1", n)
	}
}
