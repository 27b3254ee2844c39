package clientip

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"github.com/pires/go-proxyproto"
)

// serve answers every request with the address that the finder finds.
func serve(t *testing.T, f *Finder) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ConnContext: f.ConnContext, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, f.Find(r))
	})}
	go func() { _ = s.Serve(f.Listener(l)) }()
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// ask sends a request behind a header and returns the answer, "" if the
// connection was closed without one.
func ask(t *testing.T, addr string, header []byte) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write(append(header, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\nConnection: close\r\n\r\n"...)); err != nil {
		return "" // it was closed while this was written
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

// TestU4_ProxyProtocol: a trusted proxy's connections begin with a header and
// bear its address; a stranger's header is a malformed request.
func TestU4_ProxyProtocol(t *testing.T) {
	client := &net.TCPAddr{IP: net.IPv4(198, 51, 100, 7), Port: 51234}
	format := func(version byte, h proxyproto.Header) []byte {
		h.Version = version
		b, err := h.Format()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	named := *proxyproto.HeaderProxyFromAddrs(1, client, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443})
	local := proxyproto.Header{Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}

	behind := serve(t, &Finder{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Source: ProxyProtocol})
	const unknown = "invalid IP"
	for name, c := range map[string]struct {
		header []byte
		want   string
	}{
		"version 1":             {format(1, named), "198.51.100.7"},
		"version 2":             {format(2, named), "198.51.100.7"},
		"version 1 UNKNOWN":     {[]byte("PROXY UNKNOWN\r\n"), unknown},
		"version 2 LOCAL":       {format(2, local), "127.0.0.1"},
		"version 2 of a socket": {format(2, *proxyproto.HeaderProxyFromAddrs(2, &net.UnixAddr{Net: "unix", Name: "a"}, &net.UnixAddr{Net: "unix", Name: "b"})), unknown},
		"version 2 UNSPEC":      {[]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x00\x00\x00"), ""}, // the library's choice; see operating.md
		"version 1, mapped":     {[]byte("PROXY TCP6 ::ffff:198.51.100.7 ::ffff:192.0.2.1 1 443\r\n"), "198.51.100.7"},
		"no line end":           {[]byte("PROXY TCP4 198.51.100.7 192.0.2.1 1 443\n"), ""},
		"10 kB":                 {append([]byte("PROXY TCP4 "), bytes.Repeat([]byte("1"), 10_000)...), ""},
		"no header":             {nil, ""},
		"torn header":           {[]byte("PROXY TCP4 198.51.100.7\r\n"), ""},
	} {
		if got := ask(t, behind, c.header); got != c.want {
			t.Errorf("%s from a trusted proxy: %q, want %q", name, got, c.want)
		}
	}

	open := serve(t, &Finder{Trusted: trusted, Source: ProxyProtocol})
	if got := ask(t, open, nil); got != "127.0.0.1" {
		t.Errorf("no header from a stranger: %q", got)
	}
	if got := ask(t, open, format(1, named)); got != "" {
		t.Errorf("a stranger's header was read: %q", got)
	}
}
