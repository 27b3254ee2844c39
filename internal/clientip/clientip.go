// Package clientip finds the address of the client behind the proxies that the
// deployment trusts.
package clientip

import (
	"net/http"
	"net/netip"
	"strings"
)

// Source says where a trusted proxy writes the address of its client.
type Source string

// The sources. The header X-Forwarded-For is the default.
const (
	XForwardedFor Source = "x-forwarded-for"
	Forwarded     Source = "forwarded"
	ProxyProtocol Source = "proxy-protocol"
)

// Sources lists every source.
func Sources() []string {
	return []string{string(XForwardedFor), string(Forwarded), string(ProxyProtocol)}
}

// Finder finds the address of a request's client. It is safe for concurrent use.
type Finder struct {
	// Trusted are the networks of the trusted proxies.
	Trusted []netip.Prefix
	// Source is where they write the address; the zero Source is XForwardedFor.
	Source Source
}

// Find returns the address of the client. It is the peer's unless the peer is a
// trusted proxy. Otherwise it is the last address in the chain that called a trusted
// proxy. What the client itself writes into a header is further left and is ignored.
//
// A trusted proxy that sends no such header speaks for itself. If its header cannot
// be parsed, or if it names a client in another header than Source, the client is
// unknown, and Find returns the zero Addr: the proxy's address would make all users
// behind it one client.
func (f *Finder) Find(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	ip := plain(peer.Addr())
	if f.Source == ProxyProtocol {
		if relayed(r.Context()) && !ip.IsUnspecified() {
			return ip
		}
		return netip.Addr{}
	}
	if !f.trusts(ip) {
		return ip
	}
	name, read := f.header(), parseNode
	if f.Source == Forwarded {
		read = parseElement
	}
	if len(r.Header.Values(name)) == 0 {
		if elsewhere(r) != "" {
			return netip.Addr{}
		}
		return ip
	}
	rest, last, known := strings.Join(r.Header.Values(name), ","), "", false
	for rest != "" && f.trusts(ip) {
		// Skip empty elements (RFC 9110 §5.6.1).
		if rest, last = lastElement(rest); strings.Trim(last, " \t") == "" {
			continue
		}
		if ip, known = read(last); !known {
			return netip.Addr{}
		}
	}
	if !known {
		return netip.Addr{}
	}
	return ip
}

// naming are the headers in which proxies name their clients.
var naming = []string{
	"X-Forwarded-For", "Forwarded", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip",
	"Fastly-Client-Ip", "X-Azure-Clientip", "X-Cluster-Client-Ip", "X-Envoy-External-Address",
}

// elsewhere returns the first of these headers in a request, or "".
func elsewhere(r *http.Request) string {
	for _, name := range naming {
		if len(r.Header[name]) > 0 {
			return name
		}
	}
	return ""
}

// Shown returns the header that Find reads, or the one found in its place, for the
// log. It returns "" for the PROXY protocol.
func (f *Finder) Shown(r *http.Request) string {
	name := f.header()
	if name != "" && len(r.Header.Values(name)) == 0 {
		name = elsewhere(r)
	}
	if name == "" {
		return ""
	}
	return name + ": " + strings.Join(r.Header.Values(name), ",")
}

func (f *Finder) header() string {
	switch f.Source {
	case ProxyProtocol:
		return ""
	case Forwarded:
		return "Forwarded"
	}
	return "X-Forwarded-For"
}

func (f *Finder) trusts(ip netip.Addr) bool {
	for _, p := range f.Trusted {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// plain returns the form of an address for comparing and counting.
func plain(ip netip.Addr) netip.Addr { return ip.Unmap().WithZone("") }
