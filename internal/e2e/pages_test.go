//go:build interop

package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPagesInABrowser has people log in, sign up, change passwords and end sessions in
// Chromium, and axe-core look at every page on the way, in a brand whose colour nobody
// could read.
func TestPagesInABrowser(t *testing.T) {
	t.Parallel()
	flags, letters := letterHook(t)
	mailbox := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for m := range letters {
			if link := tokenInLetter.FindStringSubmatch(m.Text); link != nil {
				_, _ = io.WriteString(w, link[1])
				return
			}
		}
	}))
	defer mailbox.Close()
	d := newDeployment(t, "", flags...)
	logo := filepath.Join(d.dir, "logo.svg")
	if err := os.WriteFile(logo, []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle cx="4" cy="4" r="4" fill="#fc0"/></svg>`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := stock(t, d)
	s.server = d.prepare(t, "", "--page-name", "Analytical Engines", "--page-logo-file", logo, "--page-color", "#ffcc00", "--page-dark-color", "#333333",
		"--page-privacy-url", "https://example.com/privacy", "--page-terms-url", "https://example.com/terms", "--page-support-url", "mailto:help@example.com")
	s.issuer = strings.Replace(s.url, "127.0.0.1", "localhost", 1) // passkeys are of hosts with a name
	s.server.args = append(s.server.args, "--issuer", s.issuer)
	s.server.start(t)
	d.addClient(t, "wiki", "--name", "The wiki", "--third-party", "--grant", "authorization_code", "--redirect-uri", s.issuer+"/account", "--scope", "openid email read:things")
	var got struct{ Wrong, Seen []string }
	r := s.request(s.public)
	r.Mailbox = mailbox.URL
	ask(t, r, &got, "node", filepath.Join("clients", "node", "pages.mjs"))
	for _, wrong := range got.Wrong {
		t.Error(wrong)
	}
	for _, page := range templatesOfPages(t) {
		if page != "frame" && page != "post" && !slices.Contains(got.Seen, page) {
			t.Errorf("nobody looked at the page %s: %v", page, got.Seen)
		}
	}
}

func templatesOfPages(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "pages", "templates", "*.html"))
	if err != nil || len(files) < 8 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".html"))
	}
	return names
}

// TestAnApplicationInABrowser has oidc-client-ts log a user in from a page of another
// site, knowing the issuer alone, and renew by refresh token. A hidden frame, which gets
// no cookie there, is told that the user has to log in. openid-client pushes its requests
// to the same server.
func TestAnApplicationInABrowser(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	origin := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	d := newDeployment(t, "")
	s := openShop(t, d, "--cors-origins", origin)
	by := d.addClient(t, "spa", "--public", "--grant", "authorization_code", "--grant", "refresh_token", "--redirect-uri", origin+"/callback",
		"--scope", "openid email profile")
	node := filepath.Join("clients", "node")
	for pattern, file := range map[string][2]string{
		"GET /{$}":      {"text/html", filepath.Join(node, "oidc-page.html")},
		"GET /callback": {"text/html", filepath.Join(node, "oidc-page.html")},
		"GET /oidc.js":  {"text/javascript", filepath.Join(node, "node_modules", "oidc-client-ts", "dist", "browser", "oidc-client-ts.min.js")},
	} {
		text := readFile(t, file[1])
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", file[0])
			_, _ = w.Write([]byte(text))
		})
	}
	r := s.request(by)
	mux.HandleFunc("GET /ask", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": s.issuer, "client_id": by.id})
	})
	var met struct {
		Email, Name, Sub, Frame, Error string
		Renewed                        bool
	}
	ask(t, r, &met, "node", filepath.Join(node, "oidc-page.mjs"), origin+"/")
	if met.Error != "" || met.Email != email || met.Name != "Ada Lovelace" || met.Sub != s.uid || !met.Renewed || met.Frame != "login_required" {
		t.Errorf("the page met %+v", met)
	}

	pusher := d.addClient(t, "pusher", "--grant", "authorization_code", "--redirect-uri", "http://127.0.0.1/callback", "--scope", "openid email",
		"--require-pushed-authorization-requests")
	var got struct {
		Members             []string
		Sub, Plain, Refused string
		Again               int
	}
	ask(t, s.request(pusher), &got, "node", filepath.Join(node, "par.mjs"))
	if !slices.Equal(got.Members, []string{"client_id", "request_uri"}) || got.Sub != s.uid || got.Again != 400 || got.Plain != "invalid_request" || got.Refused != "invalid_scope" {
		t.Errorf("a client that pushes its requests: %+v", got)
	}
}
