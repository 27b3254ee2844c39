package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// isLoopback reports whether host, a name or an address without brackets, is
// loopback.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Zone() == "" && ip.Unmap().IsLoopback()
}

// checkListen returns an error unless s is HOST:PORT.
func checkListen(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return errNotAccepted
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("its port is not a number from 0 to 65535")
	}
	if strings.Contains(host, ":") {
		if ip, err := netip.ParseAddr(host); err != nil || strings.ContainsFunc(ip.Zone(), notInHost) {
			return errors.New("its host is not an IPv6 address")
		}
	} else if strings.ContainsFunc(host, notInHost) {
		return errors.New("its host is neither a name nor an address")
	}
	return nil
}

// notInHost reports whether a host name cannot contain r.
func notInHost(r rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_", r)
}

// isName reports whether s is a host name, or an IPv4 address.
func isName(s string) bool {
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, notInHost) {
			return false
		}
	}
	return true
}

// adminListen is a kind of HOST:PORT that can be off.
func adminListen() kind {
	return kind{
		typ:     "address",
		accepts: "HOST:PORT, such as 127.0.0.1:9090, or off",
		set: func(c *Config, s string) error {
			if s == "off" {
				c.AdminListen = ""
				return nil
			}
			if err := checkListen(s); err != nil {
				return err
			}
			c.AdminListen = s
			return nil
		},
		show: func(c *Config) string {
			if c.AdminListen == "" {
				return "off"
			}
			return c.AdminListen
		},
	}
}

// checkIssuer checks an issuer identifier (RFC 8414 §2). Clients compare it
// byte by byte, so its URL must be in normal form. It accepts the empty text,
// which deriveIssuer handles.
func checkIssuer(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("it is not a URL")
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return errNotAccepted
	case u.User != nil:
		return errors.New("it names a user")
	case strings.Contains(s, "?"):
		return errors.New("it has a query")
	case strings.Contains(s, "#"):
		return errors.New("it has a fragment")
	case strings.HasSuffix(s, "/"):
		return errors.New("it ends in a slash")
	case u.String() != s || u.Path != "" && path.Clean(u.Path) != u.Path:
		return errors.New("it is not the simplest way to write its URL")
	case !strings.Contains(u.Hostname(), ":") && !isName(u.Hostname()):
		return errors.New("its host is neither a name nor an address")
	case !validPort(u.Host):
		return errors.New("its port is not a number from 1 to 65535")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return errors.New("http is for loopback hosts only")
	}
	return nil
}

// validPort reports whether the host of a URL has no port or a port from 1 to
// 65535.
func validPort(host string) bool {
	colon := strings.LastIndexByte(host, ':')
	if colon < 0 || strings.HasSuffix(host, "]") {
		return true
	}
	port, err := strconv.ParseUint(host[colon+1:], 10, 16)
	return err == nil && port > 0
}

// The widest network that a setting takes is as wide as the widest private one, 10.0.0.0/8
// or fc00::/7: what a wider one is trusted with is given to strangers.
const widest4, widest6 = 8, 7

// networks is a kind of lists of addresses and networks that are trusted.
func networks(field func(*Config) *[]netip.Prefix) kind {
	return listOf(field, fmt.Sprintf("addresses and networks, such as 10.0.0.7 or 10.0.0.0/8, none wider than /%d, or /%d of IPv6", widest4, widest6), parseNetwork, showNetwork)
}

// parseNetwork parses an address or a network.
func parseNetwork(s string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, errNotAccepted
	case prefix.Addr().Is4In6():
		return netip.Prefix{}, errors.New("write it as an IPv4 network")
	case prefix.Masked() != prefix:
		return netip.Prefix{}, errors.New("it has bits set beyond its mask; " + prefix.Masked().String() + " would be the network")
	case prefix.Addr().Is4() && prefix.Bits() < widest4, prefix.Addr().Is6() && prefix.Bits() < widest6:
		return netip.Prefix{}, errors.New("it is so wide that strangers are in it; name your own networks")
	}
	return prefix, nil
}

// showNetwork formats a network, or its address if it has only one.
func showNetwork(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// parseOrigin parses an origin as browsers write it (RFC 6454 §6.2): a scheme
// and a host in lower case, and a port unless it is the scheme's default. No
// other form would ever match.
func parseOrigin(s string) (string, error) {
	switch s {
	case "*":
		return "", errors.New("every site on the web could call with it; name each origin")
	case "null":
		return "", errors.New("sandboxed pages of any site have it; name each origin")
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme+"://"+u.Host != s:
		return "", errNotAccepted
	case s != strings.ToLower(s):
		return "", errors.New("browsers send it in lower case")
	case u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80":
		return "", errors.New("browsers leave out the scheme's own port")
	case !validPort(u.Host):
		return "", errors.New("its port is not a number from 1 to 65535")
	case strings.Contains(u.Host, "*"):
		return "", errors.New("patterns are not origins; name each origin")
	case !strings.HasPrefix(u.Host, "[") && strings.ContainsFunc(u.Hostname(), notInHost):
		return "", errors.New("its host is not as browsers send it; a name in another script is written xn--…")
	}
	return s, nil
}
