package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// dialTimeout bounds the making of one connection.
const dialTimeout = 10 * time.Second

// target is the server that the load goes to.
type target struct {
	url string
	// host is the Host header, path what every endpoint's path begins with.
	host, path string
	addr       string
	port       uint16
	tls        *tls.Config
	// loopback says that the URL names this machine; only then is the
	// server's process looked up. allowRemote lets connections leave it.
	loopback, allowRemote bool
}

// parseTarget reads an issuer URL. Unless allowRemote is set it accepts only
// localhost and loopback addresses, and no connection will leave the machine
// whatever the name resolves to.
func parseTarget(raw string, allowRemote bool) (*target, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("--url: must be http://HOST[:PORT][/PATH] or https://…, without user, query or fragment")
	}
	t := &target{
		url:         strings.TrimSuffix(u.String(), "/"),
		host:        u.Host,
		path:        strings.TrimSuffix(u.EscapedPath(), "/"),
		loopback:    isLoopback(u.Hostname()),
		allowRemote: allowRemote,
	}
	if !t.loopback && !allowRemote {
		return nil, fmt.Errorf("--url: %s is not a loopback address; --allow-remote lets the load leave this machine", u.Hostname())
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return nil, fmt.Errorf("--url: port %s: must be 1 to 65535", port)
	}
	t.port = uint16(n)
	t.addr = net.JoinHostPort(u.Hostname(), port)
	if u.Scheme == "https" {
		t.tls = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	}
	return t, nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// dial opens one connection to the target.
func (t *target) dial(ctx context.Context) (net.Conn, error) {
	d := &net.Dialer{Timeout: dialTimeout, Control: t.guard}
	if t.tls == nil {
		return d.DialContext(ctx, "tcp", t.addr)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	return (&tls.Dialer{NetDialer: d, Config: t.tls}).DialContext(ctx, "tcp", t.addr)
}

// guard refuses, at the address really dialled, to leave the machine.
func (t *target) guard(_, address string, _ syscall.RawConn) error {
	if t.allowRemote {
		return nil
	}
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !ap.Addr().Unmap().IsLoopback() {
		return fmt.Errorf("%s is not a loopback address", address)
	}
	return nil
}

// get returns the bytes of a GET request.
func (t *target) get(path string) []byte {
	return []byte("GET " + t.path + path + " HTTP/1.1\r\nHost: " + t.host +
		"\r\nUser-Agent: keyturn-bench\r\nAccept: application/json\r\n\r\n")
}

// post is a form POST request without its body.
type post struct {
	head []byte
}

// post returns a form POST to path with the Authorization header given, if any.
func (t *target) post(path, authorization string) post {
	head := "POST " + t.path + path + " HTTP/1.1\r\nHost: " + t.host +
		"\r\nUser-Agent: keyturn-bench\r\nAccept: application/json\r\n"
	if authorization != "" {
		head += "Authorization: " + authorization + "\r\n"
	}
	return post{head: []byte(head + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ")}
}

// append adds the request with that body to buf; more are headers, each with its
// line end before it.
func (p post) append(buf, body []byte, more ...string) []byte {
	buf = append(buf, p.head...)
	buf = strconv.AppendInt(buf, int64(len(body)), 10)
	for _, header := range more {
		buf = append(buf, header...)
	}
	buf = append(buf, "\r\n\r\n"...)
	return append(buf, body...)
}
