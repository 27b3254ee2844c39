package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// systemPort reports whether the system chooses the port of listen.
func systemPort(listen string) bool {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n == 0
}

// issuerAt returns the issuer of a server that clients reach directly at host
// and port.
func (c *Config) issuerAt(host, port string) string {
	scheme := "http"
	if c.TLSCertFile != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, strings.TrimLeft(port, "0"))
}

// deriveIssuer sets a missing issuer to the server's own address, unless the
// port is not known yet.
func (c *Config) deriveIssuer() {
	if host, port, err := net.SplitHostPort(c.Listen); err == nil && c.Issuer == "" && !systemPort(c.Listen) {
		c.Issuer = c.issuerAt(host, port)
	}
}

// IssuerFor returns the issuer of a server whose public listener is bound to
// addr. It is Issuer if that is set. Otherwise it is the URL of addr with the
// host in Listen, and addr must be loopback.
func (c *Config) IssuerFor(addr net.Addr) (string, error) {
	if c.Issuer != "" {
		return c.Issuer, nil
	}
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil || !isLoopback(host) {
		return "", &refusal{name: "issuer", value: `""`, source: c.sources["issuer"],
			reason:   fmt.Sprintf("it is required, as %s is not a loopback address", addr),
			accepted: "the https URL that clients reach this server at, without a trailing slash"}
	}
	if named, _, err := net.SplitHostPort(c.Listen); err == nil && named != "" {
		host = named
	}
	return c.issuerAt(host, port), nil
}
