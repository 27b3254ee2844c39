package clients

import (
	"net"
	"net/http"
	"net/netip"
	"time"

	"code.dny.dev/ssrf"
)

// remotePatience bounds one request to a client's address.
const remotePatience = 4 * time.Second

// guarded returns a client for the addresses that clients are registered with, which
// are asked with care, because the name server of a URL's owner decides where it leads:
// without a proxy, following no redirect, with small limits of time and size, and only
// at public addresses, unless the operator allows a network. The address is checked
// when it is dialled, after the name was resolved.
func guarded(allowed []netip.Prefix) *http.Client {
	var v4, v6 []netip.Prefix
	for _, p := range allowed {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	guard := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	dialer := &net.Dialer{Timeout: remotePatience, Control: guard.Safe}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext,
			// Every connection is dialled, and so checked, anew.
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       remotePatience,
	}
}
