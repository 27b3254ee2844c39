package clientip

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
)

// headerPatience is how long a proxy may take to send its header.
const headerPatience = 5 * time.Second

// Listener requires the connections of trusted proxies to begin with a header of the
// PROXY protocol, version 1 or 2, and sets their remote address from it. It closes
// those that begin otherwise. It does not look for a header on other connections.
func (f *Finder) Listener(l net.Listener) net.Listener {
	if f.Source != ProxyProtocol {
		return l
	}
	return &proxyproto.Listener{
		Listener: l, ReadHeaderTimeout: headerPatience,
		ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			if peer, err := netip.ParseAddrPort(o.Upstream.String()); err == nil && f.trusts(plain(peer.Addr())) {
				return proxyproto.REQUIRE, nil
			}
			return proxyproto.SKIP, nil
		},
	}
}

// Dial connects to a server on this machine that listens through Listener. If the
// server would take this end for a proxy, Dial sends a LOCAL header, which says that
// it speaks for itself.
func (f *Finder) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil || f.Source != ProxyProtocol {
		return c, err
	}
	if own, err := netip.ParseAddrPort(c.LocalAddr().String()); err != nil || !f.trusts(plain(own.Addr())) {
		return c, nil
	}
	if _, err := (&proxyproto.Header{Version: 2, Command: proxyproto.LOCAL}).WriteTo(c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

type connKey struct{}

// ConnContext is for http.Server: it puts the connection into the context of its
// requests.
func (f *Finder) ConnContext(ctx context.Context, c net.Conn) context.Context {
	if f.Source != ProxyProtocol {
		return ctx
	}
	if encrypted, ok := c.(*tls.Conn); ok {
		c = encrypted.NetConn()
	}
	return context.WithValue(ctx, connKey{}, c)
}

// relayed reports whether the peer's address is a client's. It is if the peer is not
// a proxy, or if the proxy named its client or speaks for itself (LOCAL, for health
// checks). A header without an address (UNKNOWN) leaves the proxy's own address on
// the connection.
func relayed(ctx context.Context) bool {
	c, ok := ctx.Value(connKey{}).(*proxyproto.Conn)
	if !ok {
		return true
	}
	h := c.ProxyHeader()
	return h != nil && (h.Version == 2 && h.Command.IsLocal() || !h.TransportProtocol.IsUnspec() && !h.TransportProtocol.IsUnix())
}
