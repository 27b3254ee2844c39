package clientip

import (
	"net/netip"
	"strconv"
	"strings"
)

// parseNode reads one address as proxies write it: 192.0.2.7, 192.0.2.7:4711,
// 2001:db8::7, [2001:db8::7], [2001:db8::7]:4711, with a zone or without, and
// any of them between quotes (RFC 7239 §6 has IPv6 only so). The names that RFC
// 7239 §6.2 and §6.3 have for nodes that will not be told are no addresses.
func parseNode(text string) (netip.Addr, bool) {
	text = strings.Trim(text, " \t")
	if quoted, ok := strings.CutPrefix(text, `"`); ok {
		if text, ok = strings.CutSuffix(quoted, `"`); !ok {
			return netip.Addr{}, false
		}
	}
	host := text
	if inner, rest, ok := strings.Cut(strings.TrimPrefix(text, "["), "]"); ok && strings.HasPrefix(text, "[") {
		if rest != "" && (rest[0] != ':' || !isPort(rest[1:])) {
			return netip.Addr{}, false
		}
		ip, err := netip.ParseAddr(inner)
		if err != nil || !ip.Is6() {
			return netip.Addr{}, false
		}
		return plain(ip), true
	}
	if before, port, ok := strings.Cut(text, ":"); ok && strings.Count(text, ":") == 1 {
		if !isPort(port) {
			return netip.Addr{}, false
		}
		host = before
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, false
	}
	return plain(ip), true
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

// parseElement reads one element of a Forwarded header (RFC 7239 §4) and returns
// whom it is for. The header is split at each comma, between quotes too: no
// address holds one, and so what a client sends with a quote left open cannot
// swallow what a proxy appends.
func parseElement(s string) (netip.Addr, bool) {
	node, found := "", false
	for {
		name, after, ok := strings.Cut(strings.TrimLeft(s, " \t"), "=")
		if !ok || !isToken(name) {
			return netip.Addr{}, false
		}
		var value string
		if value, s, ok = forwardedValue(after); !ok {
			return netip.Addr{}, false
		}
		if strings.EqualFold(name, "for") {
			if found {
				return netip.Addr{}, false
			}
			node, found = value, true
		}
		s = strings.TrimLeft(s, " \t")
		if s == "" {
			break
		}
		if s[0] != ';' {
			return netip.Addr{}, false
		}
		s = s[1:]
	}
	if !found {
		return netip.Addr{}, false
	}
	return parseNode(node)
}

// forwardedValue reads a token or a quoted string from the beginning of s. An
// address with a colon is taken without quotes too, as some proxies write it.
func forwardedValue(s string) (value, rest string, ok bool) {
	if quoted, is := strings.CutPrefix(s, `"`); is {
		end := strings.IndexByte(quoted, '"')
		if end < 0 || strings.Contains(quoted[:end], `\`) {
			return "", "", false
		}
		return quoted[:end], quoted[end+1:], true
	}
	end := strings.IndexAny(s, " \t;")
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:], end > 0
}

// isToken reports whether s is a token of RFC 9110 §5.6.2.
func isToken(s string) bool {
	return s != "" && strings.Trim(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
