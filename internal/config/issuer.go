package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// systemPort reports whether listen leaves the choice of the port to the system.
func systemPort(listen string) bool {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n == 0
}

// issuerAt returns the issuer of a server that is reached at host and port
// directly.
func (c *Config) issuerAt(host, port string) string {
	scheme := "http"
	if c.TLSCertFile != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, strings.TrimLeft(port, "0"))
}

// deriveIssuer gives a server on loopback that names no issuer its own address,
// unless the port is still to be found.
func (c *Config) deriveIssuer() {
	if host, port, err := net.SplitHostPort(c.Listen); err == nil && c.Issuer == "" && !systemPort(c.Listen) {
		c.Issuer = c.issuerAt(host, port)
	}
}

// IssuerFor returns the issuer of a server whose public listener is bound to
// addr: Issuer if it is set, or else the URL of addr under the host that Listen
// names, provided that addr is loopback.
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
