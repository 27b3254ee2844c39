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

// headerPatience is how long a proxy may take to say for whom it speaks.
const headerPatience = 5 * time.Second

// Listener makes the connections of trusted proxies begin with a header of the
// PROXY protocol, version 1 or 2, and bear the address that it names. One that
// begins otherwise is closed. From anybody else the header is not looked for.
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

// Dial connects to a server on this machine that listens as Listen does, and says, if
// that takes this end for a proxy, that it speaks for itself.
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

// ConnContext is http.Server's: requests remember the connection that they came
// over.
func (f *Finder) ConnContext(ctx context.Context, c net.Conn) context.Context {
	if f.Source != ProxyProtocol {
		return ctx
	}
	if encrypted, ok := c.(*tls.Conn); ok {
		c = encrypted.NetConn()
	}
	return context.WithValue(ctx, connKey{}, c)
}

// relayed reports whether the peer's address is a client's: it came from no
// proxy, or the proxy said for whom, or that it speaks for itself (LOCAL: its health
// checks). The header of a proxy that knows no address (UNKNOWN) leaves its own on
// the connection.
func relayed(ctx context.Context) bool {
	c, ok := ctx.Value(connKey{}).(*proxyproto.Conn)
	if !ok {
		return true
	}
	h := c.ProxyHeader()
	return h != nil && (h.Version == 2 && h.Command.IsLocal() || !h.TransportProtocol.IsUnspec() && !h.TransportProtocol.IsUnix())
}
