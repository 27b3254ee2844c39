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

// Finder finds the address of a request's client. Safe for concurrent use.
type Finder struct {
	// Trusted are the networks of the proxies whose word is taken.
	Trusted []netip.Prefix
	// Source is where they write it; the zero Source is XForwardedFor.
	Source Source
}

// Find returns the address of the client: the peer's or, where the peer is a
// trusted proxy, the last one that it and the trusted proxies before it were
// called from. What a client writes into a header itself stands further left
// and is not looked at.
//
// A trusted proxy that sends no header at all speaks for itself. One that sends
// what cannot be read, or names a client in another header than Source, makes the
// client unknown, for which Find returns the zero Addr: taken for the proxy, all the
// people behind it would be one client.
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
		// Empty elements are passed over (RFC 9110 §5.6.1).
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

// elsewhere returns the first of these headers that a request has, "" if none.
func elsewhere(r *http.Request) string {
	for _, name := range naming {
		if len(r.Header[name]) > 0 {
			return name
		}
	}
	return ""
}

// Shown is what of the header that Find reads, or of the one that there is in its
// place, the log shows a person; "" for the PROXY protocol.
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

// plain is the form by which addresses are compared and counted.
func plain(ip netip.Addr) netip.Addr { return ip.Unmap().WithZone("") }
