package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/keyturn/keyturn/internal/mail"
)

// TestDoctor looks at a deployment behind a proxy that ends TLS, as an operator
// does, and at one that is not there.
func TestDoctor(t *testing.T) {
	t.Parallel()
	s := openShopBehindFront(t, newDeployment(t, ""))
	var found []struct{ Check, Verdict, Seen, Fix string }
	o := s.run(t, "doctor", "--issuer", s.issuer, "--inside")
	if err := json.Unmarshal([]byte(o.stdout), &found); err != nil || o.code != 0 || len(found) != 14 {
		t.Fatalf("exit code %d, %d findings, %v\n%s%s", o.code, len(found), err, o.stdout, o.stderr)
	}
	for _, f := range found {
		if f.Verdict != "ok" {
			t.Errorf("%s: %s %s", f.Check, f.Verdict, f.Seen)
		}
	}
	events := strings.Count(readFile(t, s.auditLog), "token-refused")
	if events != 0 {
		t.Errorf("the doctor left %d events", events)
	}
	other := openShop(t, newDeployment(t, ""))
	if o := other.run(t, "doctor", "--issuer", s.issuer, "--inside"); o.code != 1 || !strings.Contains(o.stdout, "the issuer does not publish key") {
		t.Errorf("of another deployment's issuer: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	s.stop(t)
	if o := s.run(t, "doctor", "--issuer", s.issuer); o.code != 1 || !strings.Contains(o.stdout, "502") {
		t.Errorf("of a server that is down: exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
}

// TestU4_DoctorSeesAProxyThatAppends: one in a network that is trusted, whose callers'
// header is believed; and nothing where the server trusts nobody's word.
func TestU4_DoctorSeesAProxyThatAppends(t *testing.T) {
	t.Parallel()
	for trusted, want := range map[string]bool{"127.0.0.1": true, "192.0.2.1": false} {
		d := newDeployment(t, "")
		var backend atomic.Pointer[httputil.ReverseProxy]
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { backend.Load().ServeHTTP(w, r) }))
		defer proxy.Close()
		s := d.prepare(t, proxy.URL, "--trusted-proxies", trusted)
		at, err := url.Parse(s.url)
		if err != nil {
			t.Fatal(err)
		}
		backend.Store(httputil.NewSingleHostReverseProxy(at))
		s.start(t)
		for range 2 {
			o := d.run(t, "doctor", "--issuer", proxy.URL)
			if got := strings.Contains(o.stdout, "believes what this machine writes into X-Forwarded-For"); got != want || o.code != 0 {
				t.Errorf("%s is trusted: exit code %d, %s%s", trusted, o.code, o.stdout, o.stderr)
			}
			if warnsOf(t, s.url, "client_address_unreadable") || strings.Contains(s.stderr.String(), "cannot be read") {
				t.Errorf("%s is trusted: the server warns of what the doctor tried", trusted)
			}
		}
		if log := readFile(t, d.auditLog); strings.Contains(log, "refused") {
			t.Errorf("the doctor left events: %s", log)
		}
	}
}

// TestDoctorOfAWebhook: it says whether the webhook can be reached, and sends it nothing.
func TestDoctorOfAWebhook(t *testing.T) {
	t.Parallel()
	hook := hookOf(t, func(m mail.Message) { t.Errorf("sent: %+v", m) })
	s := openShop(t, newDeployment(t, "", hook...))
	if o := s.run(t, "doctor", "--issuer", s.issuer, "--inside"); o.code != 0 || !strings.Contains(o.stdout, "can be reached; nothing was sent") {
		t.Errorf("exit code %d, %s%s", o.code, o.stdout, o.stderr)
	}
	s.settings = append(s.settings, "--mail-webhook-url", "http://127.0.0.1:1/?key=hidden")
	if o := s.run(t, "doctor", "--issuer", s.issuer, "--inside"); o.code != 1 || !strings.Contains(o.stdout, "127.0.0.1:1: ") || strings.Contains(o.stdout+o.stderr, "hidden") {
		t.Errorf("nobody is there: exit code %d, %s%s", o.code, o.stdout, o.stderr)
	}
}
