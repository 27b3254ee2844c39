package config

import (
	"net"
	"strings"
	"testing"
)

func TestIssuerIsDerivedOnLoopback(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "http://127.0.0.1:8080"},
		{[]string{"--listen=localhost:80"}, "http://localhost:80"},
		{[]string{"--listen=127.8.9.1:0080"}, "http://127.8.9.1:80"},
		{[]string{"--listen=[::1]:8443"}, "http://[::1]:8443"},
		{[]string{"--listen=127.0.0.1:8443", "--tls-cert-file=c", "--tls-key-file=k"}, "https://127.0.0.1:8443"},
		{[]string{"--listen=127.0.0.1:0"}, ""},
		{[]string{"--listen=:80", "--issuer=https://auth.example.com"}, "https://auth.example.com"},
	} {
		if c := mustLoad(t, "", nil, test.args...); c.Issuer != test.want {
			t.Errorf("%v: the issuer is %q, want %q", test.args, c.Issuer, test.want)
		}
	}
}

func TestIssuerForBoundAddress(t *testing.T) {
	bound := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 43210}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--listen=127.0.0.1:0"}, "http://127.0.0.1:43210"},
		{[]string{"--listen=localhost:0"}, "http://localhost:43210"},
		{[]string{"--listen=localhost:0", "--tls-cert-file=c", "--tls-key-file=k"}, "https://localhost:43210"},
		{[]string{"--listen=:0", "--issuer=https://auth.example.com/t1"}, "https://auth.example.com/t1"},
		{nil, "http://127.0.0.1:8080"},
	} {
		got, err := mustLoad(t, "", nil, test.args...).IssuerFor(bound)
		if err != nil || got != test.want {
			t.Errorf("%v: got %q, %v, want %q", test.args, got, err, test.want)
		}
	}
	got, err := (&Config{}).IssuerFor(&net.TCPAddr{IP: net.IPv6loopback, Port: 1})
	if err != nil || got != "http://[::1]:1" {
		t.Errorf("without listen: got %q, %v", got, err)
	}
}

func TestIssuerForRefusesTheOpenNetwork(t *testing.T) {
	c := mustLoad(t, "", nil, "--listen=localhost:0")
	for _, addr := range []net.Addr{
		&net.TCPAddr{IP: net.IPv4zero, Port: 1}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}, &net.UnixAddr{Name: "socket"},
	} {
		if got, err := c.IssuerFor(addr); err == nil || !strings.HasPrefix(err.Error(), `issuer: "" is refused: it is required`) {
			t.Errorf("%v: got %q, %v", addr, got, err)
		}
	}
}

func TestIssuersAccepted(t *testing.T) {
	for _, issuer := range []string{
		"https://auth.example.com", "https://auth.example.com:8443", "https://auth.example.com/tenant/1",
		"https://192.0.2.1", "https://[2001:db8::1]:8443", "http://localhost:3000", "http://127.9.9.9", "http://[::1]:80",
	} {
		if c := mustLoad(t, "", nil, "--issuer", issuer); c.Issuer != issuer {
			t.Errorf("%s became %s", issuer, c.Issuer)
		}
	}
}
