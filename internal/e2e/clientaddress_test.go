package e2e

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestU4_AddressesAsProxiesWriteThem sends what proxies send before the address of
// their client and reads in the audit log whom the server took it for. Where that
// is nobody, the operator is told.
func TestU4_AddressesAsProxiesWriteThem(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "", "--trusted-proxies", "127.0.0.1")
	s := openShop(t, d)
	guess := func(header http.Header) string {
		header.Set("Content-Type", formType)
		body := values("grant_type", "password", "client_id", s.public.id, "username", email, "password", "not the password at all")
		a := mustSend(t, "POST", s.url+"/oauth/token", header, body.Encode())
		if a.status != http.StatusBadRequest {
			t.Fatalf("%v: status %d %s", header, a.status, a.body)
		}
		return lastSource(t, d)
	}
	for sent, want := range map[string]string{
		"198.51.100.7:51234":                   "198.51.100.7",
		`"[2001:db8::7]:51234"`:                "2001:db8::7",
		"203.0.113.9, 198.51.100.8, 127.0.0.1": "198.51.100.8",
	} {
		if got := guess(http.Header{"X-Forwarded-For": {sent}}); got != want {
			t.Errorf("X-Forwarded-For: %s was taken for %q, want %q", sent, got, want)
		}
	}
	if strings.Contains(s.server.stderr.String(), "cannot be read") || warnsOf(t, s.url, "client_address_unreadable") {
		t.Error("the operator is warned before anything was unreadable")
	}
	for range 2 {
		if got := guess(http.Header{"X-Forwarded-For": {"nobody"}}); got != "unknown" {
			t.Errorf("an address that cannot be read was taken for %q", got)
		}
	}
	if n := strings.Count(s.server.stderr.String(), "cannot be read"); n != 1 {
		t.Errorf("%d lines in the log about two such requests in a minute, want 1", n)
	}
	if !warnsOf(t, s.url, "client_address_unreadable") {
		t.Error("/readyz does not warn")
	}
	// A proxy that writes another header than the setting names tells no more.
	if got := guess(http.Header{"Forwarded": {"for=198.51.100.7"}}); got != "unknown" {
		t.Errorf("an address in another header was taken for %q", got)
	}
	metrics := mustSend(t, "GET", s.server.admin+"/metrics", nil, "").body
	if !strings.Contains(metrics, "\nkeyturn_client_address_unreadable_total 3\n") {
		t.Error("the metric does not count them")
	}
}

// TestU4_ProxyProtocolServed: with client_address: proxy-protocol the header of a
// connection tells the client, and one without a header is not served.
func TestU4_ProxyProtocolServed(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	s := d.prepare(t, "", "--trusted-proxies", "127.0.0.1", "--client-address", "proxy-protocol")
	s.spawn(t)
	say := func(header string) string {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			return ""
		}
		defer c.Close()
		body := "grant_type=password"
		_, _ = c.Write([]byte(header + "POST /oauth/token HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 19\r\n\r\n" + body))
		var answer bytes.Buffer
		_, _ = answer.ReadFrom(c)
		return answer.String()
	}
	const header = "PROXY TCP4 198.51.100.7 192.0.2.1 51234 443\r\n"
	if !poll(s.exited, func() bool { return strings.HasPrefix(say(header), "HTTP/1.1 401") }) {
		t.Fatalf("no answer behind a header: %q", say(header))
	}
	if got := lastSource(t, d); got != "198.51.100.7" {
		t.Errorf("taken for %q", got)
	}
	if got := say(""); strings.HasPrefix(got, "HTTP/1.1 401") {
		t.Errorf("a proxy without a header was served: %q", got)
	}
	o := d.run(t, "healthcheck", "--listen", strings.TrimPrefix(s.url, "http://"), "--trusted-proxies", "127.0.0.1", "--client-address", "proxy-protocol")
	if o.code != 0 {
		t.Errorf("healthcheck: exit code %d, %s", o.code, o.stderr)
	}
}

// lastSource is the caller of the last event.
func lastSource(t *testing.T, d *deployment) string {
	t.Helper()
	lines := bytes.Split(bytes.TrimSpace([]byte(readFile(t, d.auditLog))), []byte("\n"))
	var e struct {
		Source struct{ IP, Address string } `json:"source"`
	}
	if err := json.Unmarshal(lines[len(lines)-1], &e); err != nil {
		t.Fatal(err)
	}
	return e.Source.IP + e.Source.Address
}

func warnsOf(t *testing.T, url, code string) bool {
	t.Helper()
	return strings.Contains(mustSend(t, "GET", url+"/readyz", nil, "").body, code)
}
